package disk

import (
	"thalweg/internal/clock"
	"thalweg/internal/log"
)

// sweep is what a retention sweep knows of the one before.
type sweep struct {
	began    bool
	now      int64 // Unix ms
	walBytes int64
}

// retain trims what is older or more than its partition keeps. A clock that
// jumps ahead must not empty the log: a batch has to be too old by the time of
// two sweeps, and a sweep drops a bounded number of bytes by age.
func (l *Log) retain() {
	now, appended := clock.Millis(l.o.Clock), l.stats.walBytes.Load()
	last := l.m.sweep
	l.m.sweep = sweep{began: true, now: now, walBytes: appended}
	if !last.began {
		last.now = now
	}
	allowed := max(l.o.RetentionBytes, 2*(appended-last.walBytes))
	left := allowed
	var req log.Request
	for _, p := range l.all() {
		p.mu.RLock()
		cfg, start := p.v.cfg, p.v.start
		p.mu.RUnlock()
		to := start
		if cfg.MaxAge > 0 && last.began {
			to = max(to, l.tooOld(p, min(now, last.now)-cfg.MaxAge.Milliseconds(), &left, allowed))
		}
		if cfg.MaxBytes > 0 {
			to = max(to, l.tooMuch(p, cfg.MaxBytes))
		}
		if to > start {
			l.m.reclaimable += p.extentBytes(start, to)
			req.Entries = append(req.Entries, log.Entry{Kind: log.Trim, Partition: p.id, Offset: to})
		}
	}
	if len(req.Entries) == 0 {
		return
	}
	worth := l.m.reclaimable >= l.o.SegmentBytes/4
	l.Append(req, func(results []log.Result) {
		for i, r := range results {
			if r.Err != nil {
				continue // deleted meanwhile, or refused; the next sweep tries again
			}
			l.stats.retained.Add(1)
			if l.o.Events.Retention != nil {
				l.o.Events.Retention(req.Entries[i].Partition, r.Offset)
			}
		}
		if worth {
			l.m.reclaim.Store(true)
			l.wakeMaintenance()
		}
	})
}

// extentBytes is what the extents take that lie wholly between from and to.
func (p *partition) extentBytes(from, to int64) int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var n int64
	es := p.allExtents()
	for _, e := range es[extentAt(es, from):extentAt(es, to)] {
		n += e.size
	}
	return n
}

// tooOld returns where what arrived before cutoff ends, or less if that would
// drop more bytes than are left of allowed.
func (l *Log) tooOld(p *partition, cutoff int64, left *int64, allowed int64) int64 {
	p.mu.RLock()
	start := p.v.start
	first, known := p.firstArrival()
	p.mu.RUnlock()
	if known && first >= cutoff {
		return start
	}
	to, _, err := l.offsetForTime(p.id, cutoff)
	if err != nil {
		return start // damage, or moving: what it is has been reported
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	es := p.allExtents()
	for _, e := range es[extentAt(es, start):] {
		if e.base >= to {
			break
		}
		if e.bytes > *left && *left < allowed {
			return max(start, e.base)
		}
		*left -= e.bytes
	}
	return to
}

// tooMuch returns where p has to begin to hold at most keep bytes. The last batch
// stays in any case.
func (l *Log) tooMuch(p *partition, keep int64) int64 {
	p.mu.RLock()
	start, end := p.v.start, p.v.end
	es := p.allExtents()
	es = es[extentAt(es, start):]
	refs := p.refs[p.refAt(max(p.flushed, start)):]
	p.mu.RUnlock()
	excess := -keep
	for _, e := range es {
		excess += e.bytes
	}
	for i := range refs {
		excess += refs[i].bytes()
	}
	to := start
	if len(es) > 0 && es[0].base < start && excess > 0 {
		// Of the first extent only a part counts.
		excess -= es[0].bytes
		if excess < 0 {
			var part int64
			if err := l.walkExtent(p, es[0], start, func(f *frame) bool {
				part += int64(f.size) - frameSize
				return true
			}); err != nil {
				return start
			}
			excess += part
		} else {
			to, es = es[0].end, es[1:]
		}
	}
	drop := func(bytes, until int64) bool {
		if excess <= 0 || until >= end {
			return false
		}
		excess -= bytes
		to = until
		return true
	}
	for _, e := range es {
		if e.base >= start && e.bytes <= excess {
			if !drop(e.bytes, e.end) {
				return to
			}
			continue
		}
		err := l.walkExtent(p, e, max(e.base, start), func(f *frame) bool {
			return drop(int64(f.size)-frameSize, f.end())
		})
		if err != nil || excess <= 0 {
			return to
		}
	}
	for i := range refs {
		if !drop(refs[i].bytes(), refs[i].end()) {
			break
		}
	}
	return to
}
