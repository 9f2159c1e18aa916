package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// guardShareHeartbeat is guardConsumerHeartbeat for share groups.
func guardShareHeartbeat(r *request, in *kmsg.ShareGroupHeartbeatRequest) (kmsg.Response, func(kmsg.Response)) {
	resp := kmsg.NewPtrShareGroupHeartbeatResponse()
	if !r.mayGroup(brokers.OpRead, in.GroupID) {
		resp.ErrorCode = code(groupDenied())
		return resp, nil
	}
	if _, no := split(in.SubscribedTopicNames, func(t *string) bool { return r.conn.mayTopic(brokers.OpDescribe, *t) }); len(no) > 0 {
		resp.ErrorCode = code(topicDenied())
		return resp, nil
	}
	return nil, nil
}

// guardDescribeShares is guardDescribeConsumers for share groups.
func guardDescribeShares(r *request, in *kmsg.ShareGroupDescribeRequest) (kmsg.Response, func(kmsg.Response)) {
	var no []string
	in.GroupIDs, no = split(in.GroupIDs, func(g *string) bool { return r.mayGroup(brokers.OpDescribe, *g) })
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.ShareGroupDescribeResponse)
		for i := range out.Groups {
			var names []string
			for _, m := range out.Groups[i].Members {
				names = append(names, m.SubscribedTopicNames...)
				for _, t := range m.Assignment.TopicPartitions {
					names = append(names, t.Topic)
				}
			}
			if slices.ContainsFunc(names, func(name string) bool { return !r.conn.mayTopic(brokers.OpDescribe, name) }) {
				o := kmsg.NewShareGroupDescribeResponseGroup()
				text := "The group has described topic(s) that the client is not authorized to describe."
				o.GroupID, o.ErrorCode, o.ErrorMessage = out.Groups[i].GroupID, code(topicDenied()), &text
				out.Groups[i] = o
			}
		}
		for _, g := range no {
			o := kmsg.NewShareGroupDescribeResponseGroup()
			o.GroupID, o.ErrorCode = g, code(groupDenied())
			out.Groups = append(out.Groups, o)
		}
	}
}

// guardShareOffsets shows of a group that may be described the topics that may be,
// too.
func guardShareOffsets(r *request, in *kmsg.DescribeShareGroupOffsetsRequest) (kmsg.Response, func(kmsg.Response)) {
	var no []kmsg.DescribeShareGroupOffsetsRequestGroup
	in.Groups, no = split(in.Groups, func(g *kmsg.DescribeShareGroupOffsetsRequestGroup) bool {
		return r.mayGroup(brokers.OpDescribe, g.GroupID)
	})
	all := map[string]bool{}
	for i := range in.Groups {
		all[in.Groups[i].GroupID] = in.Groups[i].Topics == nil
	}
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.DescribeShareGroupOffsetsResponse)
		for i := range out.Groups {
			g := &out.Groups[i]
			yes, hidden := split(g.Topics, func(t *kmsg.DescribeShareGroupOffsetsResponseGroupTopic) bool {
				return r.conn.mayTopic(brokers.OpDescribe, t.Topic)
			})
			if g.Topics = yes; all[g.GroupID] {
				continue
			}
			for _, t := range hidden {
				t.TopicID = [16]byte{}
				for k := range t.Partitions {
					t.Partitions[k] = kmsg.DescribeShareGroupOffsetsResponseGroupTopicPartition{Partition: t.Partitions[k].Partition, StartOffset: -1, Lag: -1,
						ErrorCode: code(topicDenied()), ErrorMessage: message(topicDenied())}
				}
				g.Topics = append(g.Topics, t)
			}
		}
		for _, g := range no {
			o := kmsg.NewDescribeShareGroupOffsetsResponseGroup()
			o.GroupID, o.ErrorCode, o.ErrorMessage = g.GroupID, code(groupDenied()), message(groupDenied())
			out.Groups = append(out.Groups, o)
		}
	}
}

func guardAlterShareOffsets(r *request, in *kmsg.AlterShareGroupOffsetsRequest) (kmsg.Response, func(kmsg.Response)) {
	if !r.mayGroup(brokers.OpRead, in.GroupID) {
		return &kmsg.AlterShareGroupOffsetsResponse{ErrorCode: code(groupDenied()), ErrorMessage: message(groupDenied())}, nil
	}
	var no []kmsg.AlterShareGroupOffsetsRequestTopic
	in.Topics, no = split(in.Topics, func(t *kmsg.AlterShareGroupOffsetsRequestTopic) bool { return r.conn.mayTopic(brokers.OpRead, t.Topic) })
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.AlterShareGroupOffsetsResponse)
		for _, t := range no {
			o := kmsg.NewAlterShareGroupOffsetsResponseTopic()
			o.Topic = t.Topic
			for _, p := range t.Partitions {
				o.Partitions = append(o.Partitions, kmsg.AlterShareGroupOffsetsResponseTopicPartition{Partition: p.Partition,
					ErrorCode: code(topicDenied()), ErrorMessage: message(topicDenied())})
			}
			out.Topics = append(out.Topics, o)
		}
	}
}

func guardDeleteShareOffsets(r *request, in *kmsg.DeleteShareGroupOffsetsRequest) (kmsg.Response, func(kmsg.Response)) {
	if !r.mayGroup(brokers.OpDelete, in.GroupID) {
		return &kmsg.DeleteShareGroupOffsetsResponse{ErrorCode: code(groupDenied()), ErrorMessage: message(groupDenied())}, nil
	}
	var no []kmsg.DeleteShareGroupOffsetsRequestTopic
	in.Topics, no = split(in.Topics, func(t *kmsg.DeleteShareGroupOffsetsRequestTopic) bool {
		return r.conn.mayTopic(brokers.OpRead, t.Topic)
	})
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.DeleteShareGroupOffsetsResponse)
		for _, t := range no {
			out.Topics = append(out.Topics, kmsg.DeleteShareGroupOffsetsResponseTopic{Topic: t.Topic, ErrorCode: code(topicDenied()), ErrorMessage: message(topicDenied())})
		}
	}
}
