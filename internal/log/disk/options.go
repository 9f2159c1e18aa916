// Package disk is the durable log on one machine: it implements [log.Log] over a
// directory.
//
// Appends are queued; one goroutine writes everything queued as one round to the
// write-ahead log, syncs once, shows it to readers and acknowledges it. A second
// goroutine moves batches from there to segments and packs, names them in the
// manifest, and frees WAL files; a third compacts segments. The formats are drawn in docs/formats.
//
// The invariant: what a reader is shown, and what is acknowledged, is what
// recovery will find. State that readers see changes in one place only
// ([Log.publish]), after the sync.
//
// Locks, in the order they are taken: Log.mu, partition.mu, then the leaves
// (tail.mu, walSet.mu, fileCache.mu, queue.mu).
package disk

import (
	"crypto/rand"
	"io"
	"log/slog"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/vfs"
)

// Options say how to open a directory. The zero value of every size and period
// means its default; FS, Dir and Clock are needed.
type Options struct {
	FS    vfs.FS
	Dir   string
	Clock clock.Clock
	// Durability of appends that do not say; [log.Durable] unless set to
	// [log.Written].
	Durability log.Durability
	// Memory is drawn on by the tail ring, queued batches and reads from disk.
	Memory *limits.Budget
	// TailBytes bounds the ring of most recent WAL bytes kept in memory. 32 MiB.
	TailBytes int64
	// MaxDisk refuses data when the directory holds this many bytes, but for what
	// an atomic append says beside giving space back. 0 is no bound.
	MaxDisk int64
	// Others returns the bytes beside the log's that count towards MaxDisk; nil is
	// none.
	Others func() int64
	// WALFileBytes is when the WAL goes on in another file. 64 MiB.
	WALFileBytes int64
	// CheckpointBytes of WAL since the last checkpoint make one due; it bounds
	// recovery. Twice WALFileBytes.
	CheckpointBytes int64
	// SegmentBytes is when a partition gets another segment. 256 MiB.
	SegmentBytes int64
	// FlushBytes not yet in a segment send a partition's batches to its own. 256 KiB.
	FlushBytes int64
	// SyncBytes unsynced in a segment or pack sync it ahead of the checkpoint, so
	// that appends do not wait behind one large sync. 16 MiB.
	SyncBytes int64
	// IndexBytes is the distance of entries in a segment's index. 64 KiB.
	IndexBytes int64
	// ManifestBytes is the least size at which the manifest is written anew. 1 MiB.
	ManifestBytes int64
	// PackRuns is how many runs in packs a partition may have before they are
	// copied to a segment. 32.
	PackRuns int
	// OpenFiles bounds the open segment files. 256.
	OpenFiles int
	// MaxBatchBytes is the largest batch, MaxRequestBytes the largest append.
	// 32 MiB and 64 MiB.
	MaxBatchBytes, MaxRequestBytes int
	// RetentionEvery is the period of retention sweeps. 30 s.
	RetentionEvery time.Duration
	// RetentionBytes bounds what one sweep drops by age; twice what was appended
	// since the last sweep is allowed in any case. 256 MiB.
	RetentionBytes int64
	// CompactEvery is how often partitions are looked at for compaction. 15 s.
	CompactEvery time.Duration
	// CompactBytes that are not compacted yet are enough for a pass, whatever a
	// partition's MinBytes. 16 MiB.
	CompactBytes int64
	// CompactMemory bounds the keys that a pass knows: 24 bytes each, and a fifth of
	// room. A partition with more takes several passes. 16 MiB.
	CompactMemory int64
	// ProducerExpiry is how long an idle producer's sequence is kept. 24 h.
	ProducerExpiry time.Duration
	// MaxProducers is how many idle producers a partition keeps the sequences of at a
	// checkpoint; those that were idle for longest are forgotten. 10,000.
	MaxProducers int
	// Manual runs no goroutine: Append does its round before it returns, and
	// maintenance happens in [Log.Step] and [Log.Compact]. For simulations.
	Manual bool
	// ReadOnly changes nothing in the directory and refuses appends.
	ReadOnly bool
	// Keys are those of encrypted partitions. Nil refuses what needs one; everything
	// else, recovery included, does without. Opening calls none of its methods.
	Keys Keys
	// Entropy names a new directory's history and salts the nonces of an opening;
	// crypto/rand if nil.
	Entropy io.Reader
	Logger  *slog.Logger
	Events  Events
}

// Events are called when something worth telling happens; any may be nil. They
// run on the log's goroutines and must return soon.
type Events struct {
	Recovered  func(RecoveryReport)
	Damaged    func(Damage)
	Latched    func(error)
	Full       func(bool)
	Checkpoint func(CheckpointInfo)
	Retention  func(partition log.PartitionID, start int64)
	Compacted  func(CompactionInfo)
}

// CompactionInfo describes one finished pass of compaction.
type CompactionInfo struct {
	Partition log.PartitionID
	UpTo      int64 // offset up to which the partition is now compacted
	Records   int64 // that were removed
	// Read and Written are bytes of segments.
	Read, Written int64
	Took          time.Duration
}

// CheckpointInfo describes one finished checkpoint.
type CheckpointInfo struct {
	LSN        uint64
	Partitions int // whose state was written
	Packed     int // runs that went into the pack
	Synced     int // files synced
	Took       time.Duration
	Snapshot   bool // whether the manifest was written anew
}

func orDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

func (o Options) withDefaults() (Options, error) {
	if o.FS == nil || o.Dir == "" || o.Clock == nil {
		return o, errs.New(errs.Invalid, "open log: FS, Dir and Clock are needed")
	}
	if o.Durability == log.Default {
		o.Durability = log.Durable
	}
	orDefault(&o.TailBytes, 32<<20)
	orDefault(&o.WALFileBytes, 64<<20)
	orDefault(&o.CheckpointBytes, 2*o.WALFileBytes)
	orDefault(&o.SegmentBytes, 256<<20)
	orDefault(&o.FlushBytes, 256<<10)
	orDefault(&o.SyncBytes, 16<<20)
	orDefault(&o.IndexBytes, 64<<10)
	orDefault(&o.ManifestBytes, 1<<20)
	orDefault(&o.PackRuns, 32)
	orDefault(&o.OpenFiles, 256)
	orDefault(&o.MaxBatchBytes, 32<<20)
	orDefault(&o.MaxRequestBytes, 64<<20)
	orDefault(&o.RetentionEvery, 30*time.Second)
	orDefault(&o.RetentionBytes, 256<<20)
	orDefault(&o.CompactEvery, 15*time.Second)
	orDefault(&o.CompactBytes, 16<<20)
	orDefault(&o.CompactMemory, 16<<20)
	orDefault(&o.ProducerExpiry, 24*time.Hour)
	orDefault(&o.MaxProducers, 10_000)
	if o.Entropy == nil {
		o.Entropy = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}
