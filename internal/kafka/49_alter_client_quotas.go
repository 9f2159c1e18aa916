package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// AlterClientQuotas
//
// Sets and removes quotas of users, client ids, both together, and addresses, by
// name or for all without one of their own. They are durable, and hold from the
// next request on: a client beyond its quota is told for how long to pause, and its
// connection is not read until then. A window of ten seconds may be used at once.
//
// producer_byte_rate counts the bytes of requests; consumer_byte_rate those of
// record batches, and the answer that goes beyond it is sent whole;
// controller_mutation_rate partitions made and removed, of which newer clients are
// told THROTTLING_QUOTA_EXCEEDED; connection_creation_rate connections of an
// address, which are closed after a pause when they are too many.
//
// Errors: INVALID_REQUEST, CLUSTER_AUTHORIZATION_FAILED.
//
// Status: partial: request_percentage is refused with INVALID_REQUEST, as time spent on a client is not measured
func (d *Door) alterQuotas(r *request, in *kmsg.AlterClientQuotasRequest) (*kmsg.AlterClientQuotasResponse, error) {
	resp := kmsg.NewPtrAlterClientQuotasResponse()
	for _, e := range in.Entries {
		entity, err := quotaEntity(e.Entity)
		if err == nil {
			changes := make([]brokers.QuotaChange, len(e.Ops))
			for i, op := range e.Ops {
				changes[i] = brokers.QuotaChange{Key: op.Key, Value: op.Value, Remove: op.Remove}
			}
			err = d.opts.Security.AlterQuotas(r.ctx(), entity, changes, in.ValidateOnly)
		}
		resp.Entries = append(resp.Entries, quotaAnswer(&e, err))
	}
	return resp, nil
}

func quotaAnswer(e *kmsg.AlterClientQuotasRequestEntry, err *brokers.Error) kmsg.AlterClientQuotasResponseEntry {
	out := kmsg.NewAlterClientQuotasResponseEntry()
	out.ErrorCode, out.ErrorMessage = code(err), message(err)
	for _, p := range e.Entity {
		out.Entity = append(out.Entity, kmsg.AlterClientQuotasResponseEntryEntity{Type: p.Type, Name: p.Name})
	}
	return out
}

func quotaEntity(parts []kmsg.AlterClientQuotasRequestEntryEntity) (e brokers.QuotaEntity, err *brokers.Error) {
	for _, p := range parts {
		var to *brokers.QuotaPart
		switch p.Type {
		case quotaUser:
			to = &e.User
		case quotaClient:
			to = &e.Client
		case quotaIP:
			to = &e.IP
		default:
			return e, refuse(brokers.InvalidRequest, "Unhandled client quota entity type: "+p.Type)
		}
		if to.Of != brokers.QuotaOfNone {
			return e, refuse(brokers.InvalidRequest, "Duplicate client quota entity type: "+p.Type)
		}
		if to.Of = brokers.QuotaOfDefault; p.Name != nil {
			to.Of, to.Name = brokers.QuotaOfName, *p.Name
		}
	}
	return e, nil
}
