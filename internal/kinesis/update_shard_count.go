package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
)

// UpdateShardCount
//
// Makes TargetShardCount shards of equal hash key ranges out of those that are
// open, in one durable step of splits and merges; short-lived shards in between
// are closed and empty, and every new shard has parents. A stream that has these
// shards already stays as it is.
//
// Errors: ResourceNotFound; Validation for an on-demand stream; ResourceInUse
// while the stream is not ACTIVE; LimitExceeded above twice or below half the
// open shards, above 10,000, beyond the shard quota, and for more than ten
// changes of a stream in 24 hours.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateShardCount.html
//
// Status: done
// Deviation: ResourceInUse while a Kafka producer has a transaction open in a shard that is to be closed; for a minute after each attempt none begins there
// Deviation: the new shards are there at once instead of after minutes in UPDATING
// Deviation: short-lived shards do not count towards the shard quota
func (d *Door) UpdateShardCount(ctx context.Context, in *model.UpdateShardCountInput) (*model.UpdateShardCountOutput, error) {
	r, err := d.find(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	before, err := d.streams.Scale(ctx, r.Scope, r.Name, int(in.TargetShardCount.V))
	if err != nil {
		return nil, wireError(err)
	}
	return &model.UpdateShardCountOutput{
		StreamName: opt.Of(r.Name), StreamARN: opt.Of(r.ARN),
		CurrentShardCount: opt.Of(int32(before)), TargetShardCount: in.TargetShardCount,
	}, nil
}
