package lease

import (
	"context"

	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/tables"
)

// TagResource
//
// Sets tags of the table that ResourceArn names; up to 50 in all.
//
// Errors: ResourceNotFound; Validation.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TagResource.html
//
// Status: done
func (d *Tables) TagResource(ctx context.Context, in *model.TagResourceInput) (*model.TagResourceOutput, error) {
	return nil, d.retag(ctx, in.ResourceArn.V, func(t map[string]string) {
		for k, v := range tags(in.Tags) {
			t[k] = v
		}
	})
}

// retag changes the tags of a table.
func (d *Tables) retag(ctx context.Context, name string, change func(map[string]string)) error {
	scope, table, err := resolve(ctx, name)
	if err != nil {
		return err
	}
	_, err = d.tables.Update(ctx, scope, table, func(def *tables.Definition) error {
		change(def.Tags)
		return nil
	})
	return wireError(err)
}
