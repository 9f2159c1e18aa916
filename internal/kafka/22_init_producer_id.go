package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// InitProducerId
//
// Gives an idempotent producer an id that no other ever had or will have; its
// sequences are then checked by the log, across restarts too. As with Apache
// Kafka, a producer without a transactional id gets a new one whatever it names.
//
// With a transactional id it gets the id's producer with the next epoch, which
// fences its predecessors; a transaction that one of them left open is aborted.
//
// Errors: INVALID_TRANSACTION_TIMEOUT beyond 15 minutes, PRODUCER_FENCED
// (INVALID_PRODUCER_EPOCH before version 4), COORDINATOR_NOT_AVAILABLE;
// INVALID_REQUEST for an id without an epoch or the other way round;
// KAFKA_STORAGE_ERROR when the log is read-only.
//
// Status: done
func (d *Door) initProducerID(r *request, in *kmsg.InitProducerIDRequest) (*kmsg.InitProducerIDResponse, error) {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	if (in.ProducerID == -1) != (in.ProducerEpoch == -1) {
		resp.ErrorCode = int16(brokers.InvalidRequest)
		return resp, nil
	}
	if in.TransactionalID == nil {
		id, err := d.cluster.NewProducerID(r.ctx())
		if resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = code(err), id, 0; err != nil {
			resp.ProducerID, resp.ProducerEpoch = -1, -1
		}
		return resp, nil
	}
	had, epoch := int64(-1), int16(-1)
	if in.Version >= 3 {
		had, epoch = in.ProducerID, in.ProducerEpoch
	}
	id, next, err := d.cluster.Transactions().Init(r.ctx(), *in.TransactionalID, int64(in.TransactionTimeoutMillis), had, epoch)
	resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = fencedCode(err, in.Version >= 4), id, next
	return resp, nil
}
