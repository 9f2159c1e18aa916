package firehose

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/firehose"
)

// UntagDeliveryStream
//
// Removes tags from a delivery stream; those it has not are no error.
//
// Errors: ResourceNotFound; ResourceInUse while it is DELETING.
// https://docs.aws.amazon.com/firehose/latest/APIReference/API_UntagDeliveryStream.html
//
// Status: done
func (d *Door) UntagDeliveryStream(ctx context.Context, in *model.UntagDeliveryStreamInput) (*model.UntagDeliveryStreamOutput, error) {
	return nil, wireError(d.delivery.Untag(ctx, scopeOf(awsapi.CallerFrom(ctx)), in.DeliveryStreamName.V, in.TagKeys))
}
