package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// ListTagsForStream
//
// Lists a stream's tags by key, at most 50 an answer (Limit), those after
// ExclusiveStartTagKey.
//
// Errors: ResourceNotFound, InvalidArgument.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListTagsForStream.html
//
// Status: done
func (d *Door) ListTagsForStream(ctx context.Context, in *model.ListTagsForStreamInput) (*model.ListTagsForStreamOutput, error) {
	r, err := d.find(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	tags := tagShapes(r.Tags, in.ExclusiveStartTagKey.V)
	limit := min(capped(in.Limit, streams.MaxTags), len(tags))
	return &model.ListTagsForStreamOutput{
		HasMoreTags: opt.Of(limit < len(tags)),
		Tags:        tags[:limit],
	}, nil
}
