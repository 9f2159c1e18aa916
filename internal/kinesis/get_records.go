package kinesis

import (
	"bytes"
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// GetRecords
//
// Reads a shard from an iterator on: at most 10,000 records (Limit) and 10 MiB,
// but one record if there is any. NextShardIterator is there, also after an empty
// answer, until the end of a closed shard: the answer that comes to it has
// ChildShards instead, also when it has records. The same iterator gives the same
// records again. Records past the stream's retention are not shown.
// MillisBehindLatest is 0 at the tip or end, else the age of the last record given.
//
// Errors: ExpiredIterator after five minutes; InvalidArgument for an iterator
// that is none of ours, is another account's or region's, or is of another
// stream than StreamARN; ResourceNotFound when the stream is gone;
// ProvisionedThroughputExceeded where AWS's limits hold, beyond five calls or
// 2 MiB a second of the shard, and for five seconds after an answer of 10 MiB;
// DryRunOperation, or Throttling, as PutRecord's.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html
//
// Status: done
func (d *Door) GetRecords(ctx context.Context, in *model.GetRecordsInput) (*model.GetRecordsOutput, error) {
	pos, err := d.position(ctx, []byte(in.ShardIterator.V), in.StreamARN)
	if err != nil {
		return nil, err
	}
	if in.DryRun.V {
		return nil, d.dryRun(pos.Stream)
	}
	page, err := d.streams.GetRecords(pos, int(in.Limit.Or(streams.MaxGetRecords)))
	if err != nil {
		return nil, wireError(err)
	}
	defer page.Close()
	out := &model.GetRecordsOutput{Records: []model.Record{}}
	size, held := 0, 0 // bytes
	for page.Next() {
		r := page.Record()
		rec := model.Record{
			ApproximateArrivalTimestamp: millis(r.Arrival),
			Data:                        bytes.Clone(r.Data),
			EncryptionType:              encryptedShape(r.Encrypted),
			SequenceNumber:              opt.Of(r.Sequence.String()),
		}
		if rec.Data == nil {
			rec.Data = []byte{}
		}
		if r.Key != nil {
			rec.PartitionKey = opt.Of(string(r.Key))
		}
		out.Records = append(out.Records, rec)
		if size += 3*len(r.Data) + 512; size > held { // the copy, and the encoded form
			if !awsapi.Hold(ctx, holdStep) {
				break // a shorter page; the next one begins where this ends
			}
			held += holdStep
		}
	}
	if err := page.Err(); err != nil {
		return nil, wireError(err)
	}
	if page.Ended() {
		out.ChildShards = childShapes(streams.Children(pos.Stream, pos.Shard))
	} else {
		out.NextShardIterator = opt.Of(string(d.streams.AppendIterator(nil, page.Position())))
	}
	out.MillisBehindLatest = opt.Of(page.MillisBehindLatest())
	return out, nil
}

// position opens an iterator for the caller of ctx and asks whether it may read
// that stream, which only the iterator names.
func (d *Door) position(ctx context.Context, iterator []byte, streamARN opt.V[string]) (streams.Position, error) {
	scope := scopeOf(awsapi.CallerFrom(ctx))
	if streamARN.Set {
		a, err := parseStreamARN(streamARN.V)
		if err != nil {
			return streams.Position{}, err
		}
		scope = a.scope
	}
	pos, err := d.streams.OpenIterator(scope, iterator)
	if err != nil {
		return pos, wireError(err)
	}
	if streamARN.Set && streamARN.V != pos.Stream.ARN {
		return pos, model.NewInvalidArgumentException("The ShardIterator is not of the stream " + streamARN.V + ".")
	}
	if err := awsapi.Authorize(ctx, pos.Stream.ARN); err != nil {
		return pos, err
	}
	return pos, nil
}

// holdStep is how many bytes a page of the general path, which is in memory whole,
// draws from the memory budget at a time.
const holdStep = 1 << 20
