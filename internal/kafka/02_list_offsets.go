package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// ListOffsets
//
// Finds offsets by time: of the first record whose timestamp is not before the
// one given, of the largest timestamp (-3), of the first record (-2, -4) and of
// the next (-1; the last stable offset for read_committed). Nothing is tiered, so
// -5 and -6 find none. A time is found by reading batch headers, beginning where
// message.timestamp.after.max.ms allows it.
//
// Errors: UNKNOWN_TOPIC_OR_PARTITION, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH,
// UNSUPPORTED_VERSION for a special timestamp that is none, or of a later version.
//
// Status: done
func (d *Door) listOffsets(r *request, in *kmsg.ListOffsetsRequest) (*kmsg.ListOffsetsResponse, error) {
	resp := kmsg.NewPtrListOffsetsResponse()
	for i := range in.Topics {
		t := kmsg.NewListOffsetsResponseTopic()
		t.Topic = in.Topics[i].Topic
		topic := d.cluster.Topic(t.Topic)
		for _, p := range in.Topics[i].Partitions {
			out := kmsg.NewListOffsetsResponseTopicPartition()
			out.Partition, out.Offset, out.Timestamp, out.LeaderEpoch = p.Partition, -1, -1, -1
			at, err := d.offsetAt(r, in, topic, &p)
			if err == nil {
				out.Offset, out.Timestamp, out.LeaderEpoch = at.Offset, at.Time, at.Epoch
			}
			out.ErrorCode = code(err)
			t.Partitions = append(t.Partitions, out)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp, nil
}

func (d *Door) offsetAt(r *request, in *kmsg.ListOffsetsRequest, t *brokers.Topic, p *kmsg.ListOffsetsRequestTopicPartition) (brokers.Offset, *brokers.Error) {
	if t == nil {
		return brokers.Offset{}, unknownTopic()
	}
	if err := d.checkEpoch(t, p.Partition, p.CurrentLeaderEpoch); err != nil {
		return brokers.Offset{}, err
	}
	if in.Version < timestampSince(p.Timestamp) {
		return brokers.Offset{}, refuse(brokers.UnsupportedVersion, "The timestamp is of a later version.")
	}
	return d.cluster.OffsetAt(r.ctx(), t, p.Partition, p.Timestamp, in.IsolationLevel == 1)
}

// timestampSince is the first version that a special timestamp is known in.
func timestampSince(t int64) int16 {
	switch t {
	case brokers.MaxTimestamp:
		return 7
	case brokers.EarliestLocal:
		return 8
	case brokers.LatestTiered:
		return 9
	case brokers.EarliestPending:
		return 11
	}
	return 0
}

// checkEpoch refuses a client whose idea of the leader is not the present one.
func (d *Door) checkEpoch(t *brokers.Topic, partition, epoch int32) *brokers.Error {
	p, ok := t.Partition(partition)
	if !ok {
		return unknownTopic()
	}
	info, err := d.log.Info(p)
	if err != nil {
		return fetchError(err)
	}
	return brokers.CheckEpoch(info, epoch)
}
