package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// CreateTopics
//
// Makes topics, each with its partitions in one durable step, and shows them as
// provisioned Kinesis streams of as many uniform shards, unless the name is too
// long for one or the topic is compacted. A replication factor is taken up to the
// number of brokers; all replicas are one log. Of a manual assignment only the
// numbers count. validate_only checks and makes nothing.
//
// Errors: TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_PARTITIONS,
// INVALID_REPLICATION_FACTOR, INVALID_REPLICA_ASSIGNMENT, INVALID_CONFIG,
// INVALID_REQUEST, POLICY_VIOLATION for a quota of streams.
//
// Status: partial: entries of the configuration that its description calls kept have no effect
func (d *Door) createTopics(r *request, in *kmsg.CreateTopicsRequest) (*kmsg.CreateTopicsResponse, error) {
	resp := kmsg.NewPtrCreateTopicsResponse()
	seen := map[string]int{}
	for i := range in.Topics {
		seen[in.Topics[i].Topic]++
	}
	for i := range in.Topics {
		t := &in.Topics[i]
		if seen[t.Topic] == 0 {
			continue // answered with its double
		}
		out := kmsg.NewCreateTopicsResponseTopic()
		out.Topic, out.NumPartitions, out.ReplicationFactor = t.Topic, -1, -1
		var made *brokers.Topic
		var err *brokers.Error
		if seen[t.Topic] > 1 {
			err = refuse(brokers.InvalidRequest, "Duplicate topic name.")
			seen[t.Topic] = 0
		} else {
			made, err = d.createTopic(r, t, in.ValidateOnly, in.Version >= 6)
		}
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		if made != nil {
			out.TopicID, out.NumPartitions, out.ReplicationFactor = made.ID(), made.Partitions(), made.Replicas()
			for _, c := range topicConfigs(made, nil) {
				v := kmsg.NewCreateTopicsResponseTopicConfig()
				v.Name, v.Value, v.Source = c.Name, c.Value, int8(c.Source)
				out.Configs = append(out.Configs, v)
			}
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}

func (d *Door) createTopic(r *request, t *kmsg.CreateTopicsRequestTopic, checkOnly, strict bool) (*brokers.Topic, *brokers.Error) {
	n := brokers.NewTopic{Name: t.Topic, Partitions: t.NumPartitions, Replication: t.ReplicationFactor, Configs: map[string]string{}}
	for _, c := range t.Configs {
		if c.Value == nil {
			return nil, refuse(brokers.InvalidConfig, "Null value not supported for topic configs: "+c.Name)
		}
		n.Configs[c.Name] = *c.Value
	}
	for _, a := range t.ReplicaAssignment {
		if n.Assignment == nil {
			n.Assignment = map[int32][]int32{}
		}
		n.Assignment[a.Partition] = a.Replicas
	}
	if d.cluster.Topic(t.Topic) != nil {
		return nil, refuse(brokers.TopicAlreadyExists, "Topic '"+t.Topic+"' already exists.")
	}
	if checkOnly {
		return nil, d.cluster.CheckTopic(&n)
	}
	if err := r.mutate(max(n.Partitions, int32(len(n.Assignment)), 1), strict); err != nil {
		return nil, err
	}
	return d.cluster.CreateTopic(r.ctx(), n)
}
