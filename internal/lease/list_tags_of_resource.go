package lease

import (
	"context"

	"thalweg/internal/awsapi/codec"
	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/opt"
)

// ListTagsOfResource
//
// Lists the tags of the table that ResourceArn names, by key, in one answer: there
// are at most 50.
//
// Errors: ResourceNotFound; Validation.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ListTagsOfResource.html
//
// Status: done
func (d *Tables) ListTagsOfResource(ctx context.Context, in *model.ListTagsOfResourceInput) (*model.ListTagsOfResourceOutput, error) {
	scope, table, err := resolve(ctx, in.ResourceArn.V)
	if err != nil {
		return nil, err
	}
	t, err := d.tables.Describe(scope, table)
	if err != nil {
		return nil, wireError(err)
	}
	out := &model.ListTagsOfResourceOutput{Tags: []model.Tag{}}
	for _, k := range codec.SortedKeys(t.Tags) {
		out.Tags = append(out.Tags, model.Tag{Key: opt.Of(k), Value: opt.Of(t.Tags[k])})
	}
	return out, nil
}
