package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// UntagResource
//
// Removes tags from a stream named by its ARN; keys that it does not have are
// passed over.
//
// Errors: ResourceNotFound; ResourceInUse while the stream is not ACTIVE;
// InvalidArgument for an ARN of anything but a stream and for characters AWS
// does not take.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UntagResource.html
//
// Status: partial: streams only, until there are consumers and channels to tag
func (d *Door) UntagResource(ctx context.Context, in *model.UntagResourceInput) (*model.UntagResourceOutput, error) {
	a, err := parseStreamARN(in.ResourceARN.V)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.streams.Untag(ctx, a.scope, a.name, in.TagKeys))
}
