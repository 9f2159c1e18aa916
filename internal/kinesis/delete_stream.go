package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// DeleteStream
//
// Removes a stream, its shards and their records, in one durable step. Its name
// is free when the call returns; iterators of the old stream answer
// ResourceNotFound. EnforceConsumerDeletion makes no difference while there are
// no registered consumers.
//
// Errors: ResourceNotFound, ResourceInUse while the stream is CREATING or
// DELETING, InvalidArgument for an ARN that names no stream.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DeleteStream.html
//
// Status: done
// Deviation: a deleted stream is gone at once instead of after seconds in DELETING
func (d *Door) DeleteStream(ctx context.Context, in *model.DeleteStreamInput) (*model.DeleteStreamOutput, error) {
	a, err := resolve(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.streams.Delete(ctx, a.scope, a.name))
}
