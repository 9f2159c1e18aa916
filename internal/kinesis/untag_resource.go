package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// UntagResource
//
// Removes tags from a stream or a consumer named by its ARN; keys that it does not
// have are passed over.
//
// Errors: ResourceNotFound; ResourceInUse while the stream is not ACTIVE;
// InvalidArgument for an ARN of anything else and for characters AWS does not
// take.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UntagResource.html
//
// Status: partial: streams, consumers and queues, until there are channels to tag
func (d *Door) UntagResource(ctx context.Context, in *model.UntagResourceInput) (*model.UntagResourceOutput, error) {
	if id, ok := parseConsumerARN(in.ResourceARN.V); ok {
		return nil, wireError(d.streams.UntagConsumer(ctx, id, in.TagKeys))
	}
	if scope, id, ok := parseQueueARN(in.ResourceARN.V); ok {
		return nil, wireError(d.streams.UntagQueue(ctx, scope, id, in.TagKeys))
	}
	a, err := parseStreamARN(in.ResourceARN.V)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.streams.Untag(ctx, a.scope, a.name, in.TagKeys))
}
