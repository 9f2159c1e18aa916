package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
)

// RestoreDeadLetterQueueRecords
//
// Makes dead-letter records records of the queue again, durably: visible at once, and
// counted as if never received. An entry fails with InvalidArgumentException when its
// receipt is none of the queue's or no longer good; with ResourceNotFoundException
// when the record is acknowledged or past its time; with ThrottlingException when
// 120,000 records are in flight.
//
// Errors: ResourceNotFound; InvalidArgument for an ARN that names no queue. Those of
// entries are in Failed.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RestoreDeadLetterQueueRecords.html
//
// Status: done
func (d *Door) RestoreDeadLetterQueueRecords(ctx context.Context, in *model.RestoreDeadLetterQueueRecordsInput) (*model.RestoreDeadLetterQueueRecordsOutput, error) {
	b, err := batch(in.QueueARN, true, in.Entries, func(e *model.RestoreDeadLetterQueueRecordsRequestEntry) string { return e.ReceiptHandle.V })
	if err != nil {
		return nil, err
	}
	failures, err := d.queues.Restore(ctx, b)
	if err != nil {
		return nil, queueError(err)
	}
	out := &model.RestoreDeadLetterQueueRecordsOutput{}
	out.Successful, out.Failed = results(&b, failures, func(receipt opt.V[string]) model.RestoreDeadLetterQueueRecordsResultEntry {
		return model.RestoreDeadLetterQueueRecordsResultEntry{ReceiptHandle: receipt}
	}, func(receipt, code, msg opt.V[string]) model.RestoreDeadLetterQueueRecordsErrorEntry {
		return model.RestoreDeadLetterQueueRecordsErrorEntry{ReceiptHandle: receipt, ErrorCode: code, ErrorMessage: msg}
	})
	return out, nil
}
