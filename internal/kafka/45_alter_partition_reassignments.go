package kafka

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// AlterPartitionAssignments
//
// Takes an assignment of replicas that is the present one. Any other is refused:
// the brokers share one log, and replicas are where the partition's number puts
// them.
//
// Errors: INVALID_REPLICA_ASSIGNMENT, NO_REASSIGNMENT_IN_PROGRESS,
// UNKNOWN_TOPIC_OR_PARTITION, CLUSTER_AUTHORIZATION_FAILED.
//
// Status: partial: replicas cannot be moved
func (d *Door) alterAssignments(_ *request, in *kmsg.AlterPartitionAssignmentsRequest) (*kmsg.AlterPartitionAssignmentsResponse, error) {
	resp := kmsg.NewPtrAlterPartitionAssignmentsResponse()
	resp.AllowReplicationFactorChange = in.AllowReplicationFactorChange
	for _, t := range in.Topics {
		topic := d.cluster.Topic(t.Topic)
		out := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			o := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			o.Partition = p.Partition
			var err *brokers.Error
			if topic == nil {
				err = refuse(brokers.UnknownTopic, "Unable to find a topic named "+t.Topic+".")
			} else {
				err = d.reassign(topic, p.Partition, p.Replicas)
			}
			o.ErrorCode = code(err)
			if err != nil && err.Msg != "" {
				o.ErrorMessage = message(err)
			}
			out.Partitions = append(out.Partitions, o)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}

// reassign refuses replicas that are not those of the partition; nil gives up what
// is on its way.
func (d *Door) reassign(t *brokers.Topic, partition int32, replicas []int32) *brokers.Error {
	invalid := func(format string, args ...any) *brokers.Error {
		return refuse(brokers.InvalidAssignment, fmt.Sprintf(format, args...))
	}
	switch {
	case partition < 0 || partition >= t.Partitions():
		return refuse(brokers.UnknownTopic, fmt.Sprintf("Unable to find partition %s:%d.", t.Name(), partition))
	case replicas == nil:
		return refuse(brokers.NoReassignment, "")
	case len(replicas) == 0:
		return invalid("The manual partition assignment includes an empty replica list.")
	}
	for i, b := range replicas {
		switch {
		case b < 1 || b > d.cluster.Brokers():
			return invalid("The manual partition assignment includes broker %d, but no such broker is registered.", b)
		case slices.Contains(replicas[:i], b):
			return invalid("The manual partition assignment includes the broker %d more than once.", b)
		}
	}
	if present := d.cluster.Replicas(t, partition); !slices.Equal(replicas, present) {
		return invalid("The brokers share one log, so replicas cannot be moved: those of partition %d are %v.", partition, present)
	}
	return nil
}
