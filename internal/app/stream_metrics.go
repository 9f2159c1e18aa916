package app

import (
	"slices"

	"thalweg/internal/catalog"
	"thalweg/internal/metrics"
	"thalweg/internal/streams"
)

// streamMetrics registers the traffic of streams, always, and of their shards, as
// far as enhanced monitoring asks for it. Only what has been used since the start
// has series, and what is gone has none any more.
func (s *Server) streamMetrics() {
	kinds := []struct {
		name, help string
		of         func(*streams.Meter) int64
	}{
		{"incoming_bytes_total", "Bytes of data and partition keys put", func(m *streams.Meter) int64 { return m.InBytes.Load() }},
		{"incoming_records_total", "Records put", func(m *streams.Meter) int64 { return m.InRecords.Load() }},
		{"outgoing_bytes_total", "Bytes of data and partition keys read", func(m *streams.Meter) int64 { return m.OutBytes.Load() }},
		{"outgoing_records_total", "Records read", func(m *streams.Meter) int64 { return m.OutRecords.Load() }},
		{"write_throttled_records_total", "Records refused for exceeded throughput, sent", func(m *streams.Meter) int64 { return m.WriteThrottled.Load() }},
		{"read_throttled_calls_total", "Reads refused for exceeded throughput, made", func(m *streams.Meter) int64 { return m.ReadThrottled.Load() }},
		{"iterator_age_milliseconds", "How far behind the tip the last page ended that was read", func(m *streams.Meter) int64 { return m.IteratorAge.Load() }},
	}
	// The names that enhanced monitoring gives the kinds, in the same order.
	enhanced := streams.ShardMetrics()
	age := len(kinds) - 1
	var list []metrics.Family
	for _, k := range kinds {
		list = append(list, metrics.Family{Name: "shard_" + k.name, Help: k.help + " by Kinesis clients, where enhanced monitoring is on.",
			Labels: []string{"account", "region", "stream", "shard"}, Gauge: k.name == kinds[age].name})
	}
	for _, k := range kinds[:age] {
		list = append(list, metrics.Family{Name: "stream_" + k.name, Help: k.help + " by Kinesis clients.", Labels: []string{"account", "region", "stream"}})
	}
	s.metrics.Families(list, func(emit func(int, float64, ...string)) {
		s.streams.EachMeter(func(r *catalog.Resource, shard *catalog.Shard, m *streams.Meter) {
			for i, k := range kinds {
				switch {
				case shard == nil && i != age:
					emit(len(kinds)+i, float64(k.of(m)), r.Scope.Account, r.Region, r.Name)
				case shard != nil && slices.Contains(r.Stream.ShardMetrics, enhanced[i]):
					emit(i, float64(k.of(m)), r.Scope.Account, r.Region, r.Name, shard.Number.String())
				}
			}
		})
	})
}
