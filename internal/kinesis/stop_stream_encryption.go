package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// StopStreamEncryption
//
// Has records put from now on stored as they are. Those that are stored encrypted
// stay so and are read as before. A stream that is not encrypted is left as it is.
// KeyId has to be there and is not looked at, as a stream has one key at a time.
//
// Errors: ResourceNotFound; ResourceInUse while the stream is not ACTIVE;
// LimitExceeded after 25 times in 24 hours; InvalidArgument for EncryptionType
// NONE.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StopStreamEncryption.html
//
// Status: done
// Deviation: in force when the call returns, without seconds in UPDATING
func (d *Door) StopStreamEncryption(ctx context.Context, in *model.StopStreamEncryptionInput) (*model.StopStreamEncryptionOutput, error) {
	a, err := resolve(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if err := wantKMS(in.EncryptionType.V); err != nil {
		return nil, err
	}
	return nil, wireError(d.streams.StopEncryption(ctx, a.scope, a.name))
}
