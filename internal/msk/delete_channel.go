package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// DeleteChannel
//
// Ends a channel, durably. A batch that is on its way is tried once more at most; records
// that are not delivered then stay in the topic alone. The channel is DELETING until that is
// done, and then gone; what it has delivered stays. A second call changes nothing.
//
// Errors: NotFound; BadRequest for an ARN that names no channel.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-channels-channelarn.html
//
// Status: done
// Deviation: there is no cluster operation for it
func (d *Door) DeleteChannel(ctx context.Context, in *model.DeleteChannelInput) (*model.DeleteChannelOutput, error) {
	r, err := d.channel(in.ClusterArn, in.ChannelArn)
	if err != nil {
		return nil, err
	}
	if err := d.channels.DeleteChannel(ctx, r); err != nil {
		return nil, wireError(err)
	}
	return &model.DeleteChannelOutput{ChannelArn: opt.Of(r.ARN)}, nil
}
