package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// DeleteTopic
//
// Removes a topic and its records, as a Kafka client would. It is gone when the
// answer comes, though that says DELETING.
//
// Errors: NotFound; UnknownTopicOrPartition; BadRequest for a topic that is a Kinesis
// data stream, one of the brokers' own, and where delete.topic.enable is false.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-topics-topicname.html
//
// Status: done
// Deviation: a topic that a group is subscribed to can be removed, as by a Kafka client
func (d *Door) DeleteTopic(ctx context.Context, in *model.DeleteTopicInput) (*model.DeleteTopicOutput, error) {
	r, c, t, err := d.topic(in.ClusterArn, in.TopicName)
	if err != nil {
		return nil, err
	}
	if err := c.DeleteTopic(ctx, t); err != nil {
		return nil, topicError(err)
	}
	return &model.DeleteTopicOutput{Status: opt.Of(model.TopicStateDeleting), TopicArn: topicARN(r, t.Name()), TopicName: opt.Of(t.Name())}, nil
}
