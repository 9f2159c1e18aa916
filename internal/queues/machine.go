package queues

import (
	"context"
	"slices"
	"sync"

	"thalweg/internal/ids"
	"thalweg/internal/meta"
)

// writes are events on their way to the log.
//
// What a receive, a change of visibility or a restoring does, memory shows at once,
// and the event is owed: it goes with the next commit, and with the one after it
// when that fails, so that the log never has a later state without an earlier one.
// An acknowledgement is the other way round: memory shows it once it is durable.
type writes struct {
	mu     sync.Mutex
	owed   [][]byte // guarded by mu
	skip   int      // how many events of the commit under way were owed; guarded by mu
	open   *group   // guarded by mu
	failed bool     // the last commit; guarded by mu
}

// group is the calls that share a commit.
type group struct {
	asked [][]byte
	taken bool
	done  chan struct{} // closed when err is set
	err   error
}

// owe owes events that belong together: a commit has all of them or none.
func (w *writes) owe(events ...event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range events {
		w.owed = append(w.owed, events[i].encode())
	}
}

// commit makes what is owed durable, and the acknowledgements asked for. Calls that
// come while another's commit is on its way share the next one.
func (s *Service) commit(ctx context.Context, asked ...event) error {
	w := &s.writes
	w.mu.Lock()
	if w.open == nil {
		w.open = &group{done: make(chan struct{})}
	}
	g := w.open
	for i := range asked {
		g.asked = append(g.asked, asked[i].encode())
	}
	w.mu.Unlock()
	mine := false
	_, err := s.store.Commit(context.WithoutCancel(ctx), func() (meta.Change, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if g.taken {
			return meta.Change{}, nil
		}
		mine, g.taken, w.open = true, true, nil
		w.skip = len(w.owed)
		return meta.Change{Events: slices.Concat(w.owed, g.asked)}, nil
	})
	w.mu.Lock()
	if mine {
		g.err, w.failed = err, err != nil
		close(g.done)
	}
	w.mu.Unlock()
	if err != nil && !mine { // the store takes nothing any more
		return err
	}
	<-g.done
	return g.err
}

// settle tries to make durable what a commit that failed left, so that no more is
// owed than one call's worth.
func (s *Service) settle(ctx context.Context) error {
	s.writes.mu.Lock()
	failed := s.writes.failed
	s.writes.mu.Unlock()
	if !failed {
		return nil
	}
	return s.commit(ctx)
}

// machine is the queues as meta sees them.
type machine Service

// Reset implements [meta.Machine].
func (m *machine) Reset() {
	s := (*Service)(m)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.queues {
		q.mu.Lock()
		q.forget()
		q.mu.Unlock()
	}
	s.queues = map[string]*queue{}
}

// Apply implements [meta.Machine].
func (m *machine) Apply(data []byte) error {
	s := (*Service)(m)
	s.writes.mu.Lock()
	if s.writes.skip > 0 { // memory shows it already
		s.writes.skip--
		s.writes.owed = s.writes.owed[1:]
		s.writes.mu.Unlock()
		return nil
	}
	s.writes.mu.Unlock()
	e, err := decodeEvent(data)
	if err != nil {
		return err
	}
	q := s.queue(e.queue)
	q.mu.Lock()
	defer q.mu.Unlock()
	switch e.kind { // none of them but evDone comes here while the service runs
	case evNext:
		sh := q.shard(e.shard)
		sh.next, sh.known = max(sh.next, e.offset), true
	case evRecord:
		r := q.shard(e.shard).records[e.offset]
		if r == nil {
			s.memory.Take(recordBytes)
			r = q.add(e.shard, e.offset)
		}
		q.set(r, e.state)
	case evDone:
		if r := q.shard(e.shard).records[e.offset]; r != nil {
			q.remove(r)
		}
	case evShard:
		q.removeShard(e.shard)
	case evGone:
		q.forget()
		s.mu.Lock()
		delete(s.queues, e.queue)
		s.mu.Unlock()
	}
	return nil
}

// Snapshot implements [meta.Machine].
func (m *machine) Snapshot(emit func([]byte)) {
	s := (*Service)(m)
	alive := s.alive()
	s.mu.Lock()
	all := make([]*queue, 0, len(s.queues))
	for _, q := range s.queues {
		if alive[q.id] {
			all = append(all, q)
		}
	}
	s.mu.Unlock()
	for _, q := range all {
		q.snapshot(func(e event) { emit(e.encode()) })
	}
}

// snapshot emits events that build q as it is.
func (q *queue) snapshot(emit func(event)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for number, sh := range q.shards {
		if sh.known {
			emit(event{kind: evNext, queue: q.id, shard: number, offset: sh.next})
		}
		for _, r := range sh.records {
			emit(q.eventOf(r))
		}
	}
}

func (q *queue) eventOf(r *record) event {
	return event{kind: evRecord, queue: q.id, shard: r.shard, offset: r.offset, state: r.state}
}

// note keeps an event for close.
func (q *queue) note(e event) { q.notes = append(q.notes, e) }

// close owes the events of one look at the queue, together: a shard moved on past a
// record that is not in the log would be a record lost. Then q is unlocked.
func (q *queue) close() {
	if len(q.notes) > 0 {
		q.svc.writes.owe(q.notes...)
		clear(q.notes)
		q.notes = q.notes[:0]
	}
	q.mu.Unlock()
}

// save notes the state of a record.
func (q *queue) save(r *record) { q.note(q.eventOf(r)) }

// discard removes a record that is past its time, and notes that.
func (q *queue) discard(r *record) {
	q.remove(r)
	q.note(event{kind: evDone, queue: q.id, shard: r.shard, offset: r.offset})
}

// advance moves a shard on, and notes that.
func (q *queue) advance(number ids.Shard, sh *shard, next int64) {
	if next > sh.next || !sh.known {
		sh.next, sh.known = next, true
		q.note(event{kind: evNext, queue: q.id, shard: number, offset: next})
	}
}
