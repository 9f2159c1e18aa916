package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// StartStreamEncryption
//
// Has records put from now on stored encrypted, in the write-ahead log and
// everywhere else, under the key KeyId of this server's keystore; a key that does
// not exist yet is made. Records put before stay as they are. On a stream that is
// encrypted it changes the key for what is put from now on; the key that the
// stream has already is taken without a change. Records say by their
// EncryptionType how they are stored.
//
// A Kafka topic is encrypted in the same way, through this door.
//
// KeyId is a key id, a key ARN, an alias name or an alias ARN, of the stream's
// account and region, and is shown as it was written. An alias is a key of its own.
//
// Errors: ResourceNotFound; ResourceInUse while the stream is not ACTIVE;
// LimitExceeded after 25 new keys in 24 hours, and for one key more than 10,000 on
// this server; KMSNotFound for what is no key id, for another region, and for an alias
// of AWS other than alias/aws/kinesis; KMSAccessDenied for another account;
// InvalidArgument for EncryptionType NONE.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StartStreamEncryption.html
//
// Status: done
// Deviation: encryption is in force when the call returns, without seconds in UPDATING
// Deviation: a key is held by this server, made when it is first named, and never disabled; an alias is a key of its own; no kms: permission is asked for
func (d *Door) StartStreamEncryption(ctx context.Context, in *model.StartStreamEncryptionInput) (*model.StartStreamEncryptionOutput, error) {
	a, err := resolve(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if err := wantKMS(in.EncryptionType.V); err != nil {
		return nil, err
	}
	if _, err := d.streams.Lookup(a.scope, a.name); err != nil {
		return nil, wireError(err)
	}
	key, err := keyOf(ctx, a.scope, in.KeyId.V)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.streams.StartEncryption(ctx, a.scope, a.name, key))
}

// wantKMS refuses NONE, which the type knows and neither operation takes.
func wantKMS(t model.EncryptionType) error {
	if t != model.EncryptionTypeKms {
		return model.NewInvalidArgumentException("EncryptionType " + string(t) + " is not valid for this operation. The only valid value is KMS.")
	}
	return nil
}
