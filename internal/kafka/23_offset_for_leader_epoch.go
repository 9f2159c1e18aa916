package kafka

import "github.com/twmb/franz-go/pkg/kmsg"

// OffsetForLeaderEpoch
//
// Tells where a leader epoch ended, so that a client can find out whether what it
// read was taken back. The epoch rises at every start that was not clean, and
// nothing that was readable is ever taken back.
//
// Errors: UNKNOWN_TOPIC_OR_PARTITION, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH.
//
// Status: done
func (d *Door) epochEnd(_ *request, in *kmsg.OffsetForLeaderEpochRequest) (*kmsg.OffsetForLeaderEpochResponse, error) {
	resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
	for i := range in.Topics {
		t := kmsg.NewOffsetForLeaderEpochResponseTopic()
		t.Topic = in.Topics[i].Topic
		topic := d.cluster.Topic(t.Topic)
		for _, p := range in.Topics[i].Partitions {
			out := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			out.Partition, out.LeaderEpoch, out.EndOffset = p.Partition, -1, -1
			err := unknownTopic()
			if topic != nil {
				err = d.checkEpoch(topic, p.Partition, p.CurrentLeaderEpoch)
			}
			if err == nil {
				out.LeaderEpoch, out.EndOffset, err = d.cluster.EpochEnd(topic, p.Partition, p.LeaderEpoch)
			}
			out.ErrorCode = code(err)
			t.Partitions = append(t.Partitions, out)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp, nil
}
