package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// OffsetDelete
//
// Removes what a group has committed for topics that no member of it reads.
//
// Errors: GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP for members that are no consumers,
// GROUP_SUBSCRIBED_TO_TOPIC, UNKNOWN_TOPIC_OR_PARTITION, INVALID_GROUP_ID,
// COORDINATOR_NOT_AVAILABLE.
//
// Status: done
func (d *Door) offsetDelete(r *request, in *kmsg.OffsetDeleteRequest) (*kmsg.OffsetDeleteResponse, error) {
	var list []brokers.Commit
	for _, t := range in.Topics {
		for _, p := range t.Partitions {
			list = append(list, brokers.Commit{Topic: t.Topic, Partition: p.Partition})
		}
	}
	resp := kmsg.NewPtrOffsetDeleteResponse()
	err := d.cluster.Groups().DeleteOffsets(r.ctx(), in.Group, list)
	if resp.ErrorCode = code(err); err != nil {
		return resp, nil
	}
	next := 0
	for _, t := range in.Topics {
		out := kmsg.NewOffsetDeleteResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			o := kmsg.NewOffsetDeleteResponseTopicPartition()
			o.Partition, o.ErrorCode = p.Partition, code(list[next].Err)
			next++
			out.Partitions = append(out.Partitions, o)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}
