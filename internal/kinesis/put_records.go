package kinesis

import (
	"context"
	"fmt"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/errs"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// PutRecords
//
// Puts up to 500 records, 10 MiB of data and partition keys together, and
// answers when they are durable, in the order of the request. Records of one
// shard keep their order and stand together. A record that cannot be put
// (ErrorCode ProvisionedThroughputExceededException or InternalFailure) fails
// alone, or with those after it in its shard; a record that is not valid fails the
// request, and nothing is written.
//
// Errors: as PutRecord's; InvalidArgument beyond 10 MiB.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
//
// Status: done
func (d *Door) PutRecords(ctx context.Context, in *model.PutRecordsInput) (*model.PutRecordsOutput, error) {
	r, err := d.usable(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	var violations []string
	total := 0
	for i := range in.Records {
		e := &in.Records[i]
		if v := violation(r, fmt.Sprintf("records.%d.member.", i+1), e.PartitionKey.Set, len(e.Data)); v != "" {
			violations = append(violations, v)
		}
		total += len(e.Data) + len(e.PartitionKey.V)
	}
	if len(violations) > 0 {
		return nil, invalidRecords(violations)
	}
	if total > streams.MaxPutBytes {
		return nil, model.NewInvalidArgumentException("Records size exceeds 10 MB limit")
	}
	p := d.streams.NewPut(r)
	defer p.Release()
	for i := range in.Records {
		e := &in.Records[i]
		if err := add(p, e.PartitionKey, e.ExplicitHashKey, e.Data); err != nil {
			return nil, wireError(err)
		}
	}
	if in.DryRun.V {
		return nil, d.dryRun(r)
	}
	if fault := awsapi.EntryFaults(ctx); fault != nil {
		failEntries(p, fault)
	}
	p.Commit()
	out := &model.PutRecordsOutput{EncryptionType: encryptedShape(p.Encrypted()), Records: make([]model.PutRecordsResultEntry, p.Len())}
	failed := int32(0)
	for i := range out.Records {
		e := &out.Records[i]
		at, err := p.Result(i)
		if err != nil {
			if errs.KindOf(err) == errs.NotFound {
				return nil, wireError(err)
			}
			code, text := recordError(err)
			e.ErrorCode, e.ErrorMessage = opt.Of(code), opt.Of(text)
			failed++
			continue
		}
		e.SequenceNumber, e.ShardId = opt.Of(at.Sequence.String()), opt.Of(at.Shard.String())
	}
	out.FailedRecordCount = opt.Of(failed)
	return out, nil
}

// failEntries has the records fail that a test aid wants to.
func failEntries(p *streams.Put, fault func() string) {
	for i := range p.Len() {
		switch fault() {
		case "":
		case throttledCode:
			p.Fail(i, errs.Throttled)
		default:
			p.Fail(i, errs.Internal)
		}
	}
}

const throttledCode = "ProvisionedThroughputExceededException"

// recordError is what one record's failure is called in the answer.
func recordError(err error) (code, text string) {
	if errs.KindOf(err) == errs.Throttled {
		return throttledCode, message(err)
	}
	return "InternalFailure", "Internal Service Failure"
}
