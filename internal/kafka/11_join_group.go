package kafka

import (
	"bytes"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// JoinGroup
//
// Makes the client a member of a group, or says that it still is one, and answers
// when every member has joined or the rebalance timeout is over. A new dynamic
// member is first given its id (KIP-394); a static member that comes back takes
// its place without a rebalance (KIP-345). There is no initial delay: the first
// member of a group is alone in its first generation. A group of the consumer
// protocol takes members of this one as well: they follow what the server assigns,
// without a leader, and the group is of this protocol again when it has no others.
//
// Errors: MEMBER_ID_REQUIRED, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID,
// INCONSISTENT_GROUP_PROTOCOL, INVALID_SESSION_TIMEOUT outside of 6 s to 30 min,
// INVALID_GROUP_ID, REBALANCE_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE.
//
// Status: done
func (d *Door) joinGroup(r *request, in *kmsg.JoinGroupRequest) (*kmsg.JoinGroupResponse, error) {
	j := brokers.Join{
		Group: in.Group, MemberID: in.MemberID, Instance: deref(in.InstanceID), ClientID: r.header.ClientID, ClientHost: r.clientHost(),
		Session: int64(in.SessionTimeoutMillis), Rebalance: int64(in.RebalanceTimeoutMillis), ProtocolType: in.ProtocolType,
		NeedsID: in.Version >= 4, CanSkip: in.Version >= 9,
		MayDescribe: func(topic string) bool { return r.conn.mayTopic(brokers.OpDescribe, topic) },
	}
	if in.Version == 0 {
		j.Rebalance = j.Session
	}
	for _, p := range in.Protocols {
		j.Protocols = append(j.Protocols, brokers.Protocol{Name: p.Name, Metadata: bytes.Clone(p.Metadata)}) // the frame is used again
	}
	got := d.cluster.Groups().Join(r.ctx(), j)
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.ErrorCode, resp.Generation, resp.LeaderID, resp.MemberID = code(got.Err), got.Generation, got.Leader, got.MemberID
	resp.SkipAssignment = got.SkipAssignment
	if got.Err != nil {
		if in.Version < 7 {
			resp.Protocol = new(string)
		}
		return resp, nil
	}
	resp.ProtocolType, resp.Protocol = &got.ProtocolType, &got.Protocol
	for _, m := range got.Members {
		out := kmsg.NewJoinGroupResponseMember()
		out.MemberID, out.ProtocolMetadata = m.ID, m.Metadata
		if m.Instance != "" {
			out.InstanceID = &m.Instance
		}
		resp.Members = append(resp.Members, out)
	}
	return resp, nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// clientHost is where the client is, in the form of Kafka's tools.
func (r *request) clientHost() string {
	host, _, err := net.SplitHostPort(r.conn.nc.RemoteAddr().String())
	if err != nil {
		return ""
	}
	return "/" + host
}
