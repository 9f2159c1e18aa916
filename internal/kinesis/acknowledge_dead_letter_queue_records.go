package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
)

// AcknowledgeDeadLetterQueueRecords
//
// Acknowledges dead-letter records of a queue: it never delivers them again, which is durable
// before it is answered. The records stay in the stream. An entry fails with
// InvalidArgumentException when its receipt is none of the queue's, or is older than
// the record's last receive or restoring. One whose
// timeout has expired is good until the record is received again, and one that was
// acknowledged already is good, so that a call can be repeated.
//
// Errors: ResourceNotFound; InvalidArgument for an ARN that names no queue. Those of
// entries are in Failed.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_AcknowledgeDeadLetterQueueRecords.html
//
// Status: done
func (d *Door) AcknowledgeDeadLetterQueueRecords(ctx context.Context, in *model.AcknowledgeDeadLetterQueueRecordsInput) (*model.AcknowledgeDeadLetterQueueRecordsOutput, error) {
	b, err := batch(in.QueueARN, true, in.Entries, func(e *model.AcknowledgeDeadLetterQueueRecordsRequestEntry) string { return e.ReceiptHandle.V })
	if err != nil {
		return nil, err
	}
	failures, err := d.queues.Acknowledge(ctx, b)
	if err != nil {
		return nil, queueError(err)
	}
	out := &model.AcknowledgeDeadLetterQueueRecordsOutput{}
	out.Successful, out.Failed = results(&b, failures, func(receipt opt.V[string]) model.AcknowledgeDeadLetterQueueRecordsResultEntry {
		return model.AcknowledgeDeadLetterQueueRecordsResultEntry{ReceiptHandle: receipt}
	}, func(receipt, code, msg opt.V[string]) model.AcknowledgeDeadLetterQueueRecordsErrorEntry {
		return model.AcknowledgeDeadLetterQueueRecordsErrorEntry{ReceiptHandle: receipt, ErrorCode: code, ErrorMessage: msg}
	})
	return out, nil
}
