package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/ids"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// describeLimit is the most shards in one answer.
const describeLimit = 100

// DescribeStream
//
// Describes a stream with at most 100 of its shards (Limit), those after
// ExclusiveStartShardId; HasMoreShards tells whether there are others. Closed
// shards are there as long as their records can be read.
//
// Errors: ResourceNotFound, also for a start that can be no shard's id;
// InvalidArgument.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStream.html
//
// Status: done
func (d *Door) DescribeStream(ctx context.Context, in *model.DescribeStreamInput) (*model.DescribeStreamOutput, error) {
	r, err := d.find(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	from := streams.Listing{After: -1}
	if in.ExclusiveStartShardId.Set {
		if err := streams.CheckShardID(r.Account, r.Name, in.ExclusiveStartShardId.V); err != nil {
			return nil, wireError(err)
		}
		after, _ := ids.ParseShard(in.ExclusiveStartShardId.V)
		from.After = int64(after)
	}
	shards, _, more := d.streams.Shards(r, from, capped(in.Limit, describeLimit))
	out := &model.StreamDescription{
		StreamName: opt.Of(r.Name), StreamARN: opt.Of(r.ARN),
		StreamStatus:            opt.Of(model.StreamStatus(d.streams.Status(r))),
		StreamModeDetails:       modeShape(r),
		StreamCreationTimestamp: millis(r.Created),
		RetentionPeriodHours:    opt.Of(int32(r.Stream.RetentionHours)),
		EnhancedMonitoring:      monitoringShape(r),
		Shards:                  shardShapes(shards),
		HasMoreShards:           opt.Of(more),
	}
	out.EncryptionType, out.KeyId = encryptionShape(r)
	return &model.DescribeStreamOutput{StreamDescription: out}, nil
}
