package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/clock"
)

// metadataTopic is Apache Kafka's name of where a cluster is described.
const metadataTopic = "__cluster_metadata"

// DescribeQuorum
//
// Tells the one voter about the metadata: the controller, whose log is as long as
// the catalog's.
//
// Errors: UNKNOWN_TOPIC_OR_PARTITION, CLUSTER_AUTHORIZATION_FAILED.
//
// Status: partial: the voter's listener is the one that the client came to
func (d *Door) describeQuorum(r *request, in *kmsg.DescribeQuorumRequest) (*kmsg.DescribeQuorumResponse, error) {
	resp := kmsg.NewPtrDescribeQuorumResponse()
	resp.ErrorMessage = new(string) // as Apache Kafka has it
	described := false
	for _, t := range in.Topics {
		out := kmsg.NewDescribeQuorumResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			o := kmsg.NewDescribeQuorumResponseTopicPartition()
			o.Partition = p.Partition
			end, err := d.cluster.MetadataEnd()
			switch {
			case t.Topic != metadataTopic || p.Partition != 0:
				err = unknownTopic()
				fallthrough
			case err != nil:
				o.ErrorCode, o.ErrorMessage = code(err), message(err)
			default:
				described = true
				now := clock.Millis(d.opts.Clock)
				o.ErrorMessage = new(string)
				o.LeaderID, o.LeaderEpoch, o.HighWatermark = d.cluster.Controller(), 1, end
				o.CurrentVoters = []kmsg.DescribeQuorumResponseTopicPartitionReplicaState{{ReplicaID: o.LeaderID, LogEndOffset: end,
					LastFetchTimestamp: now, LastCaughtUpTimestamp: now}}
				if in.Version == 0 {
					o.CurrentVoters[0].LastFetchTimestamp, o.CurrentVoters[0].LastCaughtUpTimestamp = -1, -1
				}
			}
			out.Partitions = append(out.Partitions, o)
		}
		resp.Topics = append(resp.Topics, out)
	}
	for _, b := range r.conn.brokers() {
		if described && b.id == d.cluster.Controller() {
			resp.Nodes = append(resp.Nodes, kmsg.DescribeQuorumResponseNode{NodeID: b.id,
				Listeners: []kmsg.DescribeQuorumResponseNodeListener{{Name: "CONTROLLER", Host: b.host, Port: uint16(b.port)}}})
		}
	}
	return resp, nil
}
