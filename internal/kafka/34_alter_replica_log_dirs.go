package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// AlterReplicaLogDirs
//
// Refuses to move a partition to another directory: all are in the one log.
//
// Errors: LOG_DIR_NOT_FOUND for each partition, CLUSTER_AUTHORIZATION_FAILED.
//
// Status: refused: there is one directory
func (d *Door) alterReplicaLogDirs(_ *request, in *kmsg.AlterReplicaLogDirsRequest) (*kmsg.AlterReplicaLogDirsResponse, error) {
	return notMoved(in, brokers.LogDirNotFound), nil
}

func notMoved(in *kmsg.AlterReplicaLogDirsRequest, c brokers.Code) *kmsg.AlterReplicaLogDirsResponse {
	resp := kmsg.NewPtrAlterReplicaLogDirsResponse()
	for _, dir := range in.Dirs {
		for _, t := range dir.Topics {
			out := kmsg.NewAlterReplicaLogDirsResponseTopic()
			out.Topic = t.Topic
			for _, p := range t.Partitions {
				out.Partitions = append(out.Partitions, kmsg.AlterReplicaLogDirsResponseTopicPartition{Partition: p, ErrorCode: int16(c)})
			}
			resp.Topics = append(resp.Topics, out)
		}
	}
	return resp
}
