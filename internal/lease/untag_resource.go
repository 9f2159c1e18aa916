package lease

import (
	"context"

	model "thalweg/internal/awsapi/model/dynamodb"
)

// UntagResource
//
// Removes tags of the table that ResourceArn names; those that are not there are
// passed over.
//
// Errors: ResourceNotFound; Validation.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UntagResource.html
//
// Status: done
func (d *Tables) UntagResource(ctx context.Context, in *model.UntagResourceInput) (*model.UntagResourceOutput, error) {
	return nil, d.retag(ctx, in.ResourceArn.V, func(t map[string]string) {
		for _, k := range in.TagKeys {
			delete(t, k)
		}
	})
}
