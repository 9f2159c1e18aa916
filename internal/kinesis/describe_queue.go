package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// DescribeQueue
//
// Describes a queue.
//
// Errors: ResourceNotFound; InvalidArgument for an ARN that names no queue.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeQueue.html
//
// Status: done
func (d *Door) DescribeQueue(ctx context.Context, in *model.DescribeQueueInput) (*model.DescribeQueueOutput, error) {
	scope, id, err := queueID(in.QueueARN)
	if err != nil {
		return nil, err
	}
	r, err := d.streams.Queue(scope, id)
	if err != nil {
		return nil, wireError(err)
	}
	shape, err := d.queueShape(r)
	return &model.DescribeQueueOutput{QueueDescription: shape}, err
}
