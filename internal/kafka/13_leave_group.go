package kafka

import "github.com/twmb/franz-go/pkg/kmsg"

// LeaveGroup
//
// Takes members out of a group, which then rebalances: the client itself, or, from
// version 3 on, those named, static ones by their instance alone.
//
// Errors: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, INVALID_GROUP_ID,
// COORDINATOR_NOT_AVAILABLE.
//
// Status: done
func (d *Door) leaveGroup(r *request, in *kmsg.LeaveGroupRequest) (*kmsg.LeaveGroupResponse, error) {
	resp := kmsg.NewPtrLeaveGroupResponse()
	if in.Version < 3 {
		resp.ErrorCode = code(d.cluster.Groups().Leave(r.ctx(), in.Group, in.MemberID, ""))
		return resp, nil
	}
	for i := range in.Members {
		m := &in.Members[i]
		out := kmsg.NewLeaveGroupResponseMember()
		out.MemberID, out.InstanceID = m.MemberID, m.InstanceID
		out.ErrorCode = code(d.cluster.Groups().Leave(r.ctx(), in.Group, m.MemberID, deref(m.InstanceID)))
		resp.Members = append(resp.Members, out)
	}
	return resp, nil
}
