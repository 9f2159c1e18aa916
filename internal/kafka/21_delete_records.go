package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// DeleteRecords
//
// Raises a partition's log start, durably: -1 removes all there is.
//
// Errors: UNKNOWN_TOPIC_OR_PARTITION, OFFSET_OUT_OF_RANGE; POLICY_VIOLATION where
// cleanup.policy has no delete, and for a Kinesis stream.
//
// Status: done
func (d *Door) deleteRecords(_ *request, in *kmsg.DeleteRecordsRequest) (*kmsg.DeleteRecordsResponse, error) {
	resp := kmsg.NewPtrDeleteRecordsResponse()
	for i := range in.Topics {
		t := kmsg.NewDeleteRecordsResponseTopic()
		t.Topic = in.Topics[i].Topic
		topic := d.cluster.Topic(t.Topic)
		for _, p := range in.Topics[i].Partitions {
			out := kmsg.NewDeleteRecordsResponseTopicPartition()
			out.Partition, out.LowWatermark = p.Partition, -1
			var err *brokers.Error
			if topic == nil {
				err = unknownTopic()
			} else {
				out.LowWatermark, err = d.cluster.Trim(topic, p.Partition, p.Offset)
			}
			out.ErrorCode = code(err)
			t.Partitions = append(t.Partitions, out)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp, nil
}
