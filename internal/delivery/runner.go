package delivery

import (
	"context"
	"slices"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
	"thalweg/internal/log"
)

const (
	// gatherFor is how long records gather when the buffer's interval is 0.
	gatherFor = 250 * time.Millisecond
	// pauseFor is how long a delivery stream rests when the log or its source fails.
	pauseFor = time.Second

	// maxRecords bounds a batch, whose records may all be empty.
	maxRecords = 500_000

	defaultSizeMiB  = 5
	defaultInterval = 300
)

// runner delivers for one delivery stream.
type runner struct {
	s    *Service
	line *line
	key  catalog.Key
}

// run delivers until there is nothing more to do, or ctx ends.
func (w *runner) run(ctx context.Context) error {
	for ctx.Err() == nil {
		r := w.s.catalog.Get(w.key)
		if r == nil || r.Delivery.Number != w.line.number {
			break
		}
		var err error
		switch plan := w.line.current(); {
		case plan != nil:
			err = w.deliver(ctx, r, plan)
		case r.State == catalog.Deleting:
			if err = w.end(ctx, r); err == nil {
				return nil
			}
		default:
			var parked bool
			if parked, err = w.gather(ctx, r); parked {
				return nil
			}
		}
		if err != nil && ctx.Err() == nil {
			w.line.set(Status{Error: err.Error(), Next: w.s.clock.Now().Add(pauseFor)})
			w.wait(ctx, nil, 0, pauseFor)
		}
	}
	w.line.mu.Lock()
	w.line.running = false
	w.line.moved()
	w.line.mu.Unlock()
	return nil
}

// woke says what ended a wait.
type woke uint8

const (
	byRecords woke = iota
	byTime
	byPoke
	byEnd
)

// wait waits for minBytes of records at some places that are not closed, for a time
// (0: any), for a nudge, or for the end.
func (w *runner) wait(ctx context.Context, at []place, minBytes int64, d time.Duration) woke {
	var records <-chan struct{}
	if len(at) > 0 {
		positions := make([]log.Position, 0, len(at))
		for _, p := range at {
			if p.closed {
				continue
			}
			from := p.next
			if !p.pending() {
				from = max(from, p.tip)
			}
			positions = append(positions, log.Position{Partition: p.partition, Offset: from})
		}
		waiter := w.s.log.Watch(positions, max(minBytes, 1))
		defer waiter.Stop()
		records = waiter.C
	}
	var due <-chan time.Time
	if d > 0 {
		timer := w.s.clock.NewTimer(d)
		defer timer.Stop()
		due = timer.C()
	}
	select {
	case <-records:
		return byRecords
	case <-due:
		return byTime
	case <-w.line.poke:
		return byPoke
	case <-ctx.Done():
		return byEnd
	}
}

