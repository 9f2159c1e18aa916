package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// UpdateStreamRecordDistributionStrategy
//
// Switches an on-demand stream between AUTO (records go to the shards in turn,
// partition keys and explicit hash keys do not count, a key may be absent) and
// USER_PARTITION_KEY, for puts from then on. What is stored stays where it is; a
// record put without a key is read without one.
//
// Errors: ResourceNotFound; ResourceInUse while the stream is not ACTIVE;
// InvalidArgument for AUTO on a provisioned stream.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateStreamRecordDistributionStrategy.html
//
// Status: done
func (d *Door) UpdateStreamRecordDistributionStrategy(ctx context.Context, in *model.UpdateStreamRecordDistributionStrategyInput) (*model.UpdateStreamRecordDistributionStrategyOutput, error) {
	a, err := parseStreamARN(in.StreamARN.V)
	if err != nil {
		return nil, err
	}
	auto := in.RecordDistributionStrategy.V == model.RecordDistributionStrategyAuto
	return nil, wireError(d.streams.SetDistribution(ctx, a.scope, a.name, auto))
}
