package kafkalog

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"

	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// Kinds of journal record beside those of log.Kind.
const (
	take     log.Kind = 200 + iota // the process that writes this owns the log; its number is the record's offset
	snapshot                       // everything before this batch is in its records
	keep                           // a partition, in a snapshot
)

const (
	// maxJournal is the largest batch of the journal.
	maxJournal = 64 << 20
	// snapshotAfter is how many bytes the journal may hold beside its snapshot.
	snapshotAfter = 128 << 20
)

// step is one change, as planned and as it stands in the journal: JSON in a
// record's key, the batch in its value.
type step struct {
	Do          log.Kind
	Owner       int64
	Partition   log.PartitionID
	Offset      int64      // Data, Seal: where it lands; Trim: the new start
	Config      log.Config // Create, Configure, keep
	Epoch       uint32     // Fence, keep
	LastArrival int64      // Seal, Trim, keep
	Sealed      bool       // keep
	batch       []byte     // Data
	entry       int        // of the request
}

// journal is the writer's end of the journal.
type journal struct {
	topic string
	owner int64
	end   int64
	bytes int // since the last snapshot
}

// record puts steps into the journal: they happened now, whoever does them.
func (l *Log) record(steps []step) error {
	var b batch.Builder
	for i := range steps {
		steps[i].Owner = l.journal.owner
		key, err := json.Marshal(&steps[i])
		if err != nil {
			return errs.Wrap(errs.Internal, "journal", err)
		}
		b.Append(batch.Record{Key: key, Value: steps[i].batch})
	}
	buf := b.Finish()
	if len(buf) > maxJournal {
		return log.ErrTooLarge
	}
	if l.journal.bytes += len(buf); l.journal.bytes > snapshotAfter && steps[0].Do != snapshot {
		if err := l.snapshot(); err != nil {
			return err
		}
	}
	a, err := l.cluster.produce(l.group.Context(), l.journal.topic, buf)
	if errs.KindOf(err) == errs.Internal && err != nil {
		return l.fail(err)
	}
	if err != nil {
		return err
	}
	taken, err := l.takenOver(a.base)
	if err != nil {
		return l.fail(err)
	}
	if taken { // and this batch is void
		_ = l.fail(log.ErrFenced)
		return log.ErrFenced
	}
	l.journal.end = a.base + int64(len(steps))
	return nil
}

// takenOver reports whether another process took the log over below an offset of
// the journal. What else others wrote there is void.
func (l *Log) takenOver(below int64) (bool, error) {
	_, found, err := l.find(l.journal.topic, l.journal.end, below, func(b []byte) bool {
		steps, err := decode(b)
		return err == nil && steps[0].Do == take
	})
	if errors.Is(err, log.ErrOutOfRange) { // trimmed, which only an owner does
		return true, nil
	}
	return found, err
}

// snapshot writes what the journal comes to, and trims what it stands for.
func (l *Log) snapshot() error {
	l.journal.bytes = 0
	at := l.journal.end
	steps := []step{{Do: snapshot}}
	for _, p := range l.Partitions() {
		st, err := l.part(p)
		if err != nil {
			return err
		}
		steps = append(steps, step{
			Do: keep, Partition: p, Offset: st.end, Config: st.config, Epoch: st.epoch, Sealed: st.sealed, LastArrival: st.lastArrival,
		})
	}
	if err := l.record(steps); err != nil {
		return err
	}
	return l.cluster.trim(l.group.Context(), l.journal.topic, at)
}

// recover reads the journal, takes the log over, and finishes the last change.
func (l *Log) recover(ctx context.Context) error {
	settings := l.cluster.settings(log.Config{})
	for i := range settings {
		if settings[i][0] == "max.message.bytes" {
			settings[i][1] = "104857600"
		}
	}
	if err := l.cluster.createWith(ctx, l.journal.topic, settings); err != nil {
		return errs.Wrap(errs.Internal, "make the journal", err)
	}
	var taking batch.Builder
	key, err := json.Marshal(step{Do: take})
	if err != nil {
		return errs.Wrap(errs.Internal, "journal", err)
	}
	taking.Append(batch.Record{Key: key})
	a, err := l.cluster.produce(ctx, l.journal.topic, taking.Finish())
	if err != nil {
		return err
	}
	last, err := l.replay(ctx, a.base)
	if err != nil {
		return err
	}
	l.journal.owner, l.journal.end = a.base, a.base+1
	for p, st := range l.parts {
		if err := l.catchUp(ctx, p, st, last); err != nil {
			return err
		}
	}
	if err := l.redo(last); err != nil {
		return err
	}
	return l.snapshot()
}

// replay makes the partitions out of the journal below end, and returns the steps
// of the last batch that counts.
func (l *Log) replay(ctx context.Context, end int64) (last []step, err error) {
	at, _, err := l.cluster.offset(ctx, l.journal.topic, earliest, log.Uncommitted)
	if err != nil {
		return nil, err
	}
	owner := int64(-1)
	for at < end {
		got, err := l.cluster.fetch(ctx, l.journal.topic, at, 2*maxJournal, log.Uncommitted)
		if err != nil {
			return nil, err
		}
		if len(got.List) == 0 {
			return nil, errs.New(errs.Corrupt, "the journal ends before its end")
		}
		for _, b := range got.List {
			if b.Base >= end {
				break
			}
			steps, err := decode(b.Bytes)
			if err != nil {
				return nil, err
			}
			at = b.Base + int64(b.Count)
			switch {
			case steps[0].Do == take:
				owner = b.Base
			case steps[0].Owner == owner, owner < 0 && steps[0].Do == snapshot:
				owner = steps[0].Owner
				last = steps
				l.fold(steps)
			}
		}
	}
	return last, nil
}

