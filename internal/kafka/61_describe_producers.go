package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// DescribeProducers
//
// Tells what partitions know of the producers that wrote to them with an id: their
// epoch, last sequence, and where their open transaction begins.
//
// Errors: TOPIC_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_OR_PARTITION.
//
// Status: partial: the epoch of the transaction's coordinator is -1, and the time of a producer's last batch that of its arrival
func (d *Door) describeProducers(_ *request, in *kmsg.DescribeProducersRequest) (*kmsg.DescribeProducersResponse, error) {
	resp := kmsg.NewPtrDescribeProducersResponse()
	for _, t := range in.Topics {
		out := kmsg.NewDescribeProducersResponseTopic()
		out.Topic = t.Topic
		topic := d.cluster.Topic(t.Topic)
		for _, p := range t.Partitions {
			o := kmsg.NewDescribeProducersResponseTopicPartition()
			o.Partition = p
			if topic == nil {
				o.ErrorCode, o.ErrorMessage = code(unknownTopic()), message(unknownTopic())
			} else {
				var err *brokers.Error
				o.ActiveProducers, err = d.producers(topic, p)
				o.ErrorCode = code(err)
			}
			out.Partitions = append(out.Partitions, o)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}

func (d *Door) producers(t *brokers.Topic, partition int32) ([]kmsg.DescribeProducersResponseTopicPartitionActiveProducer, *brokers.Error) {
	list, err := d.cluster.Producers(t, partition)
	out := make([]kmsg.DescribeProducersResponseTopicPartitionActiveProducer, 0, len(list))
	for _, p := range list {
		out = append(out, kmsg.DescribeProducersResponseTopicPartitionActiveProducer{ProducerID: p.ID, ProducerEpoch: int32(p.Epoch),
			LastSequence: p.LastSequence, LastTimestamp: p.LastArrival, CoordinatorEpoch: -1, CurrentTxnStartOffset: p.TxnStart})
	}
	return out, err
}
