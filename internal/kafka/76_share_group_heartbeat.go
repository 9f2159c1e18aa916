package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// ShareGroupHeartbeat
//
// Has a member of a share group (KIP-932) join, stay and leave, and tells it which
// partitions to read. The assignor is simple: partitions go round the members, and a
// partition has several members where there are more of them than partitions. What an
// answer rests on is durable. A group has 200 members at most, and goes only when it is
// deleted.
//
// Errors: UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, GROUP_MAX_SIZE_REACHED,
// GROUP_ID_NOT_FOUND, also for a group that is no share group; INVALID_REQUEST,
// COORDINATOR_NOT_AVAILABLE.
//
// Status: partial: assignments are made at once, as with an interval of 0, and do not wait for the state of a partition to be made; racks are kept and not heeded
func (d *Door) shareHeartbeat(r *request, in *kmsg.ShareGroupHeartbeatRequest) (*kmsg.ShareGroupHeartbeatResponse, error) {
	resp := kmsg.NewPtrShareGroupHeartbeatResponse()
	err := checkShareHeartbeat(in)
	var got brokers.Beaten
	if err == nil {
		got, err = d.cluster.Groups().HeartbeatShare(r.ctx(), brokers.Beat{
			Group: in.GroupID, MemberID: in.MemberID, Epoch: in.MemberEpoch, Rack: in.RackID, Rebalance: -1,
			ClientID: r.header.ClientID, ClientHost: r.clientHost(), Names: in.SubscribedTopicNames,
		})
	}
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = code(err), message(err)
		return resp, nil
	}
	resp.MemberID, resp.MemberEpoch, resp.HeartbeatIntervalMillis = &got.MemberID, got.Epoch, int32(got.Interval)
	if !got.Told {
		return resp, nil
	}
	a := kmsg.NewShareGroupHeartbeatResponseAssignment()
	resp.Assignment = &a
	for _, t := range got.Assigned {
		out := kmsg.NewShareGroupHeartbeatResponseAssignmentTopicPartition()
		out.TopicID, out.Partitions = t.Topic, t.Partitions
		a.TopicPartitions = append(a.TopicPartitions, out)
	}
	return resp, nil
}

// checkShareHeartbeat refuses what no client means, in Apache Kafka's words.
func checkShareHeartbeat(in *kmsg.ShareGroupHeartbeatRequest) *brokers.Error {
	switch {
	case in.MemberID == "":
		return refuse(brokers.InvalidRequest, "")
	case in.GroupID == "":
		return refuse(brokers.InvalidRequest, "GroupId can't be empty.")
	case in.RackID != nil && *in.RackID == "":
		return refuse(brokers.InvalidRequest, "RackId can't be empty.")
	case in.MemberEpoch == brokers.JoinEpoch && len(in.SubscribedTopicNames) == 0:
		return refuse(brokers.InvalidRequest, "SubscribedTopicNames must be set in first request.")
	case in.MemberEpoch < brokers.LeaveEpoch:
		return refuse(brokers.InvalidRequest, "MemberEpoch is invalid.")
	}
	return nil
}
