package kinesis

import (
	"slices"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/ids"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// Conversions from the domain to shapes that several operations answer with.

func shardShape(sh *catalog.Shard) model.Shard {
	out := model.Shard{
		ShardId:      opt.Of(sh.Number.String()),
		HashKeyRange: rangeShape(sh.Range),
		SequenceNumberRange: &model.SequenceNumberRange{
			StartingSequenceNumber: opt.Of(streams.StartOf(sh).String()),
		},
	}
	if len(sh.Parents) > 0 {
		out.ParentShardId = opt.Of(sh.Parents[0].String())
	}
	if len(sh.Parents) > 1 {
		out.AdjacentParentShardId = opt.Of(sh.Parents[1].String())
	}
	if !sh.Open() {
		out.SequenceNumberRange.EndingSequenceNumber = opt.Of(streams.EndOf(sh).String())
	}
	return out
}

func shardShapes(shards []*catalog.Shard) []model.Shard {
	out := make([]model.Shard, len(shards))
	for i, sh := range shards {
		out[i] = shardShape(sh)
	}
	return out
}

// childShapes are shards as what goes on where a closed one ends.
func childShapes(children []*catalog.Shard) []model.ChildShard {
	out := make([]model.ChildShard, len(children))
	for i, sh := range children {
		out[i] = model.ChildShard{ShardId: opt.Of(sh.Number.String()), HashKeyRange: rangeShape(sh.Range)}
		for _, p := range sh.Parents {
			out[i].ParentShards = append(out[i].ParentShards, p.String())
		}
	}
	return out
}

func rangeShape(r ids.Range) *model.HashKeyRange {
	return &model.HashKeyRange{StartingHashKey: opt.Of(r.Start.String()), EndingHashKey: opt.Of(r.End.String())}
}

func modeShape(r *catalog.Resource) *model.StreamModeDetails {
	return &model.StreamModeDetails{StreamMode: opt.Of(model.StreamMode(r.Stream.Mode))}
}

// warmShape is the warm throughput of a stream, nil where AWS has none.
func (d *Door) warmShape(r *catalog.Resource) *model.WarmThroughputObject {
	if r.Stream.Mode != catalog.OnDemand || !d.streams.Commitment(r.Scope).Active() {
		return nil
	}
	out := &model.WarmThroughputObject{CurrentMiBps: opt.Of(int32(streams.OpenShards(r)))}
	if r.Stream.WarmMiBps > 0 {
		out.TargetMiBps = opt.Of(int32(r.Stream.WarmMiBps))
	}
	return out
}

func monitoringShape(r *catalog.Resource) []model.EnhancedMetrics {
	return []model.EnhancedMetrics{{ShardLevelMetrics: metricShapes(r)}}
}

// metricShapes are the shard-level metrics of r that are on.
func metricShapes(r *catalog.Resource) []model.MetricsName {
	out := make([]model.MetricsName, len(r.Stream.ShardMetrics))
	for i, m := range r.Stream.ShardMetrics {
		out[i] = model.MetricsName(m)
	}
	return out
}

func metricNames(metrics []model.MetricsName) []string {
	out := make([]string, len(metrics))
	for i, m := range metrics {
		out[i] = string(m)
	}
	return out
}

// encryptionShape is the encryption of a stream: NONE, or KMS and its key.
func encryptionShape(r *catalog.Resource) (opt.V[model.EncryptionType], opt.V[string]) {
	if r.Stream.KeyID == "" {
		return opt.Of(model.EncryptionTypeNone), opt.V[string]{}
	}
	return opt.Of(model.EncryptionTypeKms), opt.Of(r.Stream.KeyID)
}

// encryptedShape is the encryption of records put or read: absent unless they are
// stored encrypted.
func encryptedShape(encrypted bool) opt.V[model.EncryptionType] {
	if !encrypted {
		return opt.V[model.EncryptionType]{}
	}
	return opt.Of(model.EncryptionTypeKms)
}

// tagShapes are tags by rising key, those after the key after.
func tagShapes(tags map[string]string, after string) []model.Tag {
	out := make([]model.Tag, 0, len(tags))
	for k, v := range tags {
		if k > after {
			out = append(out, model.Tag{Key: opt.Of(k), Value: opt.Of(v)})
		}
	}
	slices.SortFunc(out, func(a, b model.Tag) int {
		if a.Key.V < b.Key.V {
			return -1
		}
		return 1
	})
	return out
}
