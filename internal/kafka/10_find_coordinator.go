package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// FindCoordinator
//
// Tells which broker to ask about a consumer group or a transactional id, and makes
// the place where they are kept when it is first asked.
//
// A group without a name has a coordinator too; joining it is what is refused.
//
// Errors: COORDINATOR_NOT_AVAILABLE while they cannot be read;
// INVALID_REQUEST for coordinators of other kinds.
//
// Status: partial: coordinators of share groups are refused
func (d *Door) findCoordinator(r *request, in *kmsg.FindCoordinatorRequest) (*kmsg.FindCoordinatorResponse, error) {
	resp := kmsg.NewPtrFindCoordinatorResponse()
	one := func(key string) kmsg.FindCoordinatorResponseCoordinator {
		out := kmsg.NewFindCoordinatorResponseCoordinator()
		out.Key, out.NodeID, out.Port = key, -1, -1
		var err *brokers.Error
		id := int32(-1)
		switch {
		case in.CoordinatorType < 0 || in.CoordinatorType > 2:
			err = refuse(brokers.InvalidRequest, malformed)
		case in.CoordinatorType == 2:
			err = refuse(brokers.InvalidRequest, "This server coordinates consumer groups and transactions only.")
		case in.CoordinatorType == 1:
			err, id = d.cluster.Transactions().Ready(r.ctx()), d.cluster.Transactions().Coordinator(key)
		default:
			err, id = d.cluster.Groups().Ready(r.ctx()), d.cluster.Groups().Coordinator(key)
		}
		if out.ErrorCode, out.ErrorMessage = code(err), message(err); err != nil {
			return out
		}
		none := "" // as Apache Kafka says it
		if in.Version < 4 {
			none = "NONE"
		}
		out.ErrorMessage = &none
		for _, b := range r.conn.brokers() {
			if b.id == id {
				out.NodeID, out.Host, out.Port = b.id, b.host, b.port
			}
		}
		return out
	}
	if in.Version >= 4 {
		for _, key := range in.CoordinatorKeys {
			resp.Coordinators = append(resp.Coordinators, one(key))
		}
		return resp, nil
	}
	c := one(in.CoordinatorKey)
	resp.NodeID, resp.Host, resp.Port, resp.ErrorCode, resp.ErrorMessage = c.NodeID, c.Host, c.Port, c.ErrorCode, c.ErrorMessage
	return resp, nil
}
