package disk

import (
	"context"
	"errors"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/log/compact"
)

// compactLoop is the compaction goroutine. It shares stepMu with maintenance, and
// gives it up after every piece.
func (l *Log) compactLoop(ctx context.Context) error {
	timer := l.o.Clock.NewTimer(l.o.CompactEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
			timer.Reset(l.o.CompactEvery)
		}
		l.stepMu.Lock()
		l.maintained(l.compactDue(func() error { return l.breathe(ctx) }))
		l.stepMu.Unlock()
		l.wakeMaintenance() // it frees what is not needed any more
	}
}

// breathe lets maintenance go first, and the machine do other work for as long as
// the last piece took.
func (l *Log) breathe(ctx context.Context) error {
	began := l.m.pieceBegan
	l.stepMu.Unlock()
	defer l.stepMu.Lock()
	if d := l.o.Clock.Now().Sub(began); d > 0 {
		timer := l.o.Clock.NewTimer(min(d, time.Second))
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C():
		}
	}
	if ctx.Err() != nil {
		return errStopping
	}
	return nil
}

// Compact compacts every partition for which a pass is due. It is for logs opened
// with Options.Manual, where nothing else does.
func (l *Log) Compact() error {
	l.stepMu.Lock()
	defer l.stepMu.Unlock()
	return l.maintained(l.compactDue(func() error { return nil }))
}

// compactDue compacts every partition for which a pass is due, and calls pause
// between pieces of it; stepMu is held.
func (l *Log) compactDue(pause func() error) error {
	for _, p := range l.all() {
		if err := l.mayMaintain(); err != nil {
			return err
		}
		if p.left || !l.passDue(p) {
			continue
		}
		switch err := l.compactPartition(p, pause); {
		case err == nil, errors.Is(err, errMoved): // its files have gone: the next pass sees what is there
		case isCorrupt(err), errs.KindOf(err) == errs.Unsupported:
			p.left = true
			l.o.Logger.Error("partition is not compacted until the log is opened again", "partition", p.id.String(), "error", err)
		default:
			return err
		}
	}
	return nil
}

// dirt is how much of a partition there is, and how much of it a pass could
// compact.
type dirt struct {
	all, dirty int64 // bytes
	since      int64 // arrival of the first that could be compacted, Unix ms
}

// passDue reports whether a pass over p is worth it.
func (l *Log) passDue(p *partition) bool {
	now := clock.Millis(l.o.Clock)
	p.mu.RLock()
	k := p.v.cfg.Compaction
	if !k.On || p.v.gone || len(p.damage) > 0 {
		p.mu.RUnlock()
		return false
	}
	d := p.dirt(now - k.MinLag.Milliseconds())
	p.mu.RUnlock()
	if d.dirty == 0 {
		return false
	}
	age := now - d.since
	switch {
	case k.MaxLag > 0 && age >= k.MaxLag.Milliseconds():
		return true
	case float64(d.dirty) < k.MinDirty*float64(d.all):
		return false
	}
	return d.dirty >= min(k.MinBytes, l.o.CompactBytes) || age >= k.MinWait.Milliseconds()
}

// dirt looks at what of p a pass could compact: below the stable offset, and there
// since before a time; mu is held. What is in one extent goes together.
func (p *partition) dirt(before int64) (d dirt) {
	stable := p.stable()
	add := func(base, end, first, last, bytes int64) {
		d.all += bytes
		if end <= p.clean || end > stable || last > before {
			return
		}
		if d.dirty == 0 {
			d.since = first
		}
		d.dirty += bytes
	}
	es := p.allExtents()
	for _, e := range es[extentAt(es, p.v.start):] {
		add(e.base, e.end, e.first, e.last, e.bytes)
	}
	refs := p.refs[p.refAt(max(p.flushed, p.v.start)):]
	for i := range refs {
		r := &refs[i]
		add(r.base, r.end(), r.arrival, r.arrival, r.bytes())
	}
	return d
}

// settled is what a pass goes by: what of a partition is in extents that nothing is
// added to, and where in it compaction has to stop.
type settled struct {
	in      []extent
	start   int64
	stable  int64
	before  int64 // nothing that arrived later is touched
	cfg     log.Compaction
	aborted []log.AbortedTxn
}

// settle moves what p has in the WAL to its segment, and ends that.
func (l *Log) settle(p *partition) (settled, error) {
	p.mu.RLock()
	end := p.v.end
	p.mu.RUnlock()
	if err := l.flush(p, end); err != nil {
		return settled{}, err
	}
	l.closeSegment(p)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open.size > 0 {
		p.extents = append(p.extents[:len(p.extents):len(p.extents)], p.open)
		p.open = extent{}
	}
	s := settled{start: p.v.start, stable: p.stable(), cfg: p.v.cfg.Compaction, aborted: p.txns.aborted}
	s.before = clock.Millis(l.o.Clock) - s.cfg.MinLag.Milliseconds()
	s.in = p.extents[extentAt(p.extents, s.start):]
	s.in = s.in[:len(s.in):len(s.in)]
	return s, nil
}

// compactPartition does one pass over p.
func (l *Log) compactPartition(p *partition, pause func() error) error {
	began := l.o.Clock.Now()
	s, err := l.settle(p)
	if err != nil || len(s.in) == 0 {
		return err
	}
	slots := min(compact.SlotsFor(s.stable-max(p.clean, s.start)), l.o.CompactMemory/compact.SlotBytes)
	held := slots*compact.SlotBytes + passMemory
	if !l.o.Memory.TryAcquire(held) {
		return nil // later
	}
	defer l.o.Memory.Release(held)
	c := &compaction{
		l: l, p: p, settled: s, pause: pause,
		pass: compact.NewPass(compact.NewKeys(slots), max(p.clean, s.start), clock.Millis(l.o.Clock), s.cfg.Tombstones.Milliseconds(), s.aborted),
	}
	l.m.pieceBegan = began
	if err := c.note(); err != nil || c.pass.UpTo() <= max(p.clean, s.start) {
		return err
	}
	for in := s.in; len(in) > 0 && in[0].base < c.pass.UpTo(); {
		n := l.groupOf(in)
		if err := c.rewrite(in[:n]); err != nil {
			return err
		}
		in = in[n:]
	}
	p.clean, p.moved = c.pass.UpTo(), true
	l.m.reclaim.Store(true)
	l.stats.compactions.Add(1)
	l.stats.compacted.Add(c.pass.Dropped)
	if l.o.Events.Compacted != nil {
		l.o.Events.Compacted(CompactionInfo{Partition: p.id, UpTo: p.clean, Records: c.pass.Dropped, Read: c.read, Written: c.written, Took: l.o.Clock.Now().Sub(began)})
	}
	return nil
}

// groupOf is how many of in become one segment.
func (l *Log) groupOf(in []extent) int {
	n, size := 1, in[0].size
	for n < len(in) && size+in[n].size <= l.o.SegmentBytes {
		size += in[n].size
		n++
	}
	return n
}
