package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// WriteTxnMarkers
//
// Ends what a producer has open in partitions, past its transactional id: brokers
// of Apache Kafka ask it of each other, and administrators to abort a transaction
// that nobody ends any more. Here none can be left by the server; the end of a
// transaction and its markers are one step.
//
// Errors: CLUSTER_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_OR_PARTITION,
// INVALID_PRODUCER_EPOCH, COORDINATOR_NOT_AVAILABLE, POLICY_VIOLATION for a closed
// shard of a stream.
//
// Status: done
func (d *Door) writeTxnMarkers(r *request, in *kmsg.WriteTxnMarkersRequest) (*kmsg.WriteTxnMarkersResponse, error) {
	resp := kmsg.NewPtrWriteTxnMarkersResponse()
	for _, m := range in.Markers {
		out := kmsg.NewWriteTxnMarkersResponseMarker()
		out.ProducerID = m.ProducerID
		for _, t := range m.Topics {
			topic := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				err := d.cluster.Transactions().WriteMarker(r.ctx(), brokers.Marker{Producer: m.ProducerID, Epoch: m.ProducerEpoch,
					Coordinator: m.CoordinatorEpoch, Commit: m.Committed, Raised: m.TransactionVersion >= 2}, t.Topic, p)
				topic.Partitions = append(topic.Partitions, kmsg.WriteTxnMarkersResponseMarkerTopicPartition{Partition: p, ErrorCode: code(err)})
			}
			out.Topics = append(out.Topics, topic)
		}
		resp.Markers = append(resp.Markers, out)
	}
	return resp, nil
}
