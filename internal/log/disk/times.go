package disk

import (
	"errors"
	"math"
	"sort"

	"thalweg/internal/errs"
	"thalweg/internal/log"
)

// OffsetForTime implements [log.Log].
func (l *Log) OffsetForTime(id log.PartitionID, arrival int64) (offset, at int64, err error) {
	at = -1
	err = searched(id, func() error {
		offset, at, err = l.offsetForTime(id, arrival)
		return err
	})
	return offset, at, err
}

// searched does search again while what it looks at moves.
func searched(id log.PartitionID, search func() error) error {
	for range 16 {
		if err := search(); !errors.Is(err, errMoved) {
			return err
		}
	}
	return errs.New(errs.Internal, "partition "+id.String()+" moves faster than it can be searched")
}

func (l *Log) offsetForTime(id log.PartitionID, arrival int64) (offset, at int64, err error) {
	v, err := l.view(id)
	if err != nil {
		return 0, -1, err
	}
	p, start := v.p, v.start
	for i := extentAt(v.es, start); i < len(v.es); i++ {
		if v.es[i].last < arrival {
			continue
		}
		offset, at, err = l.timeInExtent(p, v.es[i], start, arrival)
		if err != nil || at >= 0 {
			return offset, at, err
		}
	}
	i := sort.Search(len(v.refs), func(i int) bool { return v.refs[i].end() > start && v.refs[i].arrival >= arrival })
	if i == len(v.refs) {
		return v.end, -1, nil
	}
	return max(v.refs[i].base, start), v.refs[i].arrival, nil
}

// view is a partition as a search by time looks at it: first the extents, then what
// is only in the WAL.
type view struct {
	p          *partition
	start, end int64
	es         []extent
	refs       []ref
}

func (l *Log) view(id log.PartitionID) (view, error) {
	p := l.lookup(id)
	if p == nil {
		return view{}, log.ErrNotFound
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	v := view{p: p, start: p.v.start, end: p.v.end, es: p.allExtents(), refs: p.refs}
	if n := sort.Search(len(v.refs), func(i int) bool { return v.refs[i].base >= p.flushed }); len(v.es) > 0 {
		v.refs = v.refs[n:]
	}
	switch {
	case p.v.gone:
		return v, log.ErrNotFound
	case l.closed.Load():
		return v, log.ErrClosed
	}
	return v, nil
}

// timeInExtent finds the first batch of e at or after arrival that ends after
// start; at is -1 if there is none.
func (l *Log) timeInExtent(p *partition, e extent, start, arrival int64) (offset, at int64, err error) {
	p.mu.RLock()
	var ix *index
	if p.indexed == e.file {
		ix = p.index
	}
	p.mu.RUnlock()
	pos, next, err := l.nearby(p, e, ix, func(ix *index) (indexEntry, bool) { return ix.beforeTime(arrival) })
	if err != nil {
		return 0, -1, err
	}
	at = -1
	err = l.walkOver(p, e, pos, next, start, func(f *frame, _ []byte, _ int64) bool {
		if f.end() > start && f.arrival >= arrival {
			offset, at = max(f.base, start), f.arrival
			return false
		}
		return true
	})
	return offset, at, err
}

// OffsetForTimestamp implements [log.Log].
func (l *Log) OffsetForTimestamp(id log.PartitionID, from, timestamp int64) (offset int64, err error) {
	err = searched(id, func() error {
		offset, err = l.offsetForTimestamp(id, from, timestamp)
		return err
	})
	return offset, err
}

func (l *Log) offsetForTimestamp(id log.PartitionID, from, timestamp int64) (int64, error) {
	v, err := l.view(id)
	if err != nil {
		return -1, err
	}
	from = max(from, v.start)
	for _, e := range v.es[extentAt(v.es, from):] {
		if e.stamped && e.stamp < timestamp {
			continue
		}
		pos, next, ix, err := l.placeOf(v.p, e, from)
		if err != nil {
			return -1, err
		}
		if ix != nil {
			ent, ok := ix.stamped(pos, e.pos+e.size, timestamp)
			if !ok {
				continue
			}
			if ent.pos > pos {
				pos, next = ent.pos, ent.base
			}
		}
		found := int64(-1)
		err = l.walkOver(v.p, e, pos, next, from, func(f *frame, b []byte, _ int64) bool {
			if f.end() > from && stampOf(b[frameSize:f.size]) >= timestamp {
				found = f.base
			}
			return found < 0
		})
		if err != nil || found >= 0 {
			return found, err
		}
	}
	for i := range v.refs {
		if r := &v.refs[i]; r.end() > from && r.stamp >= timestamp {
			return r.base, nil
		}
	}
	return -1, nil
}

// placeOf is where in e to begin to look for what ends after offset, and the index of
// e's file if it has one.
func (l *Log) placeOf(p *partition, e extent, offset int64) (pos, next int64, ix *index, err error) {
	pos, next, err = l.nearby(p, e, nil, func(i *index) (indexEntry, bool) {
		ix = i
		return i.before(max(offset, e.base))
	})
	return pos, next, ix, err
}

// LatestTimestamp implements [log.Log].
func (l *Log) LatestTimestamp(id log.PartitionID, end int64) (stamp int64, err error) {
	err = searched(id, func() error {
		stamp, err = l.latestTimestamp(id, end)
		return err
	})
	return stamp, err
}

func (l *Log) latestTimestamp(id log.PartitionID, end int64) (int64, error) {
	latest := int64(log.NoTimestamp)
	v, err := l.view(id)
	if err != nil {
		return latest, err
	}
	for _, e := range v.es[extentAt(v.es, v.start):] {
		switch {
		case e.base >= end:
			return latest, nil
		case e.stamped && e.stamp <= latest:
			continue
		case e.stamped && e.base >= v.start && e.end <= end:
			latest = e.stamp
			continue
		}
		pos, next, ix, err := l.placeOf(v.p, e, v.start)
		if err != nil {
			return latest, err
		}
		if ix != nil && e.base >= v.start {
			if stamp, ent, ok := ix.latest(pos, min(end, e.end)); ok {
				latest = max(latest, stamp)
				if pos, next = ent.pos, ent.base; pos >= e.pos+e.size {
					continue
				}
			}
		}
		err = l.walkOver(v.p, e, pos, next, math.MaxInt64, func(f *frame, b []byte, _ int64) bool {
			if f.base < end && f.end() > v.start {
				latest = max(latest, stampOf(b[frameSize:f.size]))
			}
			return f.base < end
		})
		if err != nil {
			return latest, err
		}
	}
	for i := range v.refs {
		if r := &v.refs[i]; r.base < end && r.end() > v.start {
			latest = max(latest, r.stamp)
		}
	}
	return latest, nil
}
