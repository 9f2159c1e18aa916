package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// EndTxn
//
// Commits or aborts the producer's transaction. The markers of all its partitions,
// those of consumer groups among them, and the end of the transaction are one
// durable step: no crash leaves a part of it. Asking again for what was done is no
// error.
//
// Errors: INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED (INVALID_PRODUCER_EPOCH
// before version 2), INVALID_TXN_STATE, CONCURRENT_TRANSACTIONS while a topic of it
// is being removed, COORDINATOR_NOT_AVAILABLE.
//
// From version 5 on the producer's epoch rises with it, and the answer tells it
// (KIP-890): what is late of the transaction is then refused. Aborting what was not
// begun is no error there.
//
// Status: done
func (d *Door) endTxn(r *request, in *kmsg.EndTxnRequest) (*kmsg.EndTxnResponse, error) {
	resp := kmsg.NewPtrEndTxnResponse()
	ts := d.cluster.Transactions()
	var err *brokers.Error
	if in.Version >= 5 {
		resp.ProducerID, resp.ProducerEpoch, err = ts.EndAndRaise(r.ctx(), in.TransactionalID, in.ProducerID, in.ProducerEpoch, in.Commit)
	} else {
		err = ts.End(r.ctx(), in.TransactionalID, in.ProducerID, in.ProducerEpoch, in.Commit)
	}
	resp.ErrorCode = fencedCode(err, in.Version >= 2)
	return resp, nil
}
