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
// Errors: UNSUPPORTED_VERSION for a transactional id; KAFKA_STORAGE_ERROR when the
// log is read-only.
//
// Status: partial: transactional ids are refused
func (d *Door) initProducerID(r *request, in *kmsg.InitProducerIDRequest) (*kmsg.InitProducerIDResponse, error) {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	if in.TransactionalID != nil {
		resp.ErrorCode = int16(brokers.UnsupportedVersion)
		return resp, nil
	}
	id, err := d.cluster.NewProducerID(r.ctx())
	if err != nil {
		resp.ErrorCode = code(err)
		return resp, nil
	}
	resp.ProducerID, resp.ProducerEpoch = id, 0
	return resp, nil
}
