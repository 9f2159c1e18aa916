package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/opt"
)

// UpdateChannel
//
// Changes a channel's DataFreshnessInSeconds, durably and at once: what is not on its way
// yet goes by it. All else of a channel stays as it was made.
//
// Errors: NotFound; BadRequest for an ARN that names no channel, for a destination that the
// channel does not have, for a freshness out of bounds, and while the channel is DELETING.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-channels-channelarn.html
//
// Status: done
// Deviation: a channel is never UPDATING, and there is no cluster operation for it
func (d *Door) UpdateChannel(ctx context.Context, in *model.UpdateChannelInput) (*model.UpdateChannelOutput, error) {
	r, err := d.channel(in.ClusterArn, in.ChannelArn)
	if err != nil {
		return nil, err
	}
	if in.IcebergDestinationUpdate != nil || in.S3DestinationUpdate == nil {
		return nil, invalid("s3DestinationUpdate", "The channel delivers to a bucket: s3DestinationUpdate must be specified, and nothing else.")
	}
	freshness := in.S3DestinationUpdate.DataFreshnessInSeconds
	if err := checkFreshness(freshness.V); err != nil {
		return nil, err
	}
	_, err = d.channels.UpdateChannel(ctx, r, func(c *catalog.Channel, config dest.Config) (dest.Config, error) {
		x := keptChannel(c)
		x.S3DestinationConfiguration.DataFreshnessInSeconds = freshness
		c.Shape = shape(x)
		return delivery.WithFreshness(config, int(freshness.V))
	})
	if err != nil {
		return nil, wireError(err)
	}
	return &model.UpdateChannelOutput{ChannelArn: opt.Of(r.ARN)}, nil
}
