package msk

import (
	"context"
	"fmt"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// DescribeTopicPartitions
//
// Tells which brokers lead and hold the partitions of a topic, by number, at most 100
// an answer (MaxResults). All hold the one log, and are in sync.
//
// Errors: NotFound; UnknownTopicOrPartition; BadRequest for a token that is none, and
// while the cluster does not run.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-topics-topicname-partitions.html
//
// Status: done
func (d *Door) DescribeTopicPartitions(_ context.Context, in *model.DescribeTopicPartitionsInput) (*model.DescribeTopicPartitionsOutput, error) {
	_, c, t, err := d.topic(in.ClusterArn, in.TopicName)
	if err != nil {
		return nil, err
	}
	var all []int32
	for i := range t.Partitions() {
		if _, there := t.Partition(i); there {
			all = append(all, i)
		}
	}
	page, token, err := pageOf(all, in.NextToken, in.MaxResults, func(i int32) string { return fmt.Sprintf("%08d", i) })
	if err != nil {
		return nil, err
	}
	out := &model.DescribeTopicPartitionsOutput{NextToken: token, Partitions: []model.TopicPartitionInfo{}}
	for _, i := range page {
		replicas := c.Replicas(t, i)
		out.Partitions = append(out.Partitions, model.TopicPartitionInfo{Isr: replicas, Leader: opt.Of(c.Leader(t, i)), Partition: opt.Of(i),
			Replicas: replicas})
	}
	return out, nil
}
