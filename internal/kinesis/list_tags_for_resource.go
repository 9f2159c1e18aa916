package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// ListTagsForResource
//
// Lists all tags of a stream or a consumer named by its ARN, by key.
//
// Errors: ResourceNotFound; InvalidArgument for an ARN of anything else.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListTagsForResource.html
//
// Status: partial: streams and consumers, until there are channels to tag
func (d *Door) ListTagsForResource(_ context.Context, in *model.ListTagsForResourceInput) (*model.ListTagsForResourceOutput, error) {
	if id, ok := parseConsumerARN(in.ResourceARN.V); ok {
		r, err := d.streams.Consumer(id)
		if err != nil {
			return nil, wireError(err)
		}
		return &model.ListTagsForResourceOutput{Tags: tagShapes(r.Tags, "")}, nil
	}
	a, err := parseStreamARN(in.ResourceARN.V)
	if err != nil {
		return nil, err
	}
	r, err := d.streams.Lookup(a.scope, a.name)
	if err != nil {
		return nil, wireError(err)
	}
	return &model.ListTagsForResourceOutput{Tags: tagShapes(r.Tags, "")}, nil
}
