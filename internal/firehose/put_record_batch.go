package firehose

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/firehose"
	"thalweg/internal/opt"
)

// maxBatchBytes is how much data a batch may have (API_PutRecordBatch).
const maxBatchBytes = 4 << 20

// PutRecordBatch
//
// Puts up to 500 records, 4 MiB of data together, and answers when they are durable,
// in the order of the request. They stand one behind the other, and all are put or
// none is: FailedPutCount is 0 unless a test aid makes records fail. A call that is
// sent again is answered as PutRecord's.
//
// Errors: as PutRecord's; InvalidArgument beyond 4 MiB.
// https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html
//
// Status: done
func (d *Door) PutRecordBatch(ctx context.Context, in *model.PutRecordBatchInput) (*model.PutRecordBatchOutput, error) {
	records := make([][]byte, 0, len(in.Records))
	out := &model.PutRecordBatchOutput{RequestResponses: make([]model.PutRecordBatchResponseEntry, len(in.Records))}
	fault := awsapi.EntryFaults(ctx)
	failed, size := int32(0), 0
	for i := range in.Records {
		size += len(in.Records[i].Data)
		if fault != nil {
			if code := fault(); code != "" {
				out.RequestResponses[i].ErrorCode, out.RequestResponses[i].ErrorMessage = opt.Of(code), opt.Of(faultText(code))
				failed++
				continue
			}
		}
		records = append(records, in.Records[i].Data)
	}
	if size > maxBatchBytes {
		return nil, model.NewInvalidArgumentException("Records size exceeds 4 MB limit")
	}
	out.FailedPutCount, out.Encrypted = opt.Of(failed), opt.Of(false)
	if len(records) == 0 {
		return out, nil
	}
	placed, err := d.put(ctx, in.DeliveryStreamName.V, records)
	if err != nil {
		return nil, err
	}
	out.Encrypted = opt.Of(placed.Encrypted)
	n := 0
	for i := range out.RequestResponses {
		if e := &out.RequestResponses[i]; !e.ErrorCode.Set {
			e.RecordId = opt.Of(placed.ID(n))
			n++
		}
	}
	return out, nil
}

// faultText is what a client reads of a record that a test aid makes fail.
func faultText(code string) string {
	if code == "ServiceUnavailableException" {
		return "Slow down."
	}
	return "Internal Service Failure"
}
