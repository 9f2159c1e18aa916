package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// CreatePartitions
//
// Gives a topic more partitions, in one durable step, and draws the hash key
// ranges that readers of streams see anew, all of the same size. Of a manual
// assignment nothing counts: all brokers share one log.
//
// Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS, POLICY_VIOLATION for a
// Kinesis stream, INVALID_TOPIC_EXCEPTION for an internal topic, INVALID_REQUEST
// for a topic named twice.
//
// Status: done
func (d *Door) createPartitions(r *request, in *kmsg.CreatePartitionsRequest) (*kmsg.CreatePartitionsResponse, error) {
	resp := kmsg.NewPtrCreatePartitionsResponse()
	seen := map[string]bool{}
	for i := range in.Topics {
		t := &in.Topics[i]
		topic, err := d.topicOrError(t.Topic)
		switch {
		case seen[t.Topic]:
			err = refuse(brokers.InvalidRequest, "Duplicate topic name.")
		case err == nil:
			err = d.cluster.GrowTopic(r.ctx(), topic, t.Count, in.ValidateOnly)
		}
		seen[t.Topic] = true
		out := kmsg.NewCreatePartitionsResponseTopic()
		out.Topic, out.ErrorCode, out.ErrorMessage = t.Topic, code(err), message(err)
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}
