package msk

import (
	"context"
	"strings"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
	"thalweg/internal/opt"
)

// ListChannels
//
// Lists the channels of a cluster by name, at most 100 an answer (MaxResults): all, or those
// of the topic TopicNameFilter.
//
// Errors: NotFound; BadRequest for a token that is none.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-channels.html
//
// Status: done
func (d *Door) ListChannels(_ context.Context, in *model.ListChannelsInput) (*model.ListChannelsOutput, error) {
	cluster, err := d.cluster(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	var all []*catalog.Resource
	for _, r := range d.channels.Channels(catalog.Scope{Account: cluster.Account, Region: cluster.Region}, delivery.MSKSource) {
		if strings.HasPrefix(r.ARN, arnOf(cluster, "channel")+"/") && in.TopicNameFilter.Or(r.Delivery.Source.Topic) == r.Delivery.Source.Topic {
			all = append(all, r)
		}
	}
	page, token, err := pageOf(all, in.NextToken, in.MaxResults, func(r *catalog.Resource) string { return r.Channel.Name })
	if err != nil {
		return nil, err
	}
	out := &model.ListChannelsOutput{NextToken: token, Channels: []model.ChannelInfo{}}
	for _, r := range page {
		x := d.channelShape(r)
		out.Channels = append(out.Channels, model.ChannelInfo{ChannelArn: x.ChannelArn, ChannelName: opt.Of(r.Channel.Name), Status: x.Status,
			CreationTime: x.CreationTime, DestinationType: x.DestinationType})
	}
	return out, nil
}
