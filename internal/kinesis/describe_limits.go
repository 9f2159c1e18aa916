package kinesis

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// DescribeLimits
//
// Tells the caller's account what it uses of its quotas in the region: open
// shards, on-demand streams, channels.
//
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeLimits.html
//
// Status: done
// Deviation: ChannelCountLimit is 0 while channels are not implemented
func (d *Door) DescribeLimits(ctx context.Context, _ *model.DescribeLimitsInput) (*model.DescribeLimitsOutput, error) {
	u := d.streams.Usage(scopeOf(awsapi.CallerFrom(ctx)))
	return &model.DescribeLimitsOutput{
		ShardLimit:               opt.Of(int32(u.ShardLimit)),
		OpenShardCount:           opt.Of(int32(u.OpenShards)),
		OnDemandStreamCount:      opt.Of(int32(u.OnDemandStreams)),
		OnDemandStreamCountLimit: opt.Of(int32(streams.OnDemandStreams)),
		ChannelCount:             opt.Of(int32(0)),
		ChannelCountLimit:        opt.Of(int32(0)),
	}, nil
}
