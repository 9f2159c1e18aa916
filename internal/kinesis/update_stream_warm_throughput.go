package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
)

// UpdateStreamWarmThroughput
//
// Sets the write throughput that an on-demand stream takes at once. The stream gets
// a shard for each MiB/s, four at least, in one durable step of splits and merges;
// a lower value gives shards back. What comes in later makes it grow as before.
//
// Errors: ResourceNotFound; ResourceInUse while the stream is not ACTIVE;
// InvalidArgument for a provisioned stream, and without the account's commitment
// (UpdateAccountSettings); LimitExceeded beyond 10 GiB/s or the shard quota.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateStreamWarmThroughput.html
//
// Status: done
// Deviation: the shards are there at once instead of after minutes in UPDATING
func (d *Door) UpdateStreamWarmThroughput(ctx context.Context, in *model.UpdateStreamWarmThroughputInput) (*model.UpdateStreamWarmThroughputOutput, error) {
	a, err := resolve(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	r, err := d.streams.SetWarm(ctx, a.scope, a.name, int(in.WarmThroughputMiBps.V))
	if err != nil {
		return nil, wireError(err)
	}
	return &model.UpdateStreamWarmThroughputOutput{
		StreamName: opt.Of(r.Name), StreamARN: opt.Of(r.ARN), WarmThroughput: d.warmShape(r),
	}, nil
}
