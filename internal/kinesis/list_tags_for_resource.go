package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// ListTagsForResource
//
// Lists all tags of a stream named by its ARN, by key.
//
// Errors: ResourceNotFound; InvalidArgument for an ARN of anything but a stream.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListTagsForResource.html
//
// Status: partial: streams only, until there are consumers and channels to tag
func (d *Door) ListTagsForResource(_ context.Context, in *model.ListTagsForResourceInput) (*model.ListTagsForResourceOutput, error) {
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
