package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
)

// DisableEnhancedMonitoring
//
// Switches shard-level metrics of a stream off, by name or ALL, and answers with
// those that were on and those that are. A metric that is on has a series for
// each shard that has been used at GET /metrics, from thalweg_shard_incoming_bytes_total
// to thalweg_shard_iterator_age_milliseconds.
//
// Errors: ResourceNotFound; ResourceInUse while the stream is not ACTIVE;
// Validation for an unknown name; InvalidArgument.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DisableEnhancedMonitoring.html
//
// Status: done
// Deviation: the metrics are at GET /metrics, since there is no CloudWatch
func (d *Door) DisableEnhancedMonitoring(ctx context.Context, in *model.DisableEnhancedMonitoringInput) (*model.DisableEnhancedMonitoringOutput, error) {
	a, err := resolve(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	before, after, err := d.streams.SetMonitoring(ctx, a.scope, a.name, metricNames(in.ShardLevelMetrics), false)
	if err != nil {
		return nil, wireError(err)
	}
	return &model.DisableEnhancedMonitoringOutput{
		StreamName: opt.Of(after.Name), StreamARN: opt.Of(after.ARN),
		CurrentShardLevelMetrics: metricShapes(before), DesiredShardLevelMetrics: metricShapes(after),
	}, nil
}
