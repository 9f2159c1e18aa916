package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// OffsetFetch
//
// Tells what groups have committed: for the partitions named, or all. Where
// nothing was committed, and for a group that there is not, the offset is -1 and
// that is no error. A client that wants stable offsets is told to come again while
// an open transaction will decide on one.
//
// Errors: UNKNOWN_MEMBER_ID and STALE_MEMBER_EPOCH for members of the consumer
// protocol; UNSTABLE_OFFSET_COMMIT, INVALID_GROUP_ID, UNKNOWN_TOPIC_ID, COORDINATOR_NOT_AVAILABLE.
//
// Status: done
func (d *Door) offsetFetch(r *request, in *kmsg.OffsetFetchRequest) (*kmsg.OffsetFetchResponse, error) {
	resp := kmsg.NewPtrOffsetFetchResponse()
	if in.Version >= 8 {
		for i := range in.Groups {
			resp.Groups = append(resp.Groups, d.fetchOffsets(r, &in.Groups[i], in.Version, in.RequireStable))
		}
		return resp, nil
	}
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = in.Group
	if in.Topics != nil || in.Version < 2 {
		g.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
	}
	for _, t := range in.Topics {
		g.Topics = append(g.Topics, kmsg.OffsetFetchRequestGroupTopic{Topic: t.Topic, Partitions: t.Partitions})
	}
	got := d.fetchOffsets(r, &g, in.Version, in.RequireStable)
	resp.ErrorCode = got.ErrorCode
	for _, t := range got.Topics {
		out := kmsg.NewOffsetFetchResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			o := kmsg.NewOffsetFetchResponseTopicPartition()
			o.Partition, o.Offset, o.LeaderEpoch, o.Metadata, o.ErrorCode = p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode
			out.Partitions = append(out.Partitions, o)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}

func (d *Door) fetchOffsets(r *request, in *kmsg.OffsetFetchRequestGroup, version int16, stable bool) kmsg.OffsetFetchResponseGroup {
	out := kmsg.NewOffsetFetchResponseGroup()
	out.Group = in.Group
	err := d.cluster.Groups().MayFetch(r.ctx(), in.Group, in.MemberID, in.MemberEpoch)
	switch {
	case err != nil:
	case in.Topics == nil:
		err = d.cluster.Groups().FetchAll(r.ctx(), in.Group, func(topic string, partition int32, c brokers.Fetched) {
			if n := len(out.Topics); n == 0 || out.Topics[n-1].Topic != topic {
				t := kmsg.NewOffsetFetchResponseGroupTopic()
				t.Topic = topic
				if known := d.cluster.Topic(topic); known != nil {
					t.TopicID = known.ID()
				}
				out.Topics = append(out.Topics, t)
			}
			t := &out.Topics[len(out.Topics)-1]
			t.Partitions = append(t.Partitions, committed(partition, c, stable))
		})
	default:
		err = d.cluster.Groups().Fetch(r.ctx(), in.Group, func(get func(string, int32) brokers.Fetched) {
			for i := range in.Topics {
				out.Topics = append(out.Topics, d.fetchTopic(&in.Topics[i], version, stable, get))
			}
		})
	}
	out.ErrorCode = code(err)
	return out
}

func (d *Door) fetchTopic(in *kmsg.OffsetFetchRequestGroupTopic, version int16, stable bool, get func(string, int32) brokers.Fetched) kmsg.OffsetFetchResponseGroupTopic {
	out := kmsg.NewOffsetFetchResponseGroupTopic()
	out.Topic, out.TopicID = in.Topic, in.TopicID
	name, known := in.Topic, true
	if version >= 10 {
		t := d.cluster.TopicByID(in.TopicID)
		if known = t != nil; known {
			name = t.Name()
		}
	}
	for _, p := range in.Partitions {
		o := committed(p, get(name, p), stable)
		if !known {
			o = committed(p, brokers.Fetched{}, stable)
			o.ErrorCode = code(unknownTopicID())
		}
		out.Partitions = append(out.Partitions, o)
	}
	return out
}

// committed is what is answered for a partition.
func committed(partition int32, c brokers.Fetched, stable bool) kmsg.OffsetFetchResponseGroupTopicPartition {
	out := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	out.Partition, out.Offset, out.LeaderEpoch, out.Metadata = partition, -1, -1, new(string)
	switch {
	case stable && c.Unstable:
		out.ErrorCode = int16(brokers.UnstableOffsetCommit)
	case c.OK:
		out.Offset, out.LeaderEpoch, out.Metadata = c.Offset, c.Epoch, &c.Metadata
	}
	return out
}
