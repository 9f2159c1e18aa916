package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/delivery"
)

// UntagResource
//
// Removes tags from a stream, a consumer, a queue or a channel named by its ARN; keys that it does not
// have are passed over.
//
// Errors: ResourceNotFound; ResourceInUse while the stream is not ACTIVE;
// InvalidArgument for an ARN of anything else and for characters AWS does not
// take.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UntagResource.html
//
// Status: done
func (d *Door) UntagResource(ctx context.Context, in *model.UntagResourceInput) (*model.UntagResourceOutput, error) {
	if id, ok := parseConsumerARN(in.ResourceARN.V); ok {
		return nil, wireError(d.streams.UntagConsumer(ctx, id, in.TagKeys))
	}
	if scope, id, ok := parseQueueARN(in.ResourceARN.V); ok {
		return nil, wireError(d.streams.UntagQueue(ctx, scope, id, in.TagKeys))
	}
	if key, ok := parseChannelARN(in.ResourceARN.V); ok {
		r, err := d.channels.Channel(key, delivery.KinesisSource)
		if err != nil {
			return nil, wireError(err)
		}
		return nil, wireError(d.channels.TagChannel(ctx, r, nil, in.TagKeys))
	}
	a, err := parseStreamARN(in.ResourceARN.V)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.streams.Untag(ctx, a.scope, a.name, in.TagKeys))
}
