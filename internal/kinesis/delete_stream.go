package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// DeleteStream
//
// Removes a stream, its shards and their records, in one durable step. Its name
// is free when the call returns; iterators of the old stream answer
// ResourceNotFound, and subscriptions end with it. Registered consumers go too if
// EnforceConsumerDeletion is true, else they keep the stream.
//
// Errors: ResourceNotFound, ResourceInUse while the stream is CREATING or
// DELETING, or has consumers; InvalidArgument for an ARN that names no stream.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DeleteStream.html
//
// Status: done
// Deviation: a deleted stream is gone at once instead of after seconds in DELETING
func (d *Door) DeleteStream(ctx context.Context, in *model.DeleteStreamInput) (*model.DeleteStreamOutput, error) {
	a, err := resolve(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if in.EnforceConsumerDeletion.V {
		return nil, wireError(d.streams.DeleteWithConsumers(ctx, a.scope, a.name))
	}
	return nil, wireError(d.streams.Delete(ctx, a.scope, a.name))
}
