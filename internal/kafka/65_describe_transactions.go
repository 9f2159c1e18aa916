package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeTransactions
//
// Tells the state of transactional ids, and what their open transactions write to.
//
// Errors: TRANSACTIONAL_ID_AUTHORIZATION_FAILED, TRANSACTIONAL_ID_NOT_FOUND,
// COORDINATOR_NOT_AVAILABLE. Topics that the client may not describe are left out.
//
// Status: done
func (d *Door) describeTransactions(r *request, in *kmsg.DescribeTransactionsRequest) (*kmsg.DescribeTransactionsResponse, error) {
	resp := kmsg.NewPtrDescribeTransactionsResponse()
	for _, id := range in.TransactionalIDs {
		out := kmsg.NewDescribeTransactionsResponseTransactionState()
		info, err := d.cluster.Transactions().Describe(r.ctx(), id)
		out.TransactionalID, out.ErrorCode = id, code(err)
		if err == nil {
			out.State, out.TimeoutMillis, out.StartTimestamp = info.State, int32(info.Timeout), info.Started
			out.ProducerID, out.ProducerEpoch = info.Producer, info.Epoch
		}
		for _, p := range info.Parts {
			i := slices.IndexFunc(out.Topics, func(t kmsg.DescribeTransactionsResponseTransactionStateTopic) bool { return t.Topic == p.Topic })
			if i < 0 {
				i = len(out.Topics)
				out.Topics = append(out.Topics, kmsg.DescribeTransactionsResponseTransactionStateTopic{Topic: p.Topic})
			}
			out.Topics[i].Partitions = append(out.Topics[i].Partitions, p.Partition)
		}
		resp.TransactionStates = append(resp.TransactionStates, out)
	}
	return resp, nil
}
