package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// ListTransactions
//
// Lists the transactional ids that the broker coordinates: of the states,
// producers and names asked for, and of transactions that were begun long enough
// ago. A client that asks every broker finds each once.
//
// Errors: INVALID_REGULAR_EXPRESSION, COORDINATOR_NOT_AVAILABLE. What the client
// may not describe is left out.
//
// Status: done
func (d *Door) listTransactions(r *request, in *kmsg.ListTransactionsRequest) (*kmsg.ListTransactionsResponse, error) {
	resp := kmsg.NewPtrListTransactionsResponse()
	f := brokers.TxnFilter{States: in.StateFilters, Producers: in.ProducerIDFilters, Running: in.DurationFilterMillis, Pattern: deref(in.TransactionalIDPattern)}
	if in.Version < 1 {
		f.Running = -1
	}
	for _, s := range in.StateFilters {
		if !slices.Contains(brokers.TxnStates(), s) {
			resp.UnknownStateFilters = append(resp.UnknownStateFilters, s)
		}
	}
	ts := d.cluster.Transactions()
	list, err := ts.List(r.ctx(), f)
	resp.ErrorCode = code(err)
	for _, t := range list {
		if ts.Coordinator(t.ID) != r.conn.at.Broker {
			continue
		}
		resp.TransactionStates = append(resp.TransactionStates, kmsg.ListTransactionsResponseTransactionState{
			TransactionalID: t.ID, ProducerID: t.Producer, TransactionState: t.State})
	}
	return resp, nil
}
