package firehose

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/firehose"
	"thalweg/internal/delivery"
	"thalweg/internal/opt"
)

// ListTagsForDeliveryStream
//
// Lists tags by key, those after ExclusiveStartTagKey, Limit at a time, 50 at most.
//
// Errors: ResourceNotFound.
// https://docs.aws.amazon.com/firehose/latest/APIReference/API_ListTagsForDeliveryStream.html
//
// Status: done
func (d *Door) ListTagsForDeliveryStream(ctx context.Context, in *model.ListTagsForDeliveryStreamInput) (*model.ListTagsForDeliveryStreamOutput, error) {
	r, err := d.delivery.Lookup(scopeOf(awsapi.CallerFrom(ctx)), in.DeliveryStreamName.V)
	if err != nil {
		return nil, wireError(err)
	}
	page, more := delivery.Tags(r, in.ExclusiveStartTagKey.V, int(in.Limit.Or(delivery.MaxTags)))
	out := &model.ListTagsForDeliveryStreamOutput{HasMoreTags: opt.Of(more), Tags: []model.Tag{}}
	for _, t := range page {
		out.Tags = append(out.Tags, model.Tag{Key: opt.Of(t.Key), Value: opt.Of(t.Value)})
	}
	return out, nil
}
