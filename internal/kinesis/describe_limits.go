package kinesis

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/delivery"
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
// Deviation: ChannelCountLimit is one channel for each on-demand stream that there can be; AWS's has channels that deliver to tables beside those
func (d *Door) DescribeLimits(ctx context.Context, _ *model.DescribeLimitsInput) (*model.DescribeLimitsOutput, error) {
	scope := scopeOf(awsapi.CallerFrom(ctx))
	u := d.streams.Usage(scope)
	return &model.DescribeLimitsOutput{
		ShardLimit:               opt.Of(int32(u.ShardLimit)),
		OpenShardCount:           opt.Of(int32(u.OpenShards)),
		OnDemandStreamCount:      opt.Of(int32(u.OnDemandStreams)),
		OnDemandStreamCountLimit: opt.Of(int32(streams.OnDemandStreams)),
		ChannelCount:             opt.Of(int32(len(d.channels.Channels(scope, delivery.KinesisSource)))),
		ChannelCountLimit:        opt.Of(int32(delivery.ChannelsOfStream * streams.OnDemandStreams)),
	}, nil
}
