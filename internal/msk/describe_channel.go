package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
)

// DescribeChannel
//
// Describes a channel of a cluster. One whose topic has been deleted is SUSPENDED, and stays
// it: a topic of the same name is another.
//
// Errors: NotFound; BadRequest for an ARN that names no channel.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-channels-channelarn.html
//
// Status: done
func (d *Door) DescribeChannel(_ context.Context, in *model.DescribeChannelInput) (*model.DescribeChannelOutput, error) {
	r, err := d.channel(in.ClusterArn, in.ChannelArn)
	if err != nil {
		return nil, err
	}
	return d.channelShape(r), nil
}
