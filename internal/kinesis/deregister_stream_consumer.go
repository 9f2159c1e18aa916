package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// DeregisterStreamConsumer
//
// Removes a consumer that is named by its ARN, or by its stream's ARN and its
// name. Its subscriptions end with ResourceNotFound.
//
// Errors: ResourceNotFound; InvalidArgument for an ARN of something else, names
// that do not agree, and too few of them.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DeregisterStreamConsumer.html
//
// Status: done
// Deviation: a consumer is gone at once instead of after seconds in DELETING
func (d *Door) DeregisterStreamConsumer(ctx context.Context, in *model.DeregisterStreamConsumerInput) (*model.DeregisterStreamConsumerOutput, error) {
	id, _, err := d.consumer(ctx, in.ConsumerARN, in.StreamARN, in.ConsumerName)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.streams.Deregister(ctx, id))
}
