package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// DescribeStreamSummary
//
// Describes a stream without its shards. WarmThroughput is there for an on-demand
// stream of an account with a minimum throughput billing commitment: what was
// asked for, and one MiB/s for each open shard.
//
// Errors: ResourceNotFound, InvalidArgument.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeStreamSummary.html
//
// Status: done
func (d *Door) DescribeStreamSummary(ctx context.Context, in *model.DescribeStreamSummaryInput) (*model.DescribeStreamSummaryOutput, error) {
	r, err := d.find(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	strategy := model.RecordDistributionStrategyUserPartitionKey
	if r.Stream.AutoDistribution {
		strategy = model.RecordDistributionStrategyAuto
	}
	out := &model.StreamDescriptionSummary{
		StreamName: opt.Of(r.Name), StreamARN: opt.Of(r.ARN),
		StreamStatus:               opt.Of(model.StreamStatus(d.streams.Status(r))),
		StreamModeDetails:          modeShape(r),
		StreamCreationTimestamp:    millis(r.Created),
		RetentionPeriodHours:       opt.Of(int32(r.Stream.RetentionHours)),
		EnhancedMonitoring:         monitoringShape(r),
		OpenShardCount:             opt.Of(int32(streams.OpenShards(r))),
		ConsumerCount:              opt.Of(int32(d.streams.ConsumerCount(r))),
		ChannelCount:               opt.Of(int32(d.streams.ChannelCount(r))),
		MaxRecordSizeInKiB:         opt.Of(int32(r.Stream.MaxRecordKiB)),
		RecordDistributionStrategy: opt.Of(strategy),
	}
	out.WarmThroughput = d.warmShape(r)
	out.EncryptionType, out.KeyId = encryptionShape(r)
	return &model.DescribeStreamSummaryOutput{StreamDescriptionSummary: out}, nil
}
