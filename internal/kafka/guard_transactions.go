package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

func guardWriteTxnMarkers(r *request, in *kmsg.WriteTxnMarkersRequest) (kmsg.Response, func(kmsg.Response)) {
	if r.conn.mayCluster(brokers.OpAlter) || r.conn.mayCluster(brokers.OpClusterAction) {
		return nil, nil
	}
	resp := kmsg.NewPtrWriteTxnMarkersResponse()
	for _, m := range in.Markers {
		out := kmsg.NewWriteTxnMarkersResponseMarker()
		out.ProducerID = m.ProducerID
		for _, t := range m.Topics {
			topic := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				topic.Partitions = append(topic.Partitions, kmsg.WriteTxnMarkersResponseMarkerTopicPartition{Partition: p, ErrorCode: code(clusterDenied())})
			}
			out.Topics = append(out.Topics, topic)
		}
		resp.Markers = append(resp.Markers, out)
	}
	return resp, nil
}

func guardDescribeProducers(r *request, in *kmsg.DescribeProducersRequest) (kmsg.Response, func(kmsg.Response)) {
	var no []kmsg.DescribeProducersRequestTopic
	in.Topics, no = split(in.Topics, func(t *kmsg.DescribeProducersRequestTopic) bool { return r.conn.mayTopic(brokers.OpRead, t.Topic) })
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.DescribeProducersResponse)
		for _, t := range no {
			o := kmsg.NewDescribeProducersResponseTopic()
			o.Topic = t.Topic
			for _, p := range t.Partitions {
				o.Partitions = append(o.Partitions, kmsg.DescribeProducersResponseTopicPartition{Partition: p, ErrorCode: code(topicDenied()), ErrorMessage: message(topicDenied())})
			}
			out.Topics = append(out.Topics, o)
		}
	}
}

func guardDescribeTransactions(r *request, in *kmsg.DescribeTransactionsRequest) (kmsg.Response, func(kmsg.Response)) {
	var no []string
	in.TransactionalIDs, no = split(in.TransactionalIDs, func(id *string) bool { return r.mayTxn(brokers.OpDescribe, *id) })
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.DescribeTransactionsResponse)
		for i := range out.TransactionStates {
			x := &out.TransactionStates[i]
			x.Topics, _ = split(x.Topics, func(t *kmsg.DescribeTransactionsResponseTransactionStateTopic) bool {
				return r.conn.mayTopic(brokers.OpDescribe, t.Topic)
			})
		}
		for _, id := range no {
			o := kmsg.NewDescribeTransactionsResponseTransactionState()
			o.TransactionalID, o.ErrorCode = id, code(txnDenied())
			out.TransactionStates = append(out.TransactionStates, o)
		}
	}
}

// guardListTransactions shows the transactional ids that may be described.
func guardListTransactions(r *request, _ *kmsg.ListTransactionsRequest) (kmsg.Response, func(kmsg.Response)) {
	return nil, func(resp kmsg.Response) {
		out := resp.(*kmsg.ListTransactionsResponse)
		out.TransactionStates, _ = split(out.TransactionStates, func(t *kmsg.ListTransactionsResponseTransactionState) bool {
			return r.mayTxn(brokers.OpDescribe, t.TransactionalID)
		})
	}
}
