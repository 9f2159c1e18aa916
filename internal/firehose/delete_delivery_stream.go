package firehose

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/firehose"
)

// DeleteDeliveryStream
//
// Removes a delivery stream, which is DELETING until the batch under way has been
// delivered, or has failed once more. Records that are not delivered by then are gone,
// as on AWS; the server's log says which. A second
// deletion changes nothing. AllowForceDelete makes no difference: no grant of a key
// can stand in the way.
//
// Errors: ResourceNotFound.
// https://docs.aws.amazon.com/firehose/latest/APIReference/API_DeleteDeliveryStream.html
//
// Status: done
// Deviation: a delivery stream that is DELETING takes no records
func (d *Door) DeleteDeliveryStream(ctx context.Context, in *model.DeleteDeliveryStreamInput) (*model.DeleteDeliveryStreamOutput, error) {
	return nil, wireError(d.delivery.Delete(ctx, scopeOf(awsapi.CallerFrom(ctx)), in.DeliveryStreamName.V))
}
