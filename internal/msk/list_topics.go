package msk

import (
	"context"
	"strings"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/brokers"
	"thalweg/internal/opt"
)

// ListTopics
//
// Lists the topics of a cluster by name, those whose names begin with
// TopicNameFilter, at most 100 an answer (MaxResults); not those of the brokers' own.
// Of the default cluster, the Kinesis data streams of its account and region are
// topics too.
//
// Errors: NotFound; BadRequest for a token that is none, and while the cluster does
// not run.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-topics.html
//
// Status: done
func (d *Door) ListTopics(_ context.Context, in *model.ListTopicsInput) (*model.ListTopicsOutput, error) {
	r, c, err := d.topics(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	var all []*brokers.Topic
	for _, t := range c.Topics() {
		if !t.Internal() && strings.HasPrefix(t.Name(), in.TopicNameFilter.V) {
			all = append(all, t)
		}
	}
	page, token, err := pageOf(all, in.NextToken, in.MaxResults, (*brokers.Topic).Name)
	if err != nil {
		return nil, err
	}
	out := &model.ListTopicsOutput{NextToken: token, Topics: []model.TopicInfo{}}
	for _, t := range page {
		out.Topics = append(out.Topics, model.TopicInfo{OutOfSyncReplicaCount: opt.Of(int32(0)), PartitionCount: opt.Of(t.Partitions()),
			ReplicationFactor: opt.Of(int32(t.Replicas())), TopicArn: topicARN(r, t.Name()), TopicName: opt.Of(t.Name())})
	}
	return out, nil
}
