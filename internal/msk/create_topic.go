package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/brokers"
	"thalweg/internal/opt"
)

// CreateTopic
//
// Makes a topic, as a Kafka client would. Configs are its own entries: lines of
// NAME=VALUE, in base64. It can be used when the answer comes, though that says
// CREATING.
//
// Errors: NotFound; TopicExists; BadRequest for a name, numbers or entries that Kafka
// does not take, and while the cluster does not run.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-topics.html
//
// Status: done
func (d *Door) CreateTopic(ctx context.Context, in *model.CreateTopicInput) (*model.CreateTopicOutput, error) {
	r, c, err := d.topics(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	configs, err := parseConfigs(in.Configs)
	if err != nil {
		return nil, err
	}
	if in.ReplicationFactor.V > int32(r.Cluster.Brokers) {
		return nil, invalid("replicationFactor", "The replication factor is larger than the number of brokers.")
	}
	n := brokers.NewTopic{Name: in.TopicName.V, Partitions: in.PartitionCount.V, Replication: int16(in.ReplicationFactor.V), Configs: configs}
	if _, err := c.CreateTopic(ctx, n); err != nil {
		return nil, topicError(err)
	}
	return &model.CreateTopicOutput{Status: opt.Of(model.TopicStateCreating), TopicArn: topicARN(r, in.TopicName.V), TopicName: in.TopicName}, nil
}
