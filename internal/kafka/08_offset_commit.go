package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// OffsetCommit
//
// Makes a group's offsets durable, with their metadata, before it answers. Clients
// that are no members may commit while the group has none. The offsets of a group
// without members are forgotten after seven days (offsets.retention.minutes), or
// after the time that versions 2 to 4 give; the group is there as long as the last.
//
// Errors: ILLEGAL_GENERATION, STALE_MEMBER_EPOCH, UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS,
// FENCED_INSTANCE_ID, UNSUPPORTED_VERSION for a member of the consumer protocol before
// version 9, INVALID_GROUP_ID, OFFSET_METADATA_TOO_LARGE beyond 4096
// bytes, UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, COORDINATOR_NOT_AVAILABLE.
//
// Status: done
func (d *Door) offsetCommit(r *request, in *kmsg.OffsetCommitRequest) (*kmsg.OffsetCommitResponse, error) {
	var list []brokers.Commit
	var retention int64
	if in.Version >= 2 && in.Version <= 4 && in.RetentionTimeMillis != -1 {
		retention = max(in.RetentionTimeMillis, 1)
	}
	for i := range in.Topics {
		t := &in.Topics[i]
		name, missing := t.Topic, (*brokers.Error)(nil)
		if in.Version >= 10 {
			name, missing = d.nameOf(t.TopicID)
		}
		for _, p := range t.Partitions {
			list = append(list, brokers.Commit{Topic: name, Partition: p.Partition, Err: missing, Retention: retention,
				Committed: brokers.Committed{Offset: p.Offset, Epoch: p.LeaderEpoch, Metadata: deref(p.Metadata)}})
		}
	}
	all := d.committable(r, in)
	if all == nil {
		all = d.cluster.Groups().Commit(r.ctx(), in.Group, in.MemberID, deref(in.InstanceID), in.Generation, list)
	}
	if all != nil && all.Code == brokers.GroupIDNotFound && in.Version < 9 {
		all = refuse(brokers.IllegalGeneration, all.Msg) // what clients of these versions know
	}
	resp := kmsg.NewPtrOffsetCommitResponse()
	next := 0
	for i := range in.Topics {
		t := kmsg.NewOffsetCommitResponseTopic()
		t.Topic, t.TopicID = in.Topics[i].Topic, in.Topics[i].TopicID
		for _, p := range in.Topics[i].Partitions {
			out := kmsg.NewOffsetCommitResponseTopicPartition()
			out.Partition, out.ErrorCode = p.Partition, code(list[next].Err)
			if all != nil {
				out.ErrorCode = code(all)
			}
			next++
			t.Partitions = append(t.Partitions, out)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp, nil
}

// nameOf is the name of the topic of that id.
func (d *Door) nameOf(id brokers.TopicID) (string, *brokers.Error) {
	if t := d.cluster.TopicByID(id); t != nil {
		return t.Name(), nil
	}
	return "", unknownTopicID()
}

// committable refuses a member of the consumer protocol in versions that do not
// know the codes which it may be answered.
func (d *Door) committable(r *request, in *kmsg.OffsetCommitRequest) *brokers.Error {
	if in.Version >= 9 || in.Generation < 0 {
		return nil
	}
	is, err := d.cluster.Groups().OfConsumerProtocol(r.ctx(), in.Group, in.MemberID)
	if is {
		err = refuse(brokers.UnsupportedVersion, "OffsetCommit version 9 or above must be used by members using the consumer group protocol")
	}
	return err
}
