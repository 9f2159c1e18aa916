package msk

import (
	"context"
	"maps"
	"slices"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/brokers"
	"thalweg/internal/opt"
)

// UpdateTopic
//
// Gives a topic more partitions, other entries (lines of NAME=VALUE, in base64; what
// they do not name stays), or both, entries first.
//
// Errors: NotFound; UnknownTopicOrPartition; BadRequest for what Kafka does not take,
// fewer partitions, a topic that is a Kinesis data stream, and neither of the two.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-topics-topicname.html
//
// Status: done
func (d *Door) UpdateTopic(ctx context.Context, in *model.UpdateTopicInput) (*model.UpdateTopicOutput, error) {
	r, c, t, err := d.topic(in.ClusterArn, in.TopicName)
	if err != nil {
		return nil, err
	}
	configs, err := parseConfigs(in.Configs)
	if err != nil {
		return nil, err
	}
	if len(configs) == 0 && !in.PartitionCount.Set {
		return nil, model.NewBadRequestException("The request includes neither configs nor a number of partitions.")
	}
	if in.PartitionCount.Set {
		if err := c.GrowTopic(ctx, t, brokers.Growth{Partitions: in.PartitionCount.V, CheckOnly: true}); err != nil {
			return nil, topicError(err)
		}
	}
	if len(configs) > 0 {
		var changes []brokers.ConfigChange
		for _, name := range slices.Sorted(maps.Keys(configs)) {
			changes = append(changes, brokers.ConfigChange{Name: name, Value: configs[name], Op: brokers.SetConfig})
		}
		if err := c.ChangeConfigs(ctx, t, changes, false, false); err != nil {
			return nil, topicError(err)
		}
	}
	if in.PartitionCount.Set {
		if err := c.GrowTopic(ctx, t, brokers.Growth{Partitions: in.PartitionCount.V}); err != nil {
			return nil, topicError(err)
		}
	}
	return &model.UpdateTopicOutput{Status: opt.Of(model.TopicStateUpdating), TopicArn: topicARN(r, t.Name()), TopicName: opt.Of(t.Name())}, nil
}
