package delivery

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"

	"thalweg/internal/errs"
	"thalweg/internal/invariants"
	"thalweg/internal/log"
	"thalweg/internal/meta"
)

// Plan is one batch: what it takes and what everything made of it follows from.
type Plan struct {
	// ID is a random UUID, and the name of the file that has the batch's records if
	// Staged.
	ID string `json:"id"`
	// Version is that of the destination.
	Version uint64 `json:"version"`
	// Created and Oldest are in Unix milliseconds.
	Created int64   `json:"created"`
	Oldest  int64   `json:"oldest"`
	Ranges  []Range `json:"ranges"`
	Records int64   `json:"records"`
	Bytes   int64   `json:"bytes"`
	Staged  bool    `json:"staged,omitempty"`
	// Pinned is what the destination depends on that others can change.
	Pinned string `json:"pinned,omitempty"`
	// Failed is set when the destination has not taken the records in time: they go to
	// the error output.
	Failed *PlanFailure `json:"failed,omitempty"`
}

// PlanFailure is why a destination did not take a plan.
type PlanFailure struct {
	At       int64  `json:"at"` // Unix milliseconds
	Attempts int    `json:"attempts"`
	Code     string `json:"code"`
	Message  string `json:"message"`
	// Error is all that is known.
	Error string `json:"error"`
	// Arrived are the runs of records, by their positions in the batch, that have arrived
	// all the same.
	Arrived []Run `json:"arrived,omitempty"`
}

// Run is From up to, not including, To.
type Run struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// arrived tells whether the record at a position of the batch has.
func (f *PlanFailure) arrived(index int64) bool {
	return slices.ContainsFunc(f.Arrived, func(r Run) bool { return r.From <= index && index < r.To })
}

// Range is a run of one partition's records: From up to, not including, To.
type Range struct {
	Stream     uint64 `json:"stream"`
	Generation uint32 `json:"generation,omitempty"`
	Index      uint32 `json:"index"`
	From       int64  `json:"from"`
	To         int64  `json:"to"`
}

// Partition is where the range is.
func (r Range) Partition() log.PartitionID {
	return log.PartitionID{Stream: r.Stream, Generation: r.Generation, Index: r.Index}
}

// event is one change of a delivery stream, as stored: exactly one member beside
// Number is set.
type event struct {
	Number uint64 `json:"n,omitempty"`
	// Plan is made.
	Plan *Plan `json:"plan,omitempty"`
	// Done is the id of the plan that has come to its end.
	Done string `json:"done,omitempty"`
	// Abandon is the id of the plan that is made anew: what was set aside for it is gone.
	Abandon string `json:"abandon,omitempty"`
	// Cursors are where delivery goes on, and Forget those that are needed no more.
	Cursors []Range `json:"cursors,omitempty"`
	Forget  []Range `json:"forget,omitempty"`
	// Gone is a delivery stream that was deleted.
	Gone bool `json:"gone,omitempty"`
	// Lost are records that were acknowledged and will not be delivered.
	Lost *Entry `json:"lost,omitempty"`
}

// encode cannot fail: every type in an event has a JSON form.
func (e event) encode() []byte {
	b, err := json.Marshal(e)
	invariants.Check(err == nil, "encode delivery event: %v", err)
	return b
}

// keepLost is how many losses of deleted delivery streams are remembered.
const keepLost = 256

// machine is the state as meta sees it.
type machine Service

// Reset implements [meta.Machine].
func (m *machine) Reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines, m.lost = map[uint64]*line{}, nil
}

// Apply implements [meta.Machine].
func (m *machine) Apply(data []byte) error {
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		return err
	}
	if e.Lost != nil {
		m.mu.Lock()
		m.lost = slices.DeleteFunc(m.lost, func(l Entry) bool { return l.ID == e.Lost.ID }) // said again after a crash
		m.lost = append(m.lost, *e.Lost)
		m.lost = m.lost[max(0, len(m.lost)-keepLost):]
		m.mu.Unlock()
		return nil
	}
	if e.Gone {
		m.mu.Lock()
		delete(m.lines, e.Number)
		m.mu.Unlock()
		return nil
	}
	l := (*Service)(m).lineOf(e.Number)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cursors == nil {
		l.cursors = map[log.PartitionID]int64{}
	}
	switch {
	case e.Plan != nil:
		l.plan = e.Plan
	case e.Done != "":
		if l.plan == nil || l.plan.ID != e.Done {
			return errs.New(errs.Corrupt, "a plan ends that was not made: "+e.Done)
		}
		for _, r := range l.plan.Ranges {
			l.cursors[r.Partition()] = r.To
		}
		l.plan = nil
		l.moved()
	case e.Abandon != "":
		l.plan = nil
	case e.Cursors != nil:
		for _, r := range e.Cursors {
			l.cursors[r.Partition()] = r.To
		}
		l.moved()
	case e.Forget != nil:
		for _, r := range e.Forget {
			delete(l.cursors, r.Partition())
		}
	default:
		return errs.New(errs.Unsupported, "delivery event of a newer version")
	}
	return nil
}

// Snapshot implements [meta.Machine].
func (m *machine) Snapshot(emit func([]byte)) {
	m.mu.Lock()
	lines := slices.SortedFunc(maps.Values(m.lines), func(a, b *line) int { return int(int64(a.number) - int64(b.number)) })
	lost := slices.Clone(m.lost)
	m.mu.Unlock()
	for i := range lost {
		emit(event{Lost: &lost[i]}.encode())
	}
	for _, l := range lines {
		l.mu.Lock()
		var at []Range
		for p, next := range l.cursors {
			at = append(at, Range{Stream: p.Stream, Generation: p.Generation, Index: p.Index, To: next})
		}
		plan := l.plan
		l.mu.Unlock()
		if len(at) > 0 {
			slices.SortFunc(at, compareRanges)
			emit(event{Number: l.number, Cursors: at}.encode())
		}
		if plan != nil {
			emit(event{Number: l.number, Plan: plan}.encode())
		}
	}
}

func compareRanges(a, b Range) int {
	return strings.Compare(a.Partition().String(), b.Partition().String())
}

// writes are the events of calls that share a commit.
type writes struct {
	mu   sync.Mutex
	open *group // guarded by mu
}

type group struct {
	change meta.Change
	taken  bool
	done   chan struct{} // closed when err is set
	err    error
}

// commit makes events durable, together with entries for other partitions. Calls that
// come while another's commit is on its way share the next one, and its fate.
func (s *Service) commit(events []event, entries ...log.Entry) error {
	w := &s.writes
	w.mu.Lock()
	if w.open == nil {
		w.open = &group{done: make(chan struct{})}
	}
	g := w.open
	for _, e := range events {
		g.change.Events = append(g.change.Events, e.encode())
	}
	g.change.Entries = append(g.change.Entries, entries...)
	w.mu.Unlock()
	mine := false
	_, err := s.store.Commit(context.Background(), func() (meta.Change, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if g.taken {
			return meta.Change{}, nil
		}
		mine, g.taken, w.open = true, true, nil
		return g.change, nil
	})
	if mine {
		g.err = err
		close(g.done)
	} else if err != nil { // the store takes nothing any more
		return err
	}
	<-g.done
	return g.err
}
