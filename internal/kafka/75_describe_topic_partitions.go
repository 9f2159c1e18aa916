package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// DescribeTopicPartitions
//
// Lists topics, those named or all, by name, with their partitions, as many as the
// client and the server allow in one answer; the cursor says where to go on.
//
// Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION, INVALID_REQUEST for
// a cursor that is before the first topic asked for.
//
// Status: done
func (d *Door) describeTopicPartitions(r *request, in *kmsg.DescribeTopicPartitionsRequest) (*kmsg.DescribeTopicPartitionsResponse, error) {
	resp := kmsg.NewPtrDescribeTopicPartitionsResponse()
	var names []string
	for i := range in.Topics {
		names = append(names, in.Topics[i].Topic)
	}
	if len(names) == 0 {
		for _, t := range d.cluster.Topics() {
			names = append(names, t.Name())
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	first := int32(0)
	if in.Cursor != nil {
		names = slices.DeleteFunc(names, func(n string) bool { return n < in.Cursor.Topic })
		if len(names) > 0 && names[0] == in.Cursor.Topic {
			first = max(in.Cursor.Partition, 0)
		}
	}
	left := min(max(in.ResponsePartitionLimit, 1), maxDescribedPartitions)
	for _, name := range names {
		out := kmsg.NewDescribeTopicPartitionsResponseTopic()
		out.Topic, out.AuthorizedOperations = &name, noOperations
		t := d.cluster.Topic(name)
		if t == nil {
			n := brokers.NewTopic{Name: name, Partitions: -1, Replication: -1}
			err := d.cluster.CheckTopic(&n)
			if err == nil {
				err = unknownTopic()
			}
			out.ErrorCode = code(err)
			resp.Topics = append(resp.Topics, out)
			continue
		}
		out.TopicID, out.IsInternal = t.ID(), t.Internal()
		out.AuthorizedOperations = r.conn.operations(true, brokers.TopicKind, name)
		for i := first; i < t.Partitions(); i++ {
			if left == 0 {
				resp.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: name, Partition: i}
				break
			}
			left--
			p := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
			at := d.place(t, i)
			p.Partition, p.ErrorCode, p.LeaderID, p.LeaderEpoch = i, code(at.err), at.leader, at.epoch
			p.Replicas, p.ISR, p.EligibleLeaderReplicas, p.LastKnownELR, p.OfflineReplicas = at.replicas, at.replicas, []int32{}, []int32{}, []int32{}
			out.Partitions = append(out.Partitions, p)
		}
		first = 0
		resp.Topics = append(resp.Topics, out)
		if resp.NextCursor != nil {
			break
		}
	}
	return resp, nil
}

// maxDescribedPartitions is the most in one answer
// (max.request.partition.size.limit of Apache Kafka).
const maxDescribedPartitions = 2000
