package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// shareAck is what a request says of the records of one partition, and what became
// of it.
type shareAck struct {
	sharePartition
	acks []brokers.Ack
	err  *brokers.Error
	wait func() *brokers.Error
}

// ackBatch is one batch of acknowledgements, as both requests have them.
type ackBatch interface {
	kmsg.ShareFetchRequestTopicPartitionAcknowledgementBatch | kmsg.ShareAcknowledgeRequestTopicPartitionAcknowledgementBatch
}

// readAcks reads acknowledgements, and refuses those that can be none.
func readAcks[B ackBatch](list []B, renew bool, plain func(*B) (first, last int64, types []int8)) ([]brokers.Ack, *brokers.Error) {
	var out []brokers.Ack
	end := int64(-1)
	for i := range list {
		first, last, types := plain(&list[i])
		ok := first <= last && first > end && (len(types) == 1 || len(types) > 1 && int64(len(types)) == last-first+1)
		a := brokers.Ack{First: first, Last: last}
		for _, t := range types {
			kind := brokers.AckType(t)
			ok = ok && kind >= brokers.AckGap && kind <= brokers.AckRenew && (kind != brokers.AckRenew || renew)
			a.Types = append(a.Types, kind)
		}
		if !ok {
			return nil, refuse(brokers.InvalidRequest, "")
		}
		end = last
		out = append(out, a)
	}
	return out, nil
}

// acknowledge does what a request says of records that its member has. It is
// durable when this returns.
func (d *Door) acknowledge(r *request, key shareSessionKey, list []shareAck) {
	for i := range list {
		a := &list[i]
		var t *brokers.Topic
		if a.err == nil {
			t, a.err = d.shareTopic(r, a.topic)
		}
		if a.err == nil {
			a.wait = d.cluster.Shares().Acknowledge(r.ctx(), key.group, key.member, t, a.partition, a.acks)
		}
	}
	for i := range list {
		if a := &list[i]; a.wait != nil {
			a.err = a.wait()
		}
	}
}

// shareTopic finds a topic that the client may read.
func (d *Door) shareTopic(r *request, id brokers.TopicID) (*brokers.Topic, *brokers.Error) {
	t := d.cluster.TopicByID(id)
	switch {
	case t == nil:
		return nil, refuse(brokers.UnknownTopicID, "")
	case !r.conn.mayTopic(brokers.OpRead, t.Name()):
		return nil, refuse(brokers.TopicDenied, "")
	}
	return t, nil
}

// shareMember is who a request is of, as far as it may be there.
func (d *Door) shareMember(r *request, group, member *string) (shareSessionKey, *brokers.Error) {
	key := r.shareKey(deref(group), deref(member))
	switch {
	case key.group == "" || key.member == "":
		return key, refuse(brokers.InvalidRequest, "")
	case !r.mayGroup(brokers.OpRead, key.group):
		return key, groupDenied()
	}
	return key, nil
}
