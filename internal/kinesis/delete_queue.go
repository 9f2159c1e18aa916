package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// DeleteQueue
//
// Removes a queue and what it knows of its records, durably; the records stay in the
// stream. Receives that wait answer ResourceNotFound.
//
// Errors: ResourceNotFound; InvalidArgument for an ARN that names no queue.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DeleteQueue.html
//
// Status: done
// Deviation: a deleted queue is gone at once instead of after seconds in DELETING
func (d *Door) DeleteQueue(ctx context.Context, in *model.DeleteQueueInput) (*model.DeleteQueueOutput, error) {
	scope, id, err := queueID(in.QueueARN)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.queues.Delete(ctx, scope, id))
}
