package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/opt"
)

// UpdateChannel
//
// Changes a channel's DataFreshnessInSeconds, its LoggingConfiguration, or both, durably
// and at once: what is not on its way yet goes by it. All else of a channel stays as it
// was made. A request that says nothing changes nothing.
//
// Errors: ResourceNotFound; ResourceInUse while the channel is DELETING; InvalidArgument
// for an ARN that names no channel, for a destination that the channel does not have, and
// for a freshness out of bounds.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateChannel.html
//
// Status: done
// Deviation: a channel is never UPDATING
// Deviation: LoggingConfiguration is stored, errors are told in the server's log
func (d *Door) UpdateChannel(ctx context.Context, in *model.UpdateChannelInput) (*model.UpdateChannelOutput, error) {
	r, err := d.channel(in.ChannelARN)
	if err != nil {
		return nil, err
	}
	if in.S3TablesDestinationConfiguration != nil {
		return nil, model.NewInvalidArgumentException("The channel does not deliver to S3 Tables.")
	}
	if to := in.S3DestinationConfiguration; to != nil {
		if err := checkFreshness(to.DataFreshnessInSeconds.V); err != nil {
			return nil, err
		}
	}
	r, err = d.channels.UpdateChannel(ctx, r, func(c *catalog.Channel, config dest.Config) (dest.Config, error) {
		x := keptShape(c)
		if to := in.S3DestinationConfiguration; to != nil {
			x.S3DestinationConfiguration.DataFreshnessInSeconds = to.DataFreshnessInSeconds
			var err error
			if config, err = delivery.WithFreshness(config, int(to.DataFreshnessInSeconds.V)); err != nil {
				return nil, err
			}
		}
		if in.LoggingConfiguration != nil {
			now, said := *x.LoggingConfiguration.CloudWatchLogs, in.LoggingConfiguration.CloudWatchLogs
			now.Enabled = said.Enabled
			now.LogGroupName = opt.Of(said.LogGroupName.Or(now.LogGroupName.V))
			now.LogStreamName = opt.Of(said.LogStreamName.Or(now.LogStreamName.V))
			x.LoggingConfiguration.CloudWatchLogs = &now
		}
		c.Shape = keep(x)
		return config, nil
	})
	if err != nil {
		return nil, wireError(err)
	}
	return &model.UpdateChannelOutput{ChannelDescription: channelShape(r)}, nil
}
