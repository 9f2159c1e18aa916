package tables

import (
	"context"

	"thalweg/internal/errs"
	"thalweg/internal/meta"
)

// job is one write in the queue.
type job struct {
	// run decides on the change. With an error it has changed nothing. It is run
	// once.
	run func(*txn) error
	// alone is for changes of tables: no other job is in the same commit, so that
	// tables do not change under the items.
	alone bool

	finished bool // guarded by committing, as is err
	err      error
}

// txn is one commit in the making: the durable state, and what the jobs before
// have changed of the items.
type txn struct {
	state   *state
	now     int64 // Unix milliseconds
	pending map[spot]*row
	done    map[token]done // transactions of this commit
	cost    int64          // by which the pending items change the state's
	events  [][]byte
	bytes   int // of events
}

// spot is an item's place in its table.
type spot struct {
	table uint64
	place string
}

// row returns what is at a place, with the pending changes.
func (tx *txn) row(t *table, place string) *row {
	if r, ok := tx.pending[spot{t.def.Number, place}]; ok {
		return r
	}
	return t.rows.get(place)
}

// commitBytes is how many bytes of events end a commit: the last job's come on
// top, and all must fit one batch of the log.
const commitBytes = 8 << 20

// commit has a job done and returns its error. Jobs that come while others are
// made durable are decided in their order and made durable together, by one of
// those who wait.
func (s *Service) commit(ctx context.Context, j *job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.queueMu.Lock()
	s.queue = append(s.queue, j)
	s.queueMu.Unlock()
	s.committing.Lock()
	defer s.committing.Unlock()
	for !j.finished {
		// A caller that goes away does not take the others' writes with it.
		s.round(context.WithoutCancel(ctx))
	}
	return j.err
}

// round commits what is first in the queue. committing is held.
func (s *Service) round(ctx context.Context) {
	var jobs []*job
	_, err := s.store.Commit(ctx, func() (meta.Change, error) {
		tx := &txn{state: &s.state, now: s.clock.Now().UnixMilli(), pending: map[spot]*row{}, done: map[token]done{}}
		for tx.bytes < commitBytes {
			j := s.next(len(jobs))
			if j == nil {
				break
			}
			jobs = append(jobs, j)
			before := len(tx.events)
			j.err = j.run(tx)
			for _, e := range tx.events[before:] {
				tx.bytes += len(e)
			}
			if j.alone {
				break
			}
		}
		return meta.Change{Events: tx.events}, nil
	})
	if len(jobs) == 0 { // the store is broken
		for j := s.next(0); j != nil; j = s.next(0) {
			j.finished, j.err = true, err
		}
		return
	}
	for _, j := range jobs {
		j.finished = true
		if err != nil { // even a refusal may rest on what did not become durable
			j.err = err
		}
	}
	s.release()
}

// next takes the first job out of the queue, nil if there is none or it must be
// alone and is not.
func (s *Service) next(before int) *job {
	s.queueMu.Lock()
	defer s.queueMu.Unlock()
	if len(s.queue) == 0 || s.queue[0].alone && before > 0 {
		return nil
	}
	j := s.queue[0]
	s.queue = s.queue[1:]
	return j
}

// fits draws what a change adds to the items on the budget, and refuses one by
// which they would take more than their part.
func (s *Service) fits(tx *txn, growth int64) error {
	if growth <= 0 {
		return nil
	}
	total := s.state.cost + tx.cost + growth
	need := max(total-s.held, 0)
	if total > s.max || !s.memory.TryAcquire(need) {
		return errs.New(errs.Throttled, "This server keeps all items in memory and has no room for more: delete some, or give it more --memory.")
	}
	s.held += need
	return nil
}

// release gives back what is held beyond what the items take.
func (s *Service) release() {
	if free := s.held - s.state.cost; free > 0 {
		s.memory.Release(free)
		s.held -= free
	}
}
