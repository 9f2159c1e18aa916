package delivery

import (
	"context"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
	"thalweg/internal/log"
)

// Flush has everything delivered that is there now, without waiting for buffers to
// fill, and waits until it is. Errors: those of the context.
func (s *Service) Flush(ctx context.Context, r *catalog.Resource) error {
	l := s.line(r)
	l.mu.Lock()
	l.flush++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.flush--
		l.mu.Unlock()
	}()
	want := map[log.PartitionID]int64{}
	starts := map[log.PartitionID]int64{}
	at, err := s.sourceOf(r, l).all()
	if err != nil {
		return err
	}
	for _, p := range at {
		want[p.partition], starts[p.partition] = p.end, p.next
	}
	s.rouse(r)
	l.nudge()
	for {
		l.mu.Lock()
		rest, changed := 0, l.changed
		for p, end := range want {
			next, known := l.cursors[p]
			if !known {
				next = starts[p]
			}
			if next < end {
				rest++
			}
		}
		l.mu.Unlock()
		if rest == 0 {
			return nil
		}
		if s.catalog.Get(r.Key) == nil {
			return notFound(r.Key)
		}
		s.rouse(r)
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Explanation is what a delivery stream is doing, and why.
type Explanation struct {
	Name        string  `json:"name"`
	State       string  `json:"state"`
	Version     string  `json:"version"`
	Destination string  `json:"destination"`
	Host        string  `json:"host"`
	HostAlone   bool    `json:"host_left_alone"`
	Plan        *Plan   `json:"plan,omitempty"`
	Status      Status  `json:"status"`
	Places      []Place `json:"places"`
}

// Place is how far delivery has come in a shard.
type Place struct {
	Shard string `json:"shard"`
	Next  int64  `json:"next"`
	End   int64  `json:"end"`
}

// Explain says what a delivery stream is doing.
func (s *Service) Explain(r *catalog.Resource) Explanation {
	l := s.line(r)
	d := &r.Delivery.Destination
	host := s.o.Destinations[d.Kind].Host(d.Config)
	e := Explanation{Name: r.Name, State: string(r.State), Version: versionText(d.Version), Destination: d.Kind, Host: host,
		HostAlone: s.breakers.open(party{r.Account, host}), Plan: l.current()}
	l.mu.Lock()
	e.Status = l.status
	l.mu.Unlock()
	at, err := s.sourceOf(r, l).places()
	if err != nil {
		e.Status.Error = err.Error()
	}
	for _, p := range at {
		e.Places = append(e.Places, Place{Shard: p.shard.String(), Next: p.next, End: p.end})
	}
	return e
}

// Where is what became of the record of a RecordId.
type Where struct {
	// Stored tells that the record is still in the log, Pending that no plan has come
	// to its end with it, Plan which has it under way.
	Stored  bool   `json:"stored"`
	Pending bool   `json:"pending"`
	Plan    *Plan  `json:"plan,omitempty"`
	Entry   *Entry `json:"entry,omitempty"`
}

// Where finds a record. Errors: Invalid, those of the log.
func (s *Service) Where(r *catalog.Resource, id string) (Where, error) {
	p, offset, ok := ParseRecordID(id)
	if !ok {
		return Where{}, errs.New(errs.Invalid, id+" is not a RecordId")
	}
	var out Where
	if info, err := s.log.Info(p); err == nil {
		out.Stored = info.Start <= offset && offset < info.End
	}
	l := s.line(r)
	holds := func(ranges []Range) bool {
		for _, x := range ranges {
			if x.Partition() == p && x.From <= offset && offset < x.To {
				return true
			}
		}
		return false
	}
	if plan := l.current(); plan != nil && holds(plan.Ranges) {
		out.Plan = plan
	}
	err := s.Ledger(r, func(e *Entry) bool {
		if holds(e.Ranges) {
			out.Entry = e // the last, if it was replayed
		}
		return true
	})
	next, _ := l.cursor(p)
	out.Pending = out.Stored && offset >= next
	return out, err
}

// Replay has records delivered again, in new batches: all that arrived at or after a
// time and is still there. Errors: InUse while a plan is under way, those of the log.
func (s *Service) Replay(r *catalog.Resource, since time.Time) error {
	l := s.line(r)
	l.planning.Lock()
	defer l.planning.Unlock()
	if l.current() != nil {
		return errs.New(errs.InUse, "a batch is on its way: try again when it is delivered")
	}
	src := s.sourceOf(r, l)
	at, err := src.all()
	if err != nil {
		return err
	}
	var back []Range
	for _, p := range at {
		offset, err := src.offset(p, since.UnixMilli())
		if err != nil {
			return err
		}
		if next, _ := l.cursor(p.partition); offset < next {
			back = append(back, Range{Stream: p.partition.Stream, Generation: p.partition.Generation, Index: p.partition.Index, To: offset})
		}
	}
	if len(back) == 0 {
		return nil
	}
	if err := s.commit([]event{{Number: l.number, Cursors: back}}); err != nil {
		return err
	}
	s.rouse(r)
	l.nudge()
	return nil
}
