package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/streams"
)

// RegisterStreamConsumer
//
// Makes a consumer of a stream, durably, that can subscribe to each of its
// shards; 20 at most for a stream. Its ARN ends in its creation second: one of
// the same name made after it has another ARN.
//
// Errors: ResourceNotFound and ResourceInUse of the stream; ResourceInUse when the
// name is taken; LimitExceeded; InvalidArgument for an ARN that names no stream,
// and for tags.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RegisterStreamConsumer.html
//
// Status: done
// Deviation: a new consumer is ACTIVE at once instead of after seconds in CREATING
func (d *Door) RegisterStreamConsumer(ctx context.Context, in *model.RegisterStreamConsumerInput) (*model.RegisterStreamConsumerOutput, error) {
	a, err := parseStreamARN(in.StreamARN.V)
	if err != nil {
		return nil, err
	}
	r, err := d.streams.Register(ctx, streams.NewConsumer{Scope: a.scope, Stream: a.name, Name: in.ConsumerName.V, Tags: in.Tags})
	if err != nil {
		return nil, wireError(err)
	}
	c := d.consumerShape(r)
	return &model.RegisterStreamConsumerOutput{Consumer: &c}, nil
}
