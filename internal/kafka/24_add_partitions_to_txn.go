package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// AddPartitionsToTxn
//
// Makes partitions part of the producer's transaction, durably, before it writes to
// them: all that are named, or none. Kinesis streams cannot be, because their
// shards can close at any time.
//
// Errors: INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED (INVALID_PRODUCER_EPOCH
// before version 2), UNKNOWN_TOPIC_OR_PARTITION, OPERATION_NOT_ATTEMPTED,
// POLICY_VIOLATION for a Kinesis stream, COORDINATOR_NOT_AVAILABLE.
//
// Status: partial: versions from 4 on, which let brokers and newer clients leave it out, are not served
func (d *Door) addPartitionsToTxn(r *request, in *kmsg.AddPartitionsToTxnRequest) (*kmsg.AddPartitionsToTxnResponse, error) {
	var list []brokers.Commit
	for i := range in.Topics {
		for _, p := range in.Topics[i].Partitions {
			list = append(list, brokers.Commit{Topic: in.Topics[i].Topic, Partition: p})
		}
	}
	all := d.cluster.Transactions().AddPartitions(r.ctx(), in.TransactionalID, in.ProducerID, in.ProducerEpoch, list)
	resp := kmsg.NewPtrAddPartitionsToTxnResponse()
	next := 0
	for i := range in.Topics {
		t := kmsg.NewAddPartitionsToTxnResponseTopic()
		t.Topic = in.Topics[i].Topic
		for _, p := range in.Topics[i].Partitions {
			out := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			out.Partition, out.ErrorCode = p, code(list[next].Err)
			if all != nil {
				out.ErrorCode = fencedCode(all, in.Version >= 2)
			}
			next++
			t.Partitions = append(t.Partitions, out)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp, nil
}

// fencedCode is the code of a refusal, for clients that know PRODUCER_FENCED or do
// not.
func fencedCode(e *brokers.Error, known bool) int16 {
	if e != nil && e.Code == brokers.ProducerFenced && !known {
		return int16(brokers.InvalidProducerEpoch)
	}
	return code(e)
}
