package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// DescribeTopic
//
// Tells of a topic. Configs are its own entries, as CreateTopic takes them.
//
// Errors: NotFound; UnknownTopicOrPartition; BadRequest while the cluster does not
// run.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-topics-topicname.html
//
// Status: done
func (d *Door) DescribeTopic(_ context.Context, in *model.DescribeTopicInput) (*model.DescribeTopicOutput, error) {
	r, _, t, err := d.topic(in.ClusterArn, in.TopicName)
	if err != nil {
		return nil, err
	}
	return &model.DescribeTopicOutput{Configs: configsOf(t), PartitionCount: opt.Of(t.Partitions()), ReplicationFactor: opt.Of(int32(t.Replicas())),
		Status: opt.Of(model.TopicStateActive), TopicArn: topicARN(r, t.Name()), TopicName: opt.Of(t.Name())}, nil
}
