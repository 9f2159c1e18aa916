// Package kafkalog is [log.Log] on an Apache Kafka cluster, in plain produce and
// fetch requests whose batches are not taken apart. A partition is a topic with
// one partition, so that it can be deleted; beside them stands one journal.
//
// Every change but a plain append is one batch in the journal first: that batch
// is the moment at which an atomic append happened, and whoever opens the log
// next finishes what the last one began. The order of a Kafka partition is the
// only thing relied on. Who opens the log writes that it has taken over, and
// journal batches of others after that are void; a partition's seal is a record,
// and what stands behind it is not part of the partition. Each writer sees that
// from the offset that its own batch got: if others wrote in between, it looks.
//
// What maps exactly:
//   - Append, Read, Partitions, Create, Delete, Seal, Trim, OffsetForTime, State.
//   - Atomic: whole or not at all through a crash, as on disk; a reader may see one
//     partition's part before the other's, for a moment.
//   - Idempotent producers: Kafka checks them itself, in plain appends.
//
// What maps weakly:
//   - Bytes: the arrival is LogAppendTime, so Kafka writes it as the batch's maximum
//     timestamp, sets the bit that says so, and makes the checksum anew.
//   - Arrival may step back when a partition's leader moves to a slower clock.
//   - Durability: flush.messages=1 and acks=all; Written is as slow as Durable.
//   - Fence and ExpectedEpoch hold against a process that was replaced, unless that
//     process stalls between the journal and the partition.
//   - Config: Kafka deletes whole segments; records outlive MaxAge by a 24th or more.
//     Compaction spares the active segment, MinBytes is Kafka's own, and a record
//     without a key is refused instead of removed.
//   - Info: LastArrival and Epoch are what this process knows; Bytes is what Kafka
//     stores, trimmed segments included for a while.
//   - Watch never waits for more than 16 MiB, and learns of bytes a fetch later.
//   - A connection that breaks under an append makes the log read-only, like a disk
//     that fails: nobody can tell whether Kafka has the batch.
//   - One batch is in flight at a time: right, and slow. One process at a time owns
//     a log.
//
// What cannot be, and is refused: batches with holes (Kafka checks the count of
// records), keys (Kafka stores what it is given), a producer's batch in an atomic
// append or under an epoch (nobody could tell beforehand whether Kafka would take
// it), and markers of transactions (only Kafka's coordinator writes them; what
// its clients abort is named to readers as ever).
//
// It is not wired to the server: --log refuses kafka:// addresses.
package kafkalog

import (
	"context"
	"maps"
	"slices"
	"sync"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/lifecycle"
	"thalweg/internal/log"
)

// Options say where a log is. Brokers and Clock are required.
type Options struct {
	Brokers []string
	// Prefix begins the names of the log's topics; two logs on one cluster have two.
	Prefix string
	// Replicas of every topic; 0 is the cluster's default.
	Replicas int16
	// MaxBatchBytes is the largest batch taken, 12 MiB if 0.
	MaxBatchBytes int
	// MemoryBytes bounds the appends that wait, 64 MiB if 0.
	MemoryBytes int
	Clock       clock.Clock
}

// Log is a log on a cluster. See the package comment.
type Log struct {
	opts    Options
	cluster *cluster
	group   *lifecycle.Group
	queue   *queue
	journal journal // the writer's

	mu      sync.Mutex
	parts   map[log.PartitionID]*part // guarded by mu; only the writer changes it
	failure error                     // guarded by mu: why the log is read-only
	watch   watch
}

// part is what a log knows of a partition. Its values are replaced, not changed,
// once they are in Log.parts.
type part struct {
	config      log.Config
	end         int64 // where the next batch is expected
	sealed      bool  // at end
	epoch       uint32
	lastArrival int64
	start       int64 // as planned within one request; the cluster knows better
}

// Open opens the log and takes it over from whoever had it. It finishes what
// that one left half done.
func Open(ctx context.Context, opts Options) (*Log, error) {
	if opts.Prefix == "" {
		opts.Prefix = "thalweg"
	}
	if opts.Replicas == 0 {
		opts.Replicas = -1
	}
	if opts.MaxBatchBytes == 0 {
		opts.MaxBatchBytes = 12 << 20
	}
	if opts.MemoryBytes == 0 {
		opts.MemoryBytes = 64 << 20
	}
	c, err := dial(opts)
	if err != nil {
		return nil, err
	}
	l := &Log{
		opts: opts, cluster: c, group: lifecycle.NewGroup(context.WithoutCancel(ctx)),
		queue: newQueue(opts.MemoryBytes), parts: map[log.PartitionID]*part{},
	}
	l.journal = journal{topic: opts.Prefix + ".journal"}
	l.watch.init()
	if err := l.recover(ctx); err != nil {
		c.close()
		return nil, err
	}
	l.group.Go("writer", l.write)
	l.group.Go("watcher", l.tail)
	return l, nil
}

func (l *Log) topic(p log.PartitionID) string { return l.opts.Prefix + "." + p.String() }

// part returns what is known of p.
func (l *Log) part(p log.PartitionID) (part, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.parts[p]
	if st == nil {
		return part{}, log.ErrNotFound
	}
	return *st, nil
}

// set replaces what is known of p; nil forgets it.
func (l *Log) set(p log.PartitionID, st *part) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if st == nil {
		delete(l.parts, p)
		return
	}
	l.parts[p] = st
}

// Partitions lists all partitions, sorted.
func (l *Log) Partitions() []log.PartitionID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedFunc(maps.Keys(l.parts), compare)
}

// State tells whether the log takes writes.
func (l *Log) State() log.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure != nil {
		return log.State{Reason: l.failure.Error()}
	}
	return log.State{Writable: true}
}

// fail makes the log read-only: what became of a write is not known.
func (l *Log) fail(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure == nil {
		l.failure = errs.Wrap(errs.ReadOnly, "kafka", err)
	}
	return log.ErrReadOnly
}

func (l *Log) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure
}

// Close stops the log in order: the append under way is finished, those behind it
// get [log.ErrClosed], every watch fires.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	if l.failure == nil {
		l.failure = log.ErrClosed
	}
	l.mu.Unlock()
	l.queue.close()
	select {
	case <-l.queue.drained:
	case <-ctx.Done():
	}
	err := l.group.Stop(ctx)
	l.watch.fireAll()
	l.cluster.close()
	return err
}
