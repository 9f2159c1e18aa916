package kafka

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// ConsumerGroupHeartbeat
//
// Has a member of a group of the consumer protocol (KIP-848) join, stay and leave,
// and brings it to its part of the topics step by step: it is told which partitions
// it may use, gives up those that it is not told any more, and only then gets what
// others have given up. The assignors are uniform, the default, and range. What
// an answer rests on is durable. A regular expression is looked at when it comes,
// and again with the first heartbeat ten seconds later. The first such member of
// a group of the classic protocol has it go on as one of this protocol, with the
// members that it has and what they were assigned.
//
// Errors: UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, FENCED_INSTANCE_ID,
// UNRELEASED_INSTANCE_ID, UNSUPPORTED_ASSIGNOR, INVALID_REGULAR_EXPRESSION,
// GROUP_ID_NOT_FOUND, also for a group whose members do not read topics or assign
// by data of their own; INVALID_REQUEST, COORDINATOR_NOT_AVAILABLE.
//
// Status: partial: assignments are made at once, as with an interval of 0; racks are kept and not heeded
func (d *Door) consumerHeartbeat(r *request, in *kmsg.ConsumerGroupHeartbeatRequest) (*kmsg.ConsumerGroupHeartbeatResponse, error) {
	resp := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	err := checkConsumerHeartbeat(in)
	var got brokers.Beaten
	if err == nil {
		got, err = d.cluster.Groups().HeartbeatConsumer(r.ctx(), consumerBeat(r, in))
	}
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = code(err), message(err)
		return resp, nil
	}
	resp.MemberID, resp.MemberEpoch, resp.HeartbeatIntervalMillis = &got.MemberID, got.Epoch, int32(got.Interval)
	if !got.Told {
		return resp, nil
	}
	a := kmsg.NewConsumerGroupHeartbeatResponseAssignment()
	resp.Assignment = &a
	for _, t := range got.Assigned {
		out := kmsg.NewConsumerGroupHeartbeatResponseAssignmentTopic()
		out.TopicID, out.Partitions = t.Topic, t.Partitions
		a.Topics = append(a.Topics, out)
	}
	return resp, nil
}

func consumerBeat(r *request, in *kmsg.ConsumerGroupHeartbeatRequest) brokers.Beat {
	b := brokers.Beat{
		Group: in.Group, MemberID: in.MemberID, Epoch: in.MemberEpoch, Instance: in.InstanceID, Rack: in.RackID,
		ClientID: r.header.ClientID, ClientHost: r.clientHost(), Rebalance: int64(in.RebalanceTimeoutMillis),
		Names: in.SubscribedTopicNames, Regex: in.SubscribedTopicRegex, Assignor: in.ServerAssignor,
		MayDescribe: func(topic string) bool { return r.conn.mayTopic(brokers.OpDescribe, topic) },
	}
	if in.Topics == nil {
		return b
	}
	b.Owned = []brokers.TopicPartitions{}
	for _, t := range in.Topics {
		b.Owned = append(b.Owned, brokers.TopicPartitions{Topic: t.TopicID, Partitions: t.Partitions})
	}
	return b
}

// checkConsumerHeartbeat refuses what no client means, in Apache Kafka's words.
func checkConsumerHeartbeat(in *kmsg.ConsumerGroupHeartbeatRequest) *brokers.Error {
	invalid := func(text string) *brokers.Error { return refuse(brokers.InvalidRequest, text) }
	empty := func(s *string) bool { return s != nil && *s == "" }
	switch {
	case in.MemberID == "" && (in.Version >= 1 || in.MemberEpoch > 0 || in.MemberEpoch == brokers.LeaveEpoch):
		return invalid("MemberId can't be empty.")
	case in.Group == "":
		return invalid("GroupId can't be empty.")
	case empty(in.InstanceID):
		return invalid("InstanceId can't be empty.")
	case empty(in.RackID):
		return invalid("RackId can't be empty.")
	case in.MemberEpoch == brokers.JoinEpoch && in.RebalanceTimeoutMillis == -1:
		return invalid("RebalanceTimeoutMs must be provided in first request.")
	case in.MemberEpoch == brokers.JoinEpoch && (in.Topics == nil || len(in.Topics) > 0):
		return invalid("TopicPartitions must be empty when (re-)joining.")
	case in.MemberEpoch == brokers.JoinEpoch && in.SubscribedTopicNames == nil && in.SubscribedTopicRegex == nil:
		return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
	case in.MemberEpoch == brokers.AwayEpoch && in.InstanceID == nil:
		return invalid("InstanceId can't be null.")
	case in.MemberEpoch < brokers.AwayEpoch:
		return invalid("MemberEpoch is invalid.")
	}
	if known := brokers.ConsumerAssignors(); in.ServerAssignor != nil && !slices.Contains(known, *in.ServerAssignor) {
		return refuse(brokers.UnsupportedAssignor, "ServerAssignor "+*in.ServerAssignor+" is not supported. Supported assignors: "+strings.Join(known, ", ")+".")
	}
	return nil
}
