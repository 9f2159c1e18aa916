package kafka

import "github.com/twmb/franz-go/pkg/kmsg"

// AddOffsetsToTxn
//
// Makes a group's offsets part of the producer's transaction, durably, before it
// commits any with TxnOffsetCommit.
//
// Errors: INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED (INVALID_PRODUCER_EPOCH
// before version 2), INVALID_GROUP_ID, COORDINATOR_NOT_AVAILABLE.
//
// Producers that raise their epoch with each transaction leave it out.
//
// Status: done
func (d *Door) addOffsetsToTxn(r *request, in *kmsg.AddOffsetsToTxnRequest) (*kmsg.AddOffsetsToTxnResponse, error) {
	resp := kmsg.NewPtrAddOffsetsToTxnResponse()
	err := d.cluster.Transactions().AddGroup(r.ctx(), in.TransactionalID, in.ProducerID, in.ProducerEpoch, in.Group)
	resp.ErrorCode = fencedCode(err, in.Version >= 2)
	return resp, nil
}
