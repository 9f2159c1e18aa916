package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// TxnOffsetCommit
//
// Makes offsets of a group part of the producer's transaction: durable at once,
// visible when it commits, gone when it aborts. Until then a fetch of offsets that
// wants stable ones is told to come again.
//
// From version 5 on the group becomes part of the transaction by it (KIP-890).
//
// Errors: INVALID_PRODUCER_ID_MAPPING, INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE
// when the group is no part of the transaction (TRANSACTION_ABORTABLE in version 4),
// ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, OFFSET_METADATA_TOO_LARGE,
// UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, COORDINATOR_NOT_AVAILABLE.
//
// Status: done
func (d *Door) txnOffsetCommit(r *request, in *kmsg.TxnOffsetCommitRequest) (*kmsg.TxnOffsetCommitResponse, error) {
	var list []brokers.Commit
	for i := range in.Topics {
		t := &in.Topics[i]
		name, missing := t.Topic, (*brokers.Error)(nil)
		if in.Version >= 6 {
			name, missing = d.nameOf(t.TopicID)
		}
		for _, p := range t.Partitions {
			list = append(list, brokers.Commit{Topic: name, Partition: p.Partition, Err: missing,
				Committed: brokers.Committed{Offset: p.Offset, Epoch: p.LeaderEpoch, Metadata: deref(p.Metadata)}})
		}
	}
	x, all := d.cluster.Transactions().Enter(r.ctx(), in.TransactionalID)
	if all == nil {
		generation := in.Generation
		if in.Version < 3 {
			generation = -1
		}
		all = d.cluster.Groups().CommitInTxn(r.ctx(), x, in.ProducerID, in.ProducerEpoch, in.Group, in.MemberID, deref(in.InstanceID), generation, list, in.Version >= 5)
		x.Leave()
	}
	resp := kmsg.NewPtrTxnOffsetCommitResponse()
	next := 0
	for i := range in.Topics {
		t := kmsg.NewTxnOffsetCommitResponseTopic()
		t.Topic, t.TopicID = in.Topics[i].Topic, in.Topics[i].TopicID
		for _, p := range in.Topics[i].Partitions {
			out := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			out.Partition, out.ErrorCode = p.Partition, code(list[next].Err)
			if all != nil {
				out.ErrorCode = noPartCode(all, in.Version == 4)
			}
			next++
			t.Partitions = append(t.Partitions, out)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp, nil
}
