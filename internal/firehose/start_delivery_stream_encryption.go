package firehose

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/firehose"
	"thalweg/internal/opt"
)

// StartDeliveryStreamEncryption
//
// Has what is put from now on stored encrypted, under the key that stands for AWS's
// own unless the input names one, and answered with Encrypted. What is there stays as
// it is. With a key named again the delivery stream changes to that. Records that are
// set aside for a delivery are stored encrypted in any case.
//
// Errors: ResourceNotFound; InvalidArgument for a delivery stream with a source, and
// for a KeyARN that does not go with the KeyType; InvalidKMSResource for a key of
// another account or region; LimitExceeded beyond 25 starts and stops in 24 hours.
// https://docs.aws.amazon.com/firehose/latest/APIReference/API_StartDeliveryStreamEncryption.html
//
// Status: done
// Deviation: encryption is ENABLED at once instead of after seconds in ENABLING
// Deviation: there is no KMS: a key's ARN names a key of this server's keystore, made when it is first named
func (d *Door) StartDeliveryStreamEncryption(ctx context.Context, in *model.StartDeliveryStreamEncryptionInput) (*model.StartDeliveryStreamEncryptionOutput, error) {
	scope := scopeOf(awsapi.CallerFrom(ctx))
	config := in.DeliveryStreamEncryptionConfigurationInput
	if config == nil {
		config = &model.DeliveryStreamEncryptionConfigurationInput{KeyType: opt.Of(model.KeyTypeAwsOwnedCmk)}
	}
	key, err := keyOf(scope, config)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.delivery.Encrypt(ctx, scope, in.DeliveryStreamName.V, key))
}
