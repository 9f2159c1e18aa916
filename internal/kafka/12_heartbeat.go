package kafka

import "github.com/twmb/franz-go/pkg/kmsg"

// Heartbeat
//
// Keeps a member's session alive, and tells it of a rebalance.
//
// Errors: UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS,
// FENCED_INSTANCE_ID, INVALID_GROUP_ID, COORDINATOR_NOT_AVAILABLE.
//
// Status: done
func (d *Door) heartbeat(r *request, in *kmsg.HeartbeatRequest) (*kmsg.HeartbeatResponse, error) {
	resp := kmsg.NewPtrHeartbeatResponse()
	resp.ErrorCode = code(d.cluster.Groups().Heartbeat(r.ctx(), in.Group, in.MemberID, deref(in.InstanceID), in.Generation))
	return resp, nil
}
