package kafka

import "github.com/twmb/franz-go/pkg/kmsg"

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
// Status: partial: versions from 4 on, which raise the epoch with each transaction, are not served
func (d *Door) endTxn(r *request, in *kmsg.EndTxnRequest) (*kmsg.EndTxnResponse, error) {
	resp := kmsg.NewPtrEndTxnResponse()
	err := d.cluster.Transactions().End(r.ctx(), in.TransactionalID, in.ProducerID, in.ProducerEpoch, in.Commit)
	resp.ErrorCode = fencedCode(err, in.Version >= 2)
	return resp, nil
}