// decode reads a batch of the journal.
func decode(b []byte) ([]step, error) {
	it, err := batch.Records(b)
	if err != nil {
		return nil, errs.Wrap(errs.Corrupt, "journal", err)
	}
	var steps []step
	for it.Next() {
		var s step
		if err := json.Unmarshal(it.Record().Key, &s); err != nil {
			return nil, errs.Wrap(errs.Corrupt, "journal", err)
		}
		s.batch = it.Record().Value
		steps = append(steps, s)
	}
	if err := it.Err(); err != nil || len(steps) == 0 {
		return nil, errs.New(errs.Corrupt, "a batch of the journal cannot be read")
	}
	return steps, nil
}

// fold does to the partitions in memory what steps say. Where Data ends is asked
// of the cluster later.
func (l *Log) fold(steps []step) {
	for _, s := range steps {
		st := l.parts[s.Partition]
		switch s.Do {
		case snapshot:
			clear(l.parts)
		case keep:
			l.parts[s.Partition] = &part{config: s.Config, end: s.Offset, sealed: s.Sealed, epoch: s.Epoch, lastArrival: s.LastArrival}
		case log.Create:
			l.parts[s.Partition] = &part{config: s.Config, lastArrival: noArrival}
		case log.Delete:
			delete(l.parts, s.Partition)
		}
		if st == nil {
			continue
		}
		switch s.Do {
		case log.Configure:
			st.config = s.Config
		case log.Fence:
			st.epoch = s.Epoch
		case log.Seal:
			st.sealed, st.end, st.lastArrival = true, s.Offset, s.LastArrival
		case log.Trim:
			st.lastArrival = s.LastArrival
		}
	}
}

// catchUp asks the cluster where an open partition ends, and when its last batch
// came. A topic that the last change was to make may not be there yet.
func (l *Log) catchUp(ctx context.Context, p log.PartitionID, st *part, last []step) error {
	if slices.ContainsFunc(last, func(s step) bool { return s.Partition == p && s.Do == log.Create }) {
		if err := l.cluster.create(ctx, l.topic(p), st.config); err != nil {
			return err
		}
	}
	if st.sealed { // where it was meant to be, or behind what others wrote meanwhile
		at, found, err := l.find(l.topic(p), st.end, math.MaxInt64, isSeal)
		if found {
			st.end = at
		}
		if errors.Is(err, log.ErrOutOfRange) { // old records are gone, and the seal with them
			return nil
		}
		return err
	}
	end, _, err := l.cluster.offset(ctx, l.topic(p), latest, log.Uncommitted)
	if err != nil {
		return err
	}
	st.end = end
	_, at, err := l.cluster.offset(ctx, l.topic(p), newest, log.Uncommitted)
	if err == nil {
		st.lastArrival = max(st.lastArrival, at)
	}
	return err
}

// redo does the steps of the last batch that may not have been done, which each
// of them shows.
func (l *Log) redo(steps []step) error {
	ctx := l.group.Context()
	for _, s := range steps {
		st := l.parts[s.Partition]
		topic := l.topic(s.Partition)
		if s.Do == log.Delete {
			if err := l.cluster.drop(ctx, topic); err != nil {
				return err
			}
		}
		if st == nil || s.Do > log.Delete {
			continue // deleted by a later step
		}
		var err error
		switch s.Do {
		case log.Configure:
			err = l.cluster.configure(ctx, topic, st.config)
		case log.Trim:
			err = l.cluster.trim(ctx, topic, s.Offset)
		case log.Seal:
			var done bool
			if done, err = l.landed(s, sealBatch()); err == nil && !done {
				st.end, err = l.seal(s.Partition, s.Offset)
			}
		case log.Data:
			var done bool
			if done, err = l.landed(s, s.batch); err == nil && !done {
				err = l.produceAgain(s, st)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// produceAgain appends a batch of the journal that its writer did not get to.
func (l *Log) produceAgain(s step, st *part) error {
	b := bytes.Clone(s.batch)
	batch.SetBase(b, 0, -1)
	a, err := l.cluster.produce(l.group.Context(), l.topic(s.Partition), b)
	if err == nil {
		h, _ := batch.ParseHeader(b)
		if st.lastArrival = a.arrival; !st.sealed {
			st.end = a.base + int64(h.LastOffsetDelta) + 1
		}
	}
	return err
}

// landed reports whether the batch of a step stands where it was planned, or
// behind what others wrote there.
func (l *Log) landed(s step, b []byte) (bool, error) {
	_, found, err := l.find(l.topic(s.Partition), s.Offset, math.MaxInt64, func(there []byte) bool {
		return len(there) == len(b) && bytes.Equal(there[batch.HeaderSize:], b[batch.HeaderSize:])
	})
	if errors.Is(err, log.ErrOutOfRange) {
		start, _, err := l.cluster.offset(l.group.Context(), l.topic(s.Partition), earliest, log.Uncommitted)
		return start > s.Offset, err // trimmed since
	}
	return found, err
}

// compare orders partitions.
func compare(a, b log.PartitionID) int {
	return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Index, b.Index))
}
