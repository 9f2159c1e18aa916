package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
)

// UpdateQueueRecordsVisibility
//
// Hides records of a queue that are in flight for VisibilityTimeoutSeconds from now
// on, durably; 0 makes them visible. An entry fails with InvalidArgumentException when
// its receipt is none of the queue's or no longer good, or when the record's timeout
// has expired; with ResourceNotFoundException when the record is acknowledged or past
// its time.
//
// Errors: ResourceNotFound; InvalidArgument for an ARN that names no queue. Those of
// entries are in Failed.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateQueueRecordsVisibility.html
//
// Status: done
func (d *Door) UpdateQueueRecordsVisibility(ctx context.Context, in *model.UpdateQueueRecordsVisibilityInput) (*model.UpdateQueueRecordsVisibilityOutput, error) {
	b, err := batch(in.QueueARN, false, in.Entries, func(e *model.UpdateQueueRecordsVisibilityRequestEntry) string { return e.ReceiptHandle.V })
	if err != nil {
		return nil, err
	}
	seconds := make([]int, len(in.Entries))
	for i := range in.Entries {
		seconds[i] = int(in.Entries[i].VisibilityTimeoutSeconds.V)
	}
	failures, err := d.queues.Hide(ctx, b, seconds)
	if err != nil {
		return nil, queueError(err)
	}
	out := &model.UpdateQueueRecordsVisibilityOutput{}
	out.Successful, out.Failed = results(&b, failures, func(receipt opt.V[string]) model.UpdateQueueRecordsVisibilityResultEntry {
		return model.UpdateQueueRecordsVisibilityResultEntry{ReceiptHandle: receipt}
	}, func(receipt, code, msg opt.V[string]) model.UpdateQueueRecordsVisibilityErrorEntry {
		return model.UpdateQueueRecordsVisibilityErrorEntry{ReceiptHandle: receipt, ErrorCode: code, ErrorMessage: msg}
	})
	return out, nil
}
