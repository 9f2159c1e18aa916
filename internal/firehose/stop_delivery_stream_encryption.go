package firehose

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/firehose"
)

// StopDeliveryStreamEncryption
//
// Has what is put from now on stored as it is. What is stored encrypted stays so, and
// is delivered as before.
//
// Errors: as StartDeliveryStreamEncryption's.
// https://docs.aws.amazon.com/firehose/latest/APIReference/API_StopDeliveryStreamEncryption.html
//
// Status: done
// Deviation: encryption is DISABLED at once instead of after seconds in DISABLING
func (d *Door) StopDeliveryStreamEncryption(ctx context.Context, in *model.StopDeliveryStreamEncryptionInput) (*model.StopDeliveryStreamEncryptionOutput, error) {
	return nil, wireError(d.delivery.Encrypt(ctx, scopeOf(awsapi.CallerFrom(ctx)), in.DeliveryStreamName.V, nil))
}
