// Package meta keeps small durable state as a log of events with snapshots, in
// one partition of the log. The catalog is built on it, and so is whatever else
// is small, must survive, and changes together with partitions.
//
// A state is a [Machine]: it changes by events only, and can say itself as
// events. [Open] replays them; [Store.Commit] decides on a change, appends its
// events together with entries for other partitions as one atomic append, and
// applies them once they are durable. So what the machine shows is always
// durable, in the order in which it was decided.
//
// Layout: each record is one event. Its key is one byte, its value the rest:
//
//	'e'  an event: the machine's own bytes
//	'r'  a snapshot begins: the state is empty again; value = format version (1 byte)
//
// A snapshot is an 'r' and events that build the state from nothing, in one
// atomic append of as many batches as it takes; when it is durable, what
// precedes it is trimmed. A partition therefore begins with its first event
// ever or with a snapshot.
//
// Writers are fenced: Open raises the partition's epoch, and every append names
// it, so that an older writer's commits fail with log.ErrFenced.
//
// A Store is safe for concurrent use. What it does not do: queries, indexes,
// large values (an event must fit one batch).
package meta

import (
	"context"
	"errors"
	"sync"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/invariants"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// Machine is a state that events change. The store never calls two of its
// methods at once; it is the machine's matter to guard its readers.
type Machine interface {
	// Reset empties the state.
	Reset()
	// Apply changes the state by one event, which it must not keep. The same
	// events in the same order must give the same state. An error means that
	// the event cannot be understood; the store then takes no more commits.
	Apply(event []byte) error
	// Snapshot calls emit with events that build the present state from an
	// empty one. emit does not keep its argument.
	Snapshot(emit func(event []byte))
}

// Options configure a Store. Log, Clock and Machine are needed.
type Options struct {
	Log       log.Log
	Partition log.PartitionID
	Clock     clock.Clock
	Machine   Machine
	// SnapshotBytes is how many bytes of events may follow a snapshot before the
	// next one is taken, at least; it is not less than the last snapshot's size.
	// 0 is 1 MiB.
	SnapshotBytes int64
}

// Change is what a commit does: events for the machine, and entries for other
// partitions that stand or fall with them. At least one event is needed.
type Change struct {
	Events  [][]byte
	Entries []log.Entry
}

const (
	keyEvent      = "e"
	keyReset      = "r"
	formatVersion = 1

	defaultSnapshotBytes = 1 << 20
	// snapshotBatchBytes is about how large one batch of a snapshot gets.
	snapshotBatchBytes = 512 << 10
	readBytes          = 1 << 20
)

// Store is an open state.
type Store struct {
	log       log.Log
	partition log.PartitionID
	clock     clock.Clock
	machine   Machine
	threshold int64

	mu       sync.Mutex // one commit or snapshot at a time
	epoch    uint32
	builder  batch.Builder
	pending  int64 // bytes of events since the last snapshot
	snapshot int64 // bytes of the last snapshot
	broken   error
}

// Open takes the partition over, creating it if there is none, and replays it
// into the machine. On a log that is read-only, as after damage, every commit
// then fails with that log's error. Errors: those of the log; a Corrupt error when the events
// cannot be read.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{log: o.Log, partition: o.Partition, clock: o.Clock, machine: o.Machine, threshold: o.SnapshotBytes}
	if s.threshold <= 0 {
		s.threshold = defaultSnapshotBytes
	}
	if _, err := s.log.Info(s.partition); errors.Is(err, log.ErrNotFound) {
		create := log.Entry{Kind: log.Create, Partition: s.partition}
		if _, err := log.Do(s.log, log.Request{Entries: []log.Entry{create}}); err != nil && !errors.Is(err, log.ErrExists) {
			return nil, errs.Wrap(errs.KindOf(err), "create metadata partition", err)
		}
	} else if err != nil {
		return nil, err
	}
	if err := s.takeOver(); err != nil {
		return nil, err
	}
	if err := s.replay(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// takeOver fences earlier writers. A log that is read-only has none and takes no
// commit either: its state can still be read.
func (s *Store) takeOver() error {
	fence := log.Entry{Kind: log.Fence, Partition: s.partition}
	r, err := log.Do(s.log, log.Request{Entries: []log.Entry{fence}})
	switch {
	case err == nil:
		s.epoch = r[0].Epoch
	case errs.KindOf(err) != errs.ReadOnly:
		return errs.Wrap(errs.KindOf(err), "take over metadata partition", err)
	}
	return nil
}

// replay applies everything in the partition.
func (s *Store) replay(ctx context.Context) error {
	s.machine.Reset()
	info, err := s.log.Info(s.partition)
	if err != nil {
		return err
	}
	first := true
	for at := info.Start; at < info.End; {
		if err := ctx.Err(); err != nil {
			return err
		}
		found, err := s.log.Read(s.partition, at, readBytes, log.Uncommitted)
		if err != nil {
			return errs.Wrap(errs.KindOf(err), "read metadata", err)
		}
		if len(found.List) == 0 {
			return errs.New(errs.Corrupt, "metadata ends before its partition does")
		}
		for _, b := range found.List {
			if err := s.replayBatch(b.Bytes, first && info.Start > 0); err != nil {
				found.Release()
				return err
			}
			first = false
			at = b.Base + int64(b.Count)
		}
		found.Release()
	}
	return nil
}

// replayBatch applies one batch. needReset tells that it must begin a snapshot.
func (s *Store) replayBatch(b []byte, needReset bool) error {
	it, err := batch.Records(b)
	if err != nil {
		return errs.Wrap(errs.Corrupt, "read metadata", err)
	}
	for it.Next() {
		r := it.Record()
		switch {
		case string(r.Key) == keyReset:
			if len(r.Value) != 1 || r.Value[0] != formatVersion {
				return &errs.Error{Kind: errs.Unsupported, Op: "read metadata", Msg: "snapshot of a newer format",
					Hint: "use the version of thalweg that wrote it"}
			}
			s.machine.Reset()
			s.pending, s.snapshot = 0, 0
		case needReset:
			return errs.New(errs.Corrupt, "metadata begins without its snapshot")
		case string(r.Key) == keyEvent:
			if err := s.machine.Apply(r.Value); err != nil {
				return errs.Wrap(errs.Corrupt, "apply metadata event", err)
			}
		default:
			return errs.New(errs.Corrupt, "metadata record of an unknown kind")
		}
		needReset = false
	}
	s.pending += int64(len(b))
	return it.Err()
}

// Commit calls decide, which reads the state and says what is to change, and
// makes that change durable and visible. No other commit runs in between, so
// what decide saw still holds. An error of decide commits nothing and is
// returned as it is; a Change without events commits nothing.
//
// It returns the results of the change's entries. Errors: those of the log, after
// which nothing has changed; but a log that fails while it writes
// ([log.ErrReadOnly]) may show the change after the next start.
func (s *Store) Commit(ctx context.Context, decide func() (Change, error)) ([]log.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return nil, s.broken
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := decide()
	if err != nil || len(c.Events) == 0 {
		return nil, err
	}
	now := clock.Millis(s.clock)
	s.builder.Reset()
	for _, e := range c.Events {
		s.builder.Append(batch.Record{Key: []byte(keyEvent), Value: e, Timestamp: now})
	}
	data := s.builder.Finish()
	entries := make([]log.Entry, 0, 1+len(c.Entries))
	entries = append(entries, s.dataEntry(data))
	entries = append(entries, c.Entries...)
	results, err := log.Do(s.log, log.Request{Entries: entries, Atomic: true})
	if err != nil {
		return nil, err
	}
	for _, e := range c.Events {
		if err := s.machine.Apply(e); err != nil {
			s.broken = errs.Wrap(errs.Internal, "apply committed metadata event", err)
			return nil, s.broken
		}
	}
	s.pending += int64(len(data))
	if s.pending > max(s.threshold, s.snapshot) {
		// The commit stands whatever becomes of this; the next one tries again.
		_ = s.takeSnapshot()
	}
	return results[1:], nil
}

// Snapshot writes the state anew and trims what led to it.
func (s *Store) Snapshot() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	return s.takeSnapshot()
}

func (s *Store) takeSnapshot() error {
	now := clock.Millis(s.clock)
	var entries []log.Entry
	b := &batch.Builder{}
	flush := func() {
		entries = append(entries, s.dataEntry(b.Finish()))
		b = &batch.Builder{}
	}
	b.Append(batch.Record{Key: []byte(keyReset), Value: []byte{formatVersion}, Timestamp: now})
	s.machine.Snapshot(func(event []byte) {
		r := batch.Record{Key: []byte(keyEvent), Value: event, Timestamp: now}
		if b.Count() > 0 && b.SizeWith(r, len(event)) > snapshotBatchBytes {
			flush()
		}
		b.Append(r)
	})
	flush()
	results, err := log.Do(s.log, log.Request{Entries: entries, Atomic: true})
	if err != nil {
		return errs.Wrap(errs.KindOf(err), "write metadata snapshot", err)
	}
	s.snapshot, s.pending = 0, 0
	for _, e := range entries {
		s.snapshot += int64(len(e.Batch))
	}
	for i := 1; i < len(results); i++ {
		invariants.Check(results[i].Offset > results[i-1].Offset, "snapshot batches out of order: %v", results)
	}
	trim := log.Entry{Kind: log.Trim, Partition: s.partition, Offset: results[0].Offset, ExpectedEpoch: s.epoch}
	if _, err := log.Do(s.log, log.Request{Entries: []log.Entry{trim}}); err != nil {
		return errs.Wrap(errs.KindOf(err), "trim metadata", err)
	}
	return nil
}

func (s *Store) dataEntry(b []byte) log.Entry {
	return log.Entry{Kind: log.Data, Partition: s.partition, Batch: b, ExpectedEpoch: s.epoch}
}
