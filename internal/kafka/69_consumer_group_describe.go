package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// ConsumerGroupDescribe
//
// Tells the state of groups of the consumer protocol, and of their members: what
// they read, have, and are to have.
//
// Errors: GROUP_ID_NOT_FOUND, also for a group of the classic protocol;
// INVALID_GROUP_ID, COORDINATOR_NOT_AVAILABLE.
//
// Status: done
func (d *Door) describeConsumers(r *request, in *kmsg.ConsumerGroupDescribeRequest) (*kmsg.ConsumerGroupDescribeResponse, error) {
	resp := kmsg.NewPtrConsumerGroupDescribeResponse()
	for _, id := range in.Groups {
		out := kmsg.NewConsumerGroupDescribeResponseGroup()
		out.Group, out.AuthorizedOperations = id, r.conn.operations(in.IncludeAuthorizedOperations, brokers.GroupKind, id)
		g, err := d.cluster.Groups().DescribeConsumers(r.ctx(), id)
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		out.State, out.Epoch, out.AssignmentEpoch, out.AssignorName = string(g.State), g.Epoch, g.TargetEpoch, g.Assignor
		for i := range g.Members {
			out.Members = append(out.Members, consumerMember(&g.Members[i]))
		}
		resp.Groups = append(resp.Groups, out)
	}
	return resp, nil
}

func consumerMember(m *brokers.ConsumerMember) kmsg.ConsumerGroupDescribeResponseGroupMember {
	out := kmsg.NewConsumerGroupDescribeResponseGroupMember()
	out.MemberID, out.InstanceID, out.RackID, out.MemberEpoch = m.ID, m.Instance, m.Rack, m.Epoch
	out.ClientID, out.ClientHost, out.SubscribedTopics, out.SubscribedTopicRegex = m.ClientID, m.ClientHost, m.Names, &m.Regex
	out.Assignment, out.TargetAssignment, out.MemberType = assignment(m.Assigned), assignment(m.Target), 1
	if m.Classic {
		out.MemberType = 0
	}
	return out
}

func assignment(list []brokers.TopicPartitions) kmsg.Assignment {
	out := kmsg.NewAssignment()
	for _, t := range list {
		tp := kmsg.NewAssignmentTopicPartition()
		tp.TopicID, tp.Topic, tp.Partitions = t.Topic, t.Name, t.Partitions
		out.TopicPartitions = append(out.TopicPartitions, tp)
	}
	return out
}
