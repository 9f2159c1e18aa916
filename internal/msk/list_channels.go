package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
)

// ListChannels
//
// Lists the channels of a cluster: none, since CreateChannel is refused.
//
// Errors: NotFound.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-channels.html
//
// Status: partial: there are none
func (d *Door) ListChannels(_ context.Context, in *model.ListChannelsInput) (*model.ListChannelsOutput, error) {
	if _, err := d.cluster(in.ClusterArn); err != nil {
		return nil, err
	}
	return &model.ListChannelsOutput{Channels: []model.ChannelInfo{}}, nil
}
