package firehose

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/firehose"
)

// TagDeliveryStream
//
// Adds tags to a delivery stream, or replaces their values; it can have 50.
//
// Errors: ResourceNotFound; ResourceInUse while it is DELETING; InvalidArgument for a
// key that comes twice; LimitExceeded.
// https://docs.aws.amazon.com/firehose/latest/APIReference/API_TagDeliveryStream.html
//
// Status: done
func (d *Door) TagDeliveryStream(ctx context.Context, in *model.TagDeliveryStreamInput) (*model.TagDeliveryStreamOutput, error) {
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.delivery.Tag(ctx, scopeOf(awsapi.CallerFrom(ctx)), in.DeliveryStreamName.V, tags))
}
