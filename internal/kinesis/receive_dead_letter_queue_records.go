package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// ReceiveDeadLetterQueueRecords
//
// Receives at most 10 (Limit) dead-letter records of a queue that are visible, and
// hides them from others for VisibilityTimeoutSeconds, or for the queue's own timeout.
// A record becomes one when its visibility timeout expires after it was received
// MaxReceiveCount times; it stays in the stream, whose retention goes on to count.
// Waits, answers, counts and fails as ReceiveQueueRecords does.
//
// Errors: ResourceNotFound; InvalidArgument for an ARN that names no queue; Throttling
// without memory for the answer.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ReceiveDeadLetterQueueRecords.html
//
// Status: done
func (d *Door) ReceiveDeadLetterQueueRecords(ctx context.Context, in *model.ReceiveDeadLetterQueueRecordsInput) (*model.ReceiveDeadLetterQueueRecordsOutput, error) {
	found, err := d.receive(ctx, in.QueueARN, true, in.Limit, in.WaitTimeSeconds, in.VisibilityTimeoutSeconds)
	if err != nil {
		return nil, err
	}
	return &model.ReceiveDeadLetterQueueRecordsOutput{QueueRecords: found}, nil
}
