package kinesis

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/streams"
)

// CreateStream
//
// Makes a stream: PROVISIONED (the default) with ShardCount shards of equal hash
// ranges, or ON_DEMAND with four, or with one for each MiB/s of
// WarmThroughputMiBps if that is more. The stream and all its shards exist, durably,
// when the call returns, so it is ACTIVE then and a waiter never waits.
//
// Errors: ResourceInUse when the name is taken; LimitExceeded beyond the shard
// quota, 50 on-demand streams or 10 GiB/s; Validation when ShardCount or
// WarmThroughputMiBps and the mode do not fit; InvalidArgument for tags, for
// RecordDistributionStrategy AUTO on a provisioned stream, and for
// WarmThroughputMiBps without the account's commitment (UpdateAccountSettings).
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html
//
// Status: done
// Deviation: a new stream is ACTIVE at once instead of after seconds in CREATING
func (d *Door) CreateStream(ctx context.Context, in *model.CreateStreamInput) (*model.CreateStreamOutput, error) {
	n := streams.NewStream{
		Scope: scopeOf(awsapi.CallerFrom(ctx)), Name: in.StreamName.V, Mode: catalog.Provisioned,
		Shards: int(in.ShardCount.V), Tags: in.Tags, MaxRecordKiB: int(in.MaxRecordSizeInKiB.V),
		WarmMiBps:        int(in.WarmThroughputMiBps.V),
		AutoDistribution: in.RecordDistributionStrategy.V == model.RecordDistributionStrategyAuto,
	}
	if in.StreamModeDetails != nil {
		n.Mode = catalog.StreamMode(in.StreamModeDetails.StreamMode.V)
	}
	switch onDemand := n.Mode == catalog.OnDemand; {
	case onDemand && in.ShardCount.Set:
		return nil, model.NewValidationException("ShardCount is not expected when StreamMode=ON_DEMAND")
	case !onDemand && !in.ShardCount.Set:
		return nil, model.NewValidationException("ShardCount is expected when StreamMode=PROVISIONED")
	case !onDemand && in.WarmThroughputMiBps.Set:
		return nil, model.NewValidationException("WarmThroughputMiBps is not expected when StreamMode=PROVISIONED")
	case !onDemand && n.AutoDistribution:
		return nil, wireError(streams.ErrAutoNeedsOnDemand)
	}
	return nil, wireError(d.streams.Create(ctx, n))
}
