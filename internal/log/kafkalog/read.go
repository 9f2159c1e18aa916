package kafkalog

import (
	"cmp"
	"errors"
	"slices"

	"thalweg/internal/log"
)

// maxFetch is the most that is asked of a broker at once; Kafka's own limit
// (fetch.max.bytes) is 55 MiB.
const maxFetch = 48 << 20

// Read fetches. What stands at or behind a seal is not shown.
func (l *Log) Read(p log.PartitionID, offset int64, maxBytes int, isolation log.Isolation) (log.Batches, error) {
	st, err := l.part(p)
	if err != nil {
		return log.Batches{}, err
	}
	got := log.Batches{}
	if offset >= 0 {
		got, err = l.cluster.fetch(l.group.Context(), l.topic(p), offset, min(maxBytes, maxFetch), isolation)
	}
	if offset < 0 || errors.Is(err, log.ErrOutOfRange) {
		if got, err = l.bounds(p, st); err != nil {
			return log.Batches{}, err
		}
		return log.Batches{Start: got.Start, End: got.End, Stable: got.Stable}, log.ErrOutOfRange
	}
	if err != nil {
		return log.Batches{}, err
	}
	st.clip(&got)
	for i := range got.List {
		if isSeal(got.List[i].Bytes) { // of another process
			got.End = got.List[i].Base
			got.Stable = min(got.Stable, got.End)
			got.List = got.List[:i]
			break
		}
	}
	if offset > got.End {
		got.List = nil
		return got, log.ErrOutOfRange
	}
	if isolation == log.Committed {
		got.Aborted = overlapping(got.Aborted, got.List)
	}
	return got, nil
}

// clip takes away what lies behind a seal.
func (st part) clip(b *log.Batches) {
	if !st.sealed {
		return
	}
	b.End = min(b.End, st.end)
	b.Start = min(b.Start, b.End) // the seal goes the way of old records too
	b.Stable = min(b.Stable, b.End)
	for i := range b.List {
		if b.List[i].Base >= b.End {
			b.List = b.List[:i]
			return
		}
	}
}

// overlapping is what of aborted touches the batches. Kafka names where each
// transaction begins; where it ends is said no closer than the end of the log.
func overlapping(aborted []log.AbortedTxn, list []log.Batch) []log.AbortedTxn {
	if len(list) == 0 {
		return nil
	}
	last := &list[len(list)-1]
	n := 0
	for _, a := range aborted {
		if a.FirstOffset < last.Base+int64(last.Count) {
			aborted[n] = a
			n++
		}
	}
	return aborted[:n]
}

// bounds returns a partition's Start, End and Stable.
func (l *Log) bounds(p log.PartitionID, st part) (log.Batches, error) {
	ctx, topic := l.group.Context(), l.topic(p)
	b, err := l.cluster.fetch(ctx, topic, st.end, 1, log.Uncommitted)
	if errors.Is(err, log.ErrOutOfRange) { // retention has passed what we knew
		b = log.Batches{}
		if b.Start, _, err = l.cluster.offset(ctx, topic, earliest, log.Uncommitted); err == nil {
			b.End, _, err = l.cluster.offset(ctx, topic, latest, log.Uncommitted)
		}
		if err == nil {
			b.Stable, _, err = l.cluster.offset(ctx, topic, latest, log.Committed)
		}
	}
	if err != nil {
		return log.Batches{}, err
	}
	b.List = nil
	st.clip(&b)
	return b, nil
}

// Info describes a partition. Its LastArrival and Epoch are what this process
// knows of.
func (l *Log) Info(p log.PartitionID) (log.Info, error) {
	ctx, topic := l.group.Context(), l.topic(p)
	for {
		st, err := l.part(p)
		if err != nil {
			return log.Info{}, err
		}
		b, err := l.bounds(p, st)
		if err != nil {
			return log.Info{}, err
		}
		in := log.Info{
			Config: st.config, Start: b.Start, End: b.End, Stable: b.Stable, Sealed: st.sealed, Epoch: st.epoch,
			FirstArrival: noArrival, LastArrival: st.lastArrival,
		}
		at, err := l.cluster.leader(ctx, topic)
		if err != nil {
			return log.Info{}, err
		}
		in.LeaderEpoch = at.epoch
		if in.Start == in.End {
			return in, nil
		}
		first, err := l.cluster.fetch(ctx, topic, in.Start, 1, log.Uncommitted)
		if errors.Is(err, log.ErrOutOfRange) { // trimmed since
			continue
		}
		if err != nil {
			return log.Info{}, err
		}
		if len(first.List) > 0 {
			in.FirstArrival = first.List[0].Arrival
		}
		in.Bytes, err = l.cluster.stored(ctx, topic)
		return in, err
	}
}

// OffsetForTime asks Kafka, whose timestamps are arrivals here.
func (l *Log) OffsetForTime(p log.PartitionID, arrival int64) (offset, at int64, err error) {
	st, err := l.part(p)
	if err != nil {
		return 0, 0, err
	}
	offset, at, err = l.cluster.offset(l.group.Context(), l.topic(p), max(arrival, 0), log.Uncommitted)
	if err != nil {
		return 0, 0, err
	}
	if offset >= 0 && (!st.sealed || offset < st.end) {
		return offset, at, nil
	}
	b, err := l.bounds(p, st)
	return b.End, noArrival, err
}

// Producers implements [log.Log].
func (l *Log) Producers(p log.PartitionID) ([]log.Producer, error) {
	if _, err := l.part(p); err != nil {
		return nil, err
	}
	out, err := l.cluster.producers(l.group.Context(), l.topic(p))
	slices.SortFunc(out, func(a, b log.Producer) int { return cmp.Compare(a.ID, b.ID) })
	return out, err
}

// OffsetForTimestamp asks Kafka, whose timestamps are arrivals here and never fall.
func (l *Log) OffsetForTimestamp(p log.PartitionID, from, timestamp int64) (int64, error) {
	st, err := l.part(p)
	if err != nil {
		return -1, err
	}
	offset, _, err := l.cluster.offset(l.group.Context(), l.topic(p), max(timestamp, 0), log.Uncommitted)
	if err != nil || offset < 0 {
		return -1, err
	}
	b, err := l.bounds(p, st)
	if err != nil {
		return -1, err
	}
	if offset = max(offset, from, b.Start); offset >= b.End {
		return -1, nil
	}
	return offset, nil
}

// LatestTimestamp is the arrival of the last batch below end.
func (l *Log) LatestTimestamp(p log.PartitionID, end int64) (int64, error) {
	st, err := l.part(p)
	if err != nil {
		return log.NoTimestamp, err
	}
	b, err := l.bounds(p, st)
	if err != nil {
		return log.NoTimestamp, err
	}
	if end = min(end, b.End); end <= b.Start {
		return log.NoTimestamp, nil
	}
	last, err := l.cluster.fetch(l.group.Context(), l.topic(p), end-1, 1, log.Uncommitted)
	if err != nil || len(last.List) == 0 {
		return log.NoTimestamp, err
	}
	return last.List[0].Arrival, nil
}
