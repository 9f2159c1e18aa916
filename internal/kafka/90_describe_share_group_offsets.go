package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// DescribeShareGroupOffsets
//
// Tells where share groups are in the partitions that are named, or in all that they
// have begun: the first record that is not done, and how many are not. Where a group has
// not begun, both are -1. A group that there is not has begun nowhere.
//
// Errors: COORDINATOR_NOT_AVAILABLE.
//
// Status: done
func (d *Door) describeShareOffsets(r *request, in *kmsg.DescribeShareGroupOffsetsRequest) (*kmsg.DescribeShareGroupOffsetsResponse, error) {
	resp := kmsg.NewPtrDescribeShareGroupOffsetsResponse()
	for i := range in.Groups {
		g := &in.Groups[i]
		out := kmsg.NewDescribeShareGroupOffsetsResponseGroup()
		out.GroupID = g.GroupID
		var err *brokers.Error
		if out.Topics, err = d.shareOffsets(r, g); err != nil {
			out.Topics = nil
		}
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		resp.Groups = append(resp.Groups, out)
	}
	return resp, nil
}

// shareOffsets are the offsets of the topics that are named of a group, or of all.
func (d *Door) shareOffsets(r *request, g *kmsg.DescribeShareGroupOffsetsRequestGroup) (out []kmsg.DescribeShareGroupOffsetsResponseGroupTopic, err *brokers.Error) {
	add := func(name string, o brokers.ShareOffset) {
		if n := len(out); n == 0 || out[n-1].Topic != name {
			t := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopic()
			t.Topic, t.TopicID = name, o.Topic
			out = append(out, t)
		}
		p := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopicPartition()
		p.Partition, p.StartOffset, p.LeaderEpoch, p.Lag = o.Partition, o.Start, o.Epoch, o.Lag
		t := &out[len(out)-1]
		t.Partitions = append(t.Partitions, p)
	}
	if g.Topics == nil {
		list, err := d.cluster.Shares().Offsets(r.ctx(), g.GroupID)
		for _, o := range list {
			if t := d.cluster.TopicByID(o.Topic); t != nil {
				add(t.Name(), o)
			}
		}
		return out, err
	}
	for i := range g.Topics {
		t := d.cluster.Topic(g.Topics[i].Topic)
		for _, n := range g.Topics[i].Partitions {
			o := brokers.ShareOffset{Partition: n, Start: -1, Lag: -1}
			if t != nil {
				if o, err = d.cluster.Shares().Offset(r.ctx(), g.GroupID, t, n); err != nil {
					return nil, err
				}
			}
			add(g.Topics[i].Topic, o)
		}
	}
	return out, nil
}
