package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// AlterShareGroupOffsets
//
// Has a share group without members begin anew at the offsets that are named: what it
// has done, or not, of these partitions is forgotten. A group that there is not is made.
//
// Errors: NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND for a group that is no share group,
// INVALID_GROUP_ID, UNKNOWN_TOPIC_OR_PARTITION, COORDINATOR_NOT_AVAILABLE.
//
// Status: done
func (d *Door) alterShareOffsets(r *request, in *kmsg.AlterShareGroupOffsetsRequest) (*kmsg.AlterShareGroupOffsetsResponse, error) {
	resp := kmsg.NewPtrAlterShareGroupOffsetsResponse()
	if err := d.emptyShare(r, in.GroupID, true); err != nil {
		resp.ErrorCode, resp.ErrorMessage = code(err), message(err)
		return resp, nil
	}
	for i := range in.Topics {
		t := d.cluster.Topic(in.Topics[i].Topic)
		out := kmsg.NewAlterShareGroupOffsetsResponseTopic()
		if out.Topic = in.Topics[i].Topic; t != nil {
			out.TopicID = t.ID()
		}
		for _, p := range in.Topics[i].Partitions {
			err := unknownTopic()
			if t != nil && p.Partition >= 0 && p.Partition < t.Partitions() {
				err = d.cluster.Shares().SetOffset(r.ctx(), in.GroupID, t, p.Partition, max(p.StartOffset, 0))
			}
			part := kmsg.NewAlterShareGroupOffsetsResponseTopicPartition()
			part.Partition, part.ErrorCode, part.ErrorMessage = p.Partition, code(err), message(err)
			out.Partitions = append(out.Partitions, part)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}

// emptyShare finds a share group without members, and makes it if create is set.
func (d *Door) emptyShare(r *request, id string, create bool) *brokers.Error {
	if id == "" {
		return refuse(brokers.InvalidGroupID, "The group id is invalid.")
	}
	return d.cluster.Groups().EmptyShare(r.ctx(), id, create)
}
