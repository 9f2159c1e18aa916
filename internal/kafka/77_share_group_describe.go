package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// ShareGroupDescribe
//
// Tells the state of share groups, and of their members: what they read and have.
//
// Errors: GROUP_ID_NOT_FOUND, also for a group that is no share group;
// INVALID_GROUP_ID, COORDINATOR_NOT_AVAILABLE.
//
// Status: done
func (d *Door) describeShares(r *request, in *kmsg.ShareGroupDescribeRequest) (*kmsg.ShareGroupDescribeResponse, error) {
	resp := kmsg.NewPtrShareGroupDescribeResponse()
	for _, id := range in.GroupIDs {
		out := kmsg.NewShareGroupDescribeResponseGroup()
		out.GroupID, out.AuthorizedOperations = id, r.conn.operations(in.IncludeAuthorizedOperations, brokers.GroupKind, id)
		g, err := d.cluster.Groups().DescribeShare(r.ctx(), id)
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		out.GroupState, out.GroupEpoch, out.AssignmentEpoch, out.Assignor = string(g.State), g.Epoch, g.TargetEpoch, g.Assignor
		for i := range g.Members {
			out.Members = append(out.Members, shareMember(&g.Members[i]))
		}
		resp.Groups = append(resp.Groups, out)
	}
	return resp, nil
}

func shareMember(m *brokers.ConsumerMember) kmsg.ShareGroupDescribeResponseGroupMember {
	out := kmsg.NewShareGroupDescribeResponseGroupMember()
	out.MemberID, out.RackID, out.MemberEpoch = m.ID, m.Rack, m.Epoch
	out.ClientID, out.ClientHost, out.SubscribedTopicNames = m.ClientID, m.ClientHost, m.Names
	for _, t := range m.Assigned {
		tp := kmsg.NewShareGroupDescribeResponseGroupMemberAssignmentTopicPartition()
		tp.TopicID, tp.Topic, tp.Partitions = t.Topic, t.Name, t.Partitions
		out.Assignment.TopicPartitions = append(out.Assignment.TopicPartitions, tp)
	}
	return out
}
