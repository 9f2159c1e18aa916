package kafka

import (
	"cmp"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// AddPartitionsToTxn
//
// Makes partitions part of the producer's transaction, durably, before it writes to
// them: all that are named, or none. Producers that raise their epoch with each
// transaction leave it out (KIP-890).
//
// Versions from 4 on name several transactions and can ask only whether partitions
// are part of them. They are the brokers' own, and need CLUSTER_ACTION.
//
// Errors: INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED (INVALID_PRODUCER_EPOCH
// before version 2), UNKNOWN_TOPIC_OR_PARTITION, OPERATION_NOT_ATTEMPTED,
// COORDINATOR_NOT_AVAILABLE; CONCURRENT_TRANSACTIONS, after which clients try again,
// for a shard that is about to be closed; TRANSACTION_ABORTABLE for what is asked for and no part
// of the transaction.
//
// Status: done
func (d *Door) addPartitionsToTxn(r *request, in *kmsg.AddPartitionsToTxnRequest) (*kmsg.AddPartitionsToTxnResponse, error) {
	resp := kmsg.NewPtrAddPartitionsToTxnResponse()
	ts := d.cluster.Transactions()
	if in.Version < 4 {
		var parts []brokers.Commit
		for _, t := range in.Topics {
			parts = appendParts(parts, t.Topic, t.Partitions)
		}
		all := ts.AddPartitions(r.ctx(), in.TransactionalID, in.ProducerID, in.ProducerEpoch, parts)
		for _, t := range in.Topics {
			out := kmsg.NewAddPartitionsToTxnResponseTopic()
			out.Topic = t.Topic
			for range t.Partitions {
				out.Partitions = append(out.Partitions, kmsg.AddPartitionsToTxnResponseTopicPartition{
					Partition: parts[0].Partition, ErrorCode: fencedCode(cmp.Or(all, parts[0].Err), in.Version >= 2)})
				parts = parts[1:]
			}
			resp.Topics = append(resp.Topics, out)
		}
		return resp, nil
	}
	for _, x := range in.Transactions {
		var parts []brokers.Commit
		for _, t := range x.Topics {
			parts = appendParts(parts, t.Topic, t.Partitions)
		}
		add := ts.AddPartitions
		if x.VerifyOnly {
			add = ts.VerifyPartitions
		}
		all := add(r.ctx(), x.TransactionalID, x.ProducerID, x.ProducerEpoch, parts)
		of := kmsg.NewAddPartitionsToTxnResponseTransaction()
		of.TransactionalID = x.TransactionalID
		for _, t := range x.Topics {
			out := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
			out.Topic = t.Topic
			for range t.Partitions {
				out.Partitions = append(out.Partitions, kmsg.AddPartitionsToTxnResponseTransactionTopicPartition{
					Partition: parts[0].Partition, ErrorCode: noPartCode(cmp.Or(all, parts[0].Err), true)})
				parts = parts[1:]
			}
			of.Topics = append(of.Topics, out)
		}
		resp.Transactions = append(resp.Transactions, of)
	}
	return resp, nil
}

func appendParts(parts []brokers.Commit, topic string, partitions []int32) []brokers.Commit {
	for _, p := range partitions {
		parts = append(parts, brokers.Commit{Topic: topic, Partition: p})
	}
	return parts
}

// fencedCode is the code of a refusal, for clients that know PRODUCER_FENCED or do
// not.
func fencedCode(e *brokers.Error, known bool) int16 {
	if e != nil && e.Code == brokers.ProducerFenced && !known {
		return int16(brokers.InvalidProducerEpoch)
	}
	return code(e)
}

// noPartCode is the code of a refusal, for clients that know that a transaction
// without the partition can only be aborted, or do not.
func noPartCode(e *brokers.Error, known bool) int16 {
	if known && e != nil && e.Code == brokers.InvalidTxnState {
		return int16(brokers.TransactionAbortable)
	}
	return code(e)
}
