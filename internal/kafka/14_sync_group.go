package kafka

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// SyncGroup
//
// Gives a member its assignment when the leader has brought it and it is durable,
// so that a group outlives the server.
//
// Errors: UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS,
// INCONSISTENT_GROUP_PROTOCOL, FENCED_INSTANCE_ID, INVALID_GROUP_ID,
// COORDINATOR_NOT_AVAILABLE.
//
// Status: done
func (d *Door) syncGroup(r *request, in *kmsg.SyncGroupRequest) (*kmsg.SyncGroupResponse, error) {
	s := brokers.Sync{Group: in.Group, MemberID: in.MemberID, Instance: deref(in.InstanceID), Generation: in.Generation,
		ProtocolType: in.ProtocolType, Protocol: in.Protocol, Assignments: map[string][]byte{}}
	for _, a := range in.GroupAssignment {
		s.Assignments[a.MemberID] = bytes.Clone(a.MemberAssignment) // the frame is used again
	}
	got := d.cluster.Groups().Sync(r.ctx(), s)
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.ErrorCode, resp.MemberAssignment = code(got.Err), got.Assignment
	if got.Err == nil {
		resp.ProtocolType, resp.Protocol = &got.ProtocolType, &got.Protocol
	}
	return resp, nil
}
