package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// DeleteTopics
//
// Removes topics with their records, by name or id. A topic that was made as a
// Kinesis stream is that API's to delete.
//
// Errors: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_REQUEST for name
// and id at once or a name twice, POLICY_VIOLATION for a Kinesis stream, INVALID_TOPIC_EXCEPTION
// for an internal topic.
//
// Status: done
func (d *Door) deleteTopics(r *request, in *kmsg.DeleteTopicsRequest) (*kmsg.DeleteTopicsResponse, error) {
	resp := kmsg.NewPtrDeleteTopicsResponse()
	named := map[string]int{}
	for _, name := range in.TopicNames {
		named[name]++
	}
	for i := range in.Topics {
		if name := in.Topics[i].Topic; name != nil {
			named[*name]++
		}
	}
	one := func(name *string, id brokers.TopicID) {
		if name != nil && named[*name] == 0 {
			return // answered with its double
		}
		out := kmsg.NewDeleteTopicsResponseTopic()
		out.Topic, out.TopicID = name, id
		t, err := d.toDelete(name, id)
		switch {
		case name != nil && named[*name] > 1:
			err = refuse(brokers.InvalidRequest, "Duplicate topic name.")
			named[*name] = 0
		case err == nil:
			n := t.Name()
			out.Topic, out.TopicID = &n, t.ID()
			if err = r.mutate(t.Partitions(), in.Version >= 5); err == nil {
				err = d.cluster.DeleteTopic(r.ctx(), t)
			}
		}
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		resp.Topics = append(resp.Topics, out)
	}
	for i := range in.TopicNames {
		one(&in.TopicNames[i], brokers.TopicID{})
	}
	for i := range in.Topics {
		one(in.Topics[i].Topic, in.Topics[i].TopicID)
	}
	return resp, nil
}

func (d *Door) toDelete(name *string, id brokers.TopicID) (*brokers.Topic, *brokers.Error) {
	none := brokers.TopicID{}
	switch {
	case name != nil && id != none:
		return nil, refuse(brokers.InvalidRequest, "You may not specify both topic name and topic id.")
	case name == nil && id == none:
		return nil, refuse(brokers.InvalidRequest, "Neither topic name nor id were specified.")
	case name == nil:
		if t := d.cluster.TopicByID(id); t != nil {
			return t, nil
		}
		return nil, unknownTopicID()
	}
	if t := d.cluster.Topic(*name); t != nil {
		return t, nil
	}
	return nil, unknownTopic()
}
