package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// ElectLeaders
//
// Tells that there is nothing to elect: every partition is led by its preferred
// replica, and all of them are in sync, as they share one log.
//
// Errors: ELECTION_NOT_NEEDED, UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST for
// another type of election, CLUSTER_AUTHORIZATION_FAILED.
//
// Status: done
func (d *Door) electLeaders(_ *request, in *kmsg.ElectLeadersRequest) (*kmsg.ElectLeadersResponse, error) {
	resp := kmsg.NewPtrElectLeadersResponse()
	var all *brokers.Error
	if in.ElectionType < 0 || in.ElectionType > 1 {
		all = refuse(brokers.InvalidRequest, fmt.Sprintf("Unknown election type %d", in.ElectionType))
	}
	resp.ErrorCode = code(all)
	for _, t := range in.Topics {
		topic := d.cluster.Topic(t.Topic)
		out := kmsg.NewElectLeadersResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			err := refuse(brokers.ElectionNotNeeded, "Leader election not needed for topic partition.")
			switch {
			case all != nil:
				err = all
			case topic == nil:
				err = refuse(brokers.UnknownTopic, "No such topic as "+t.Topic)
			case p < 0 || p >= topic.Partitions():
				err = refuse(brokers.UnknownTopic, fmt.Sprintf("No such partition as %s-%d", t.Topic, p))
			}
			out.Partitions = append(out.Partitions, kmsg.ElectLeadersResponseTopicPartition{Partition: p, ErrorCode: code(err), ErrorMessage: message(err)})
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}
