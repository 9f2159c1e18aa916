package app

import (
	"context"

	"thalweg/internal/log/disk"
	"thalweg/internal/metrics"
	"thalweg/internal/streams"
	"thalweg/internal/tables"
)

// startMetrics makes the registry and has it read the parts that are there.
func startMetrics(_ context.Context, s *Server) error {
	m := metrics.New(Version())
	s.metrics = m
	flag := func(on bool) float64 {
		if on {
			return 1
		}
		return 0
	}
	m.Gauge("log_writable", "1 while the log takes writes, 0 once a failed write or damage has made it read-only.",
		func() float64 { return flag(s.log.State().Writable) })
	m.Gauge("log_full", "1 while no space is left for the log.", func() float64 { return flag(s.log.State().Full) })
	m.Gauge("unsafe", "1 when a setting weakens a promise.", func() float64 { return flag(len(s.cfg.Unsafe()) > 0) })
	m.Gauge("memory_budget_bytes", "What --memory allows; in memory, without the records' half.", func() float64 { return float64(s.budget.Max()) })
	m.Gauge("memory_used_bytes", "What is used of the budget.", func() float64 { return float64(s.budget.Used()) })
	m.Gauge("http_connections", "Open HTTP connections.", func() float64 {
		n := 0
		if open := s.open.Load(); open != nil {
			for _, l := range *open {
				n += l.Conns()
			}
		}
		return float64(n)
	})
	m.Gauge("kinesis_subscriptions", "Subscriptions to shards under way.", func() float64 { return float64(s.streams.Subscriptions()) })
	for _, g := range []struct {
		name, help string
		read       func(tables.Stats) int64
	}{
		{"tables", "DynamoDB tables.", func(t tables.Stats) int64 { return t.Tables }},
		{"tables_items", "Items in DynamoDB tables.", func(t tables.Stats) int64 { return t.Items }},
		{"tables_memory_bytes", "What the items of DynamoDB tables take of the memory.", func(t tables.Stats) int64 { return t.Bytes }},
	} {
		m.Gauge(g.name, g.help, func() float64 { return float64(g.read(s.tables.Stats())) })
	}
	for _, g := range []struct {
		name, help string
		read       func(disk.Stats) float64
	}{
		{"log_partitions", "Partitions of the log.", func(t disk.Stats) float64 { return float64(t.Partitions) }},
		{"log_disk_bytes", "What the log takes on disk.", func(t disk.Stats) float64 { return float64(t.DiskBytes) }},
		{"log_wal_bytes", "What the write-ahead log takes on disk.", func(t disk.Stats) float64 { return float64(t.DiskWAL) }},
		{"log_tail_bytes", "Memory of the most recent batches.", func(t disk.Stats) float64 { return float64(t.TailBytes) }},
		{"log_since_checkpoint_bytes", "What a recovery would read of the write-ahead log.", func(t disk.Stats) float64 { return float64(t.SinceCheckpoint) }},
		{"log_open_files", "Segment files that are open.", func(t disk.Stats) float64 { return float64(t.OpenFiles) }},
		{"log_checkpoint_seconds", "How long the last checkpoint took.", func(t disk.Stats) float64 { return float64(t.CheckpointNanos) / 1e9 }},
	} {
		m.Gauge(g.name, g.help, func() float64 { return g.read(s.log.Stats()) })
	}
	for _, c := range []struct {
		name, help string
		read       func(disk.Stats) int64
	}{
		{"log_rounds_total", "Write rounds: each is one write and, under fsync, one sync.", func(t disk.Stats) int64 { return t.Rounds }},
		{"log_frames_total", "Batches and other entries written.", func(t disk.Stats) int64 { return t.Frames }},
		{"log_written_bytes_total", "Bytes written to the write-ahead log.", func(t disk.Stats) int64 { return t.WALBytes }},
		{"log_syncs_total", "Syncs of the write-ahead log.", func(t disk.Stats) int64 { return t.WALSyncs }},
		{"log_segment_syncs_total", "Syncs of segments.", func(t disk.Stats) int64 { return t.SegmentSyncs }},
		{"log_checkpoints_total", "Checkpoints.", func(t disk.Stats) int64 { return t.Checkpoints }},
		{"log_compactions_total", "Passes of compaction over partitions.", func(t disk.Stats) int64 { return t.Compactions }},
		{"log_compacted_records_total", "Records that compaction removed.", func(t disk.Stats) int64 { return t.Compacted }},
		{"log_damage_total", "Damaged places met.", func(t disk.Stats) int64 { return t.Damage }},
	} {
		m.Counter(c.name, c.help, func() float64 { return float64(c.read(s.log.Stats())) })
	}
	for l := range streams.LimitCount {
		for _, outcome := range []string{"refused", "passed"} {
			m.CounterBy("limits_exceeded_total", "Records and calls beyond one of AWS's limits: refused where they hold, passed where they only warn.",
				map[string]string{"limit": l.String(), "outcome": outcome}, func() float64 {
					refused, passed := s.streams.Exceeded(l)
					if outcome == "refused" {
						return float64(refused)
					}
					return float64(passed)
				})
		}
	}
	return nil
}
