package disk

import "sync/atomic"

// counters are totals since the log was opened.
type counters struct {
	rounds, frames, walBytes, syncs atomic.Int64
	segmentSyncs                    atomic.Int64
	checkpoints, checkpointNanos    atomic.Int64
	retained                        atomic.Int64
	damage                          atomic.Int64
	compactions, compacted          atomic.Int64
}

// Stats describes a log for metrics. Counters count from the open.
type Stats struct {
	// Rounds written, frames in them, their bytes, and WAL syncs.
	Rounds, Frames, WALBytes, WALSyncs int64
	// SegmentSyncs are syncs of segments and packs.
	SegmentSyncs int64
	// Checkpoints done, and how long the last one took.
	Checkpoints, CheckpointNanos int64
	// SinceCheckpoint is the WAL bytes that a recovery would replay.
	SinceCheckpoint int64
	// DiskBytes is what the directory takes, DiskWAL and DiskSegments parts of it.
	DiskBytes, DiskWAL, DiskSegments int64
	// TailBytes is the memory of the tail ring.
	TailBytes int64
	// Partitions there are, and segment files open.
	Partitions, OpenFiles int
	// Trims by retention, and damage come upon since the open.
	Retained, Damage int64
	// Compactions are passes over partitions, Compacted the records they removed.
	Compactions, Compacted int64
}

// Stats returns the state for metrics.
func (l *Log) Stats() Stats {
	l.mu.RLock()
	n := len(l.parts)
	l.mu.RUnlock()
	l.tail.mu.RLock()
	tailBytes := l.tail.bytes
	l.tail.mu.RUnlock()
	c := &l.stats
	return Stats{
		Rounds: c.rounds.Load(), Frames: c.frames.Load(), WALBytes: c.walBytes.Load(), WALSyncs: c.syncs.Load(),
		SegmentSyncs: c.segmentSyncs.Load(), Checkpoints: c.checkpoints.Load(), CheckpointNanos: c.checkpointNanos.Load(),
		SinceCheckpoint: l.sinceCheckpoint.Load(), DiskBytes: l.diskUsed(), DiskWAL: l.wals.bytes.Load(),
		DiskSegments: l.m.segBytes.Load(), TailBytes: tailBytes, Partitions: n, OpenFiles: l.files.opened(),
		Retained: c.retained.Load(), Damage: c.damage.Load(),
		Compactions: c.compactions.Load(), Compacted: c.compacted.Load(),
	}
}
