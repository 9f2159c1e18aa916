package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// GetShardIterator
//
// Gives an iterator for a place in a shard. It is sealed and holds all it needs:
// it works again and again for five minutes, after a restart too, for the same
// account and region. LATEST is the end as it is now; AFTER_SEQUENCE_NUMBER
// works for numbers between records; AT_SEQUENCE_NUMBER takes the shard's
// StartingSequenceNumber; numbers and times before the oldest record mean that
// record. Of a closed shard every type works, LATEST being its end. Shard ids are
// read leniently: shardId-0 and 0 name the first shard.
//
// Errors: ResourceNotFound for stream and shard, also for a closed shard past the
// retention; InvalidArgument for a sequence
// number that is none or is of another shard or stream, a timestamp in the
// future, or arguments that do not fit the type; ProvisionedThroughputExceeded
// where AWS's limits hold, beyond five calls a second of the shard;
// DryRunOperation, or Throttling, as PutRecord's.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetShardIterator.html
//
// Status: done
func (d *Door) GetShardIterator(ctx context.Context, in *model.GetShardIteratorInput) (*model.GetShardIteratorOutput, error) {
	a, err := resolve(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	r, sh, err := d.streams.Shard(a.scope, a.name, in.ShardId.V)
	if err != nil {
		return nil, wireError(err)
	}
	if !in.DryRun.V {
		if err := d.streams.AdmitIterator(r, sh.Number); err != nil {
			return nil, wireError(err)
		}
	}
	at := streams.StartingAt{Type: streams.Start(in.ShardIteratorType.V), Sequence: in.StartingSequenceNumber.V}
	if in.Timestamp.Set {
		at.Time, at.HasTime = in.Timestamp.V.UnixMilli(), true
	}
	pos, err := d.streams.Locate(r, sh, at)
	if err != nil {
		return nil, wireError(err)
	}
	if in.DryRun.V {
		return nil, d.dryRun(r)
	}
	return &model.GetShardIteratorOutput{ShardIterator: opt.Of(string(d.streams.AppendIterator(nil, pos)))}, nil
}