// gather waits until a batch is due and plans it, or waits for what comes before
// that. parked tells that there is nothing to wait for.
func (w *runner) gather(ctx context.Context, r *catalog.Resource) (parked bool, err error) {
	src := w.s.sourceOf(r, w.line)
	at, err := src.places()
	if errs.KindOf(err) == errs.NotFound && r.Delivery.Type != DirectPut { // deleted: there will be nothing more
		w.line.set(Status{Waiting: "for ever: " + err.Error()})
		w.wait(ctx, nil, 0, 0)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	oldest, untold, err := src.oldest(at)
	switch {
	case err != nil:
		return false, err
	case oldest == 0 && w.s.park(w.line, r):
		return true, nil
	case oldest == 0:
		w.line.set(Status{Waiting: "for records"})
		if src.told() {
			w.wait(ctx, at, 1, 0)
		} else {
			w.wait(ctx, nil, 0, lookEvery)
		}
		return false, nil
	}
	c, err := readCommon(r.Delivery.Destination.Config)
	if err != nil {
		return false, err
	}
	interval := time.Duration(or(c.BufferingHints.IntervalInSeconds, defaultInterval)) * time.Second
	if interval == 0 {
		interval = gatherFor
	}
	size := or(c.BufferingHints.SizeInMBs, defaultSizeMiB) << 20
	rest := time.UnixMilli(oldest).Add(interval).Sub(w.s.clock.Now())
	if rest > 0 && untold < size && !w.flushing() {
		w.line.set(Status{Waiting: "for the buffer to fill", Next: time.UnixMilli(oldest).Add(interval)})
		if !src.told() {
			w.wait(ctx, nil, 0, min(rest, lookEvery))
			return false, nil
		}
		if woke := w.wait(ctx, at, size-untold, rest); woke == byPoke || woke == byEnd {
			return false, nil
		}
	}
	if at, err = src.places(); err != nil { // what has come meanwhile goes along
		return false, err
	}
	return false, w.plan(ctx, r, src, at, size)
}

func (w *runner) flushing() bool {
	w.line.mu.Lock()
	defer w.line.mu.Unlock()
	return w.line.flush > 0
}

func or(v *int64, def int64) int64 {
	if v == nil {
		return def
	}
	return *v
}

// plan takes what is there, up to size bytes, makes a plan of it and commits that.
func (w *runner) plan(ctx context.Context, r *catalog.Resource, src source, at []place, size int64) error {
	d := &r.Delivery.Destination
	c, err := readCommon(d.Config)
	if err != nil {
		return err
	}
	stages, err := w.s.o.Process(d.Config, w.s.env(r))
	if err != nil {
		return err
	}
	p := &Plan{ID: newUUID(), Version: d.Version, Created: clock.Millis(w.s.clock)}
	p.Staged = r.Delivery.Type != DirectPut || len(stages) > 0
	if p.Pinned, err = w.s.pin(r); err != nil {
		return err
	}
	var g *stager
	if p.Staged {
		release, ok := w.s.work(ctx, w.line)
		if !ok {
			return ctx.Err()
		}
		defer release()
		if g, err = w.s.newStager(ctx, stages, backsUp(d.Kind, &c), &w.line.meter); err != nil {
			return err
		}
		defer g.close()
	}
	for _, from := range at {
		if !from.pending() {
			continue
		}
		next, err := src.read(from, from.end, func(rec *dest.Record) (bool, error) {
			if p.Records > 0 && p.Bytes+int64(len(rec.Data)) > size || p.Records == maxRecords {
				return false, errEnough
			}
			if g != nil {
				if err := g.add(rec); err != nil {
					return false, err
				}
			}
			if p.Oldest == 0 || rec.Arrival < p.Oldest {
				p.Oldest = rec.Arrival
			}
			p.Records++
			p.Bytes += int64(len(rec.Data))
			return true, nil
		})
		if err != nil {
			return err
		}
		if next > from.next {
			p.Ranges = append(p.Ranges, Range{Stream: from.partition.Stream, Generation: from.partition.Generation,
				Index: from.partition.Index, From: from.next, To: next})
		}
	}
	if r.Delivery.Type != DirectPut {
		w.line.meter.ReadRecords.Add(p.Records)
		w.line.meter.ReadBytes.Add(p.Bytes)
	}
	if p.Records == 0 { // control records of transactions, or what the retention hides
		if len(p.Ranges) == 0 {
			w.wait(ctx, nil, 0, gatherFor)
			return nil
		}
		return w.commitPlan(p, at)
	}
	w.line.planned(p)
	if g != nil {
		if err := g.finish(w.s.o.Files, p.ID); err != nil {
			return err
		}
	}
	return w.commitPlan(p, at)
}

// pin is what a plan for r keeps of what others can change.
func (s *Service) pin(r *catalog.Resource) (string, error) {
	d := &r.Delivery.Destination
	if pin := s.o.Destinations[d.Kind].Pin; pin != nil {
		return pin(d.Config, s.env(r))
	}
	return "", nil
}

// commitPlan commits a plan, or of one without records where it ends; unless the
// destination is another by now, for which what was set aside was not made, or a replay
// has moved the cursors. It was made of what was at some places.
func (w *runner) commitPlan(p *Plan, at []place) error {
	w.line.planning.Lock()
	defer w.line.planning.Unlock()
	r := w.s.catalog.Get(w.key)
	moved := slices.ContainsFunc(p.Ranges, func(x Range) bool {
		next, known := w.line.cursor(x.Partition())
		trimmed := slices.ContainsFunc(at, func(from place) bool { return from.partition == x.Partition() && from.first == x.From })
		return known && next > x.From || known && next < x.From && !trimmed
	})
	switch {
	case r != nil && r.Delivery.Destination.Version == p.Version && !moved && p.Records > 0:
		return w.s.commit([]event{{Number: w.line.number, Plan: p}})
	case !moved && p.Records == 0:
		return w.s.commit([]event{{Number: w.line.number, Cursors: p.Ranges}})
	case p.Staged:
		return w.s.o.Files.Remove(p.ID)
	}
	return nil
}

// work takes a worker's place and memory; release gives them back. It is false when
// ctx ended first.
func (s *Service) work(ctx context.Context, l *line) (release func(), ok bool) {
	l.set(Status{Waiting: "for a worker"})
	account := l.account()
	if !s.slots.enter(ctx, account) {
		return nil, false
	}
	if err := s.o.Memory.Acquire(ctx, workBytes); err != nil {
		s.slots.exit(account)
		return nil, false
	}
	return func() { s.o.Memory.Release(workBytes); s.slots.exit(account) }, true
}
