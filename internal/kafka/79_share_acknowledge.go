package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// ShareAcknowledge
//
// Says of records that a member has whether they are done, to be delivered again, or
// to be given up; of each partition all of it or nothing. It is durable when it is
// answered. A request that ends its session gives others what the member has left.
//
// Errors: GROUP_AUTHORIZATION_FAILED, TOPIC_AUTHORIZATION_FAILED,
// SHARE_SESSION_NOT_FOUND, INVALID_SHARE_SESSION_EPOCH, UNKNOWN_TOPIC_ID,
// UNKNOWN_TOPIC_OR_PARTITION, INVALID_RECORD_STATE, INVALID_REQUEST,
// KAFKA_STORAGE_ERROR.
//
// Status: done
func (d *Door) shareAcknowledge(r *request, in *kmsg.ShareAcknowledgeRequest) (*kmsg.ShareAcknowledgeResponse, error) {
	resp := kmsg.NewPtrShareAcknowledgeResponse()
	key, err := d.shareMember(r, in.GroupID, in.MemberID)
	if err == nil && in.ShareSessionEpoch == 0 {
		err = refuse(brokers.InvalidShareSessionEpoch, "")
	}
	var parts []sharePartition
	if err == nil {
		parts, err = d.shareSessions.resume(key, in.ShareSessionEpoch, nil, nil)
	}
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = code(err), message(err)
		return resp, nil
	}
	var acks []shareAck
	for _, t := range in.Topics {
		for _, p := range t.Partitions {
			a := shareAck{sharePartition: sharePartition{t.TopicID, p.Partition}}
			a.acks, a.err = readAcks(p.AcknowledgementBatches, in.IsRenewAck, func(b *kmsg.ShareAcknowledgeRequestTopicPartitionAcknowledgementBatch) (int64, int64, []int8) {
				return b.FirstOffset, b.LastOffset, b.AcknowledgeTypes
			})
			acks = append(acks, a)
		}
	}
	d.acknowledge(r, key, acks)
	if in.ShareSessionEpoch == shareEnd {
		d.releaseShares(r.ctx(), key, parts)
	}
	resp.AcquisitionLockTimeoutMillis = d.cluster.Shares().Lock(key.group)
	for i := range acks {
		a := &acks[i]
		n := len(resp.Topics)
		if n == 0 || resp.Topics[n-1].TopicID != a.topic {
			t := kmsg.NewShareAcknowledgeResponseTopic()
			t.TopicID = a.topic
			resp.Topics = append(resp.Topics, t)
			n++
		}
		p := kmsg.NewShareAcknowledgeResponseTopicPartition()
		p.Partition, p.ErrorCode, p.ErrorMessage = a.partition, code(a.err), message(a.err)
		resp.Topics[n-1].Partitions = append(resp.Topics[n-1].Partitions, p)
	}
	return resp, nil
}
