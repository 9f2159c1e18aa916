package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// CreatePartitions
//
// Gives a topic more partitions, in one durable step, and draws the hash key
// ranges that readers of streams see anew, all of the same size. A manual
// assignment is checked and has no effect: all brokers share one log.
//
// Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT, POLICY_VIOLATION for a
// Kinesis stream, INVALID_TOPIC_EXCEPTION for an internal topic, INVALID_REQUEST
// for a topic named twice.
//
// Status: done
func (d *Door) createPartitions(r *request, in *kmsg.CreatePartitionsRequest) (*kmsg.CreatePartitionsResponse, error) {
	resp := kmsg.NewPtrCreatePartitionsResponse()
	seen := map[string]int{}
	for i := range in.Topics {
		seen[in.Topics[i].Topic]++
	}
	for i := range in.Topics {
		t := &in.Topics[i]
		if seen[t.Topic] == 0 {
			continue // answered with its double
		}
		topic, err := d.topicOrError(t.Topic)
		switch {
		case seen[t.Topic] > 1:
			err = refuse(brokers.InvalidRequest, "Duplicate topic name.")
			seen[t.Topic] = 0
		case err == nil:
			var replicas [][]int32
			for _, a := range t.Assignment {
				replicas = append(replicas, a.Replicas)
			}
			if !in.ValidateOnly {
				err = r.mutate(t.Count-topic.Partitions(), in.Version >= 3)
			}
			if err != nil {
				break
			}
			err = d.cluster.GrowTopic(r.ctx(), topic, brokers.Growth{Partitions: t.Count, Assignment: replicas, CheckOnly: in.ValidateOnly})
		}
		out := kmsg.NewCreatePartitionsResponseTopic()
		out.Topic, out.ErrorCode, out.ErrorMessage = t.Topic, code(err), message(err)
		if err != nil && err.Code == brokers.UnknownTopic {
			out.ErrorMessage = nil // as Apache Kafka does
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}
