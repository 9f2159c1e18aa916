package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// ReceiveQueueRecords
//
// Receives at most 10 (Limit) records of a queue that are visible, and hides them from
// others for VisibilityTimeoutSeconds, or for the queue's own timeout: first those that
// were received before, then those that never were, from each shard in turn. That a
// record was received is durable before it is answered: a crash shortens no timeout
// and spoils no receipt. WaitTimeSeconds waits for a record: whatever makes one
// visible ends the wait, be it a put, a timeout or another call. An answer without
// records is no error. Records of one answer come to 10 MiB at most, but for the first.
//
// Delivery is at least once and in no order: a receive whose answer was lost hides its
// records until their timeout expires. The data of records past the stream's retention
// is gone, and so are they. RecordId is the record's sequence number.
//
// Errors: ResourceNotFound, also when the queue is deleted meanwhile; InvalidArgument
// for an ARN that names no queue; Throttling while 120,000 records of the queue are
// received and not acknowledged, and when the server has no memory for more.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ReceiveQueueRecords.html
//
// Status: done
func (d *Door) ReceiveQueueRecords(ctx context.Context, in *model.ReceiveQueueRecordsInput) (*model.ReceiveQueueRecordsOutput, error) {
	found, err := d.receive(ctx, in.QueueARN, false, in.Limit, in.WaitTimeSeconds, in.VisibilityTimeoutSeconds)
	if err != nil {
		return nil, err
	}
	return &model.ReceiveQueueRecordsOutput{QueueRecords: found}, nil
}
