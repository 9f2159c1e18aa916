package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
)

// ListTagsForResource
//
// Lists all tags of a stream, a consumer, a queue or a channel named by its ARN, by key.
//
// Errors: ResourceNotFound; InvalidArgument for an ARN of anything else.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListTagsForResource.html
//
// Status: done
func (d *Door) ListTagsForResource(ctx context.Context, in *model.ListTagsForResourceInput) (*model.ListTagsForResourceOutput, error) {
	var r *catalog.Resource
	var err error
	if scope, id, ok := parseQueueARN(in.ResourceARN.V); ok {
		r, err = d.streams.Queue(scope, id)
		err = wireError(err)
	} else if key, ok := parseChannelARN(in.ResourceARN.V); ok {
		r, err = d.channels.Channel(key, delivery.KinesisSource)
		err = wireError(err)
	} else {
		r, err = d.resource(ctx, in.ResourceARN)
	}
	if err != nil {
		return nil, err
	}
	return &model.ListTagsForResourceOutput{Tags: tagShapes(r.Tags, "")}, nil
}
