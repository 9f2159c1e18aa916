package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/streams"
)

// UpdateQueue
//
// Changes what is given of a queue's attributes, durably and at once; the rest stays.
// A new visibility timeout holds from the next receive on; a new MaxReceiveCount for
// every record whose timeout expires from now on.
//
// Errors: ResourceNotFound; InvalidArgument for an ARN that names no queue, for
// BUILT_IN without MaxReceiveCount and for NONE with one.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateQueue.html
//
// Status: done
// Deviation: a queue is never UPDATING
func (d *Door) UpdateQueue(ctx context.Context, in *model.UpdateQueueInput) (*model.UpdateQueueOutput, error) {
	scope, id, err := queueID(in.QueueARN)
	if err != nil {
		return nil, err
	}
	r, err := d.streams.UpdateQueue(ctx, scope, id, func(set *streams.QueueSettings) error {
		return settings(in.QueueAttributes, set)
	})
	if err != nil {
		return nil, wireError(err)
	}
	shape, err := d.queueShape(r)
	return &model.UpdateQueueOutput{QueueDescription: shape}, err
}
