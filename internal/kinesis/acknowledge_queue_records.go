package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
)

// AcknowledgeQueueRecords
//
// Acknowledges records of a queue: it never delivers them again, which is durable
// before it is answered. The records stay in the stream. An entry fails with
// InvalidArgumentException when its receipt is none of the queue's, or is older than
// the record's last receive or move to the dead letters. One whose
// timeout has expired is good until the record is received again, and one that was
// acknowledged already is good, so that a call can be repeated.
//
// Errors: ResourceNotFound; InvalidArgument for an ARN that names no queue. Those of
// entries are in Failed.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_AcknowledgeQueueRecords.html
//
// Status: done
func (d *Door) AcknowledgeQueueRecords(ctx context.Context, in *model.AcknowledgeQueueRecordsInput) (*model.AcknowledgeQueueRecordsOutput, error) {
	b, err := batch(in.QueueARN, false, in.Entries, func(e *model.AcknowledgeQueueRecordsRequestEntry) string { return e.ReceiptHandle.V })
	if err != nil {
		return nil, err
	}
	failures, err := d.queues.Acknowledge(ctx, b)
	if err != nil {
		return nil, queueError(err)
	}
	out := &model.AcknowledgeQueueRecordsOutput{}
	out.Successful, out.Failed = results(&b, failures, func(receipt opt.V[string]) model.AcknowledgeQueueRecordsResultEntry {
		return model.AcknowledgeQueueRecordsResultEntry{ReceiptHandle: receipt}
	}, func(receipt, code, msg opt.V[string]) model.AcknowledgeQueueRecordsErrorEntry {
		return model.AcknowledgeQueueRecordsErrorEntry{ReceiptHandle: receipt, ErrorCode: code, ErrorMessage: msg}
	})
	return out, nil
}
