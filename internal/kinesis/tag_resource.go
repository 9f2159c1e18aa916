package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/delivery"
	"thalweg/internal/streams"
)

// TagResource
//
// Adds tags to a stream, a consumer, a queue or a channel named by its ARN, or replaces the values of
// those it has; 50 at most.
//
// Errors: ResourceNotFound; ResourceInUse while the stream is not ACTIVE;
// InvalidArgument for an ARN of anything else, characters AWS does not take, and
// too many tags; LimitExceeded when policies and tags take all that this server
// keeps of them.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_TagResource.html
//
// Status: done
func (d *Door) TagResource(ctx context.Context, in *model.TagResourceInput) (*model.TagResourceOutput, error) {
	if id, ok := parseConsumerARN(in.ResourceARN.V); ok {
		return nil, wireError(d.streams.TagConsumer(ctx, id, in.Tags))
	}
	if scope, id, ok := parseQueueARN(in.ResourceARN.V); ok {
		return nil, wireError(d.streams.TagQueue(ctx, scope, id, in.Tags))
	}
	if key, ok := parseChannelARN(in.ResourceARN.V); ok {
		r, err := d.channels.Channel(key, delivery.KinesisSource)
		if err != nil {
			return nil, wireError(err)
		}
		if err := streams.CheckTags("channel "+r.Channel.Name+" under account "+r.Account, in.Tags); err != nil {
			return nil, wireError(err)
		}
		return nil, wireError(d.channels.TagChannel(ctx, r, in.Tags, nil))
	}
	a, err := parseStreamARN(in.ResourceARN.V)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.streams.Tag(ctx, a.scope, a.name, in.Tags))
}
