package kafka

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// DescribeLogDirs
//
// Tells how many bytes the broker's partitions take: those named, or all. The
// brokers share one log; each tells of the partitions that it is a replica of, so
// that a topic's bytes are counted as often as it has replicas.
//
// Errors: CLUSTER_AUTHORIZATION_FAILED. What there is not is left out.
//
// Status: partial: the directory has the cluster's name, and its room is not told
func (d *Door) describeLogDirs(r *request, in *kmsg.DescribeLogDirsRequest) (*kmsg.DescribeLogDirsResponse, error) {
	resp := kmsg.NewPtrDescribeLogDirsResponse()
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir, dir.TotalBytes, dir.UsableBytes = d.cluster.Name(), -1, -1
	if in.Topics == nil {
		for _, t := range d.cluster.Topics() {
			d.addLogDir(r, &dir, t, nil)
		}
	}
	for _, t := range in.Topics {
		if topic := d.cluster.Topic(t.Topic); topic != nil {
			d.addLogDir(r, &dir, topic, func(i int32) bool { return slices.Contains(t.Partitions, i) })
		}
	}
	resp.Dirs = append(resp.Dirs, dir)
	return resp, nil
}

// addLogDir adds the partitions of a topic that the broker is a replica of and
// wanted chooses, if it is there.
func (d *Door) addLogDir(r *request, dir *kmsg.DescribeLogDirsResponseDir, t *brokers.Topic, wanted func(int32) bool) {
	out := kmsg.NewDescribeLogDirsResponseDirTopic()
	out.Topic = t.Name()
	for i := range t.Partitions() {
		at, ok := t.Partition(i)
		if !ok || wanted != nil && !wanted(i) || !slices.Contains(d.cluster.Replicas(t, i), r.conn.at.Broker) {
			continue
		}
		info, err := d.log.Info(at)
		if err != nil {
			continue // it is being removed
		}
		out.Partitions = append(out.Partitions, kmsg.DescribeLogDirsResponseDirTopicPartition{Partition: i, Size: info.Bytes})
	}
	if len(out.Partitions) > 0 {
		dir.Topics = append(dir.Topics, out)
	}
}
