package queues

import (
	"context"
	"encoding/binary"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
)

// Batch names records of one queue by receipts.
type Batch struct {
	Scope catalog.Scope
	Queue string // its id
	// Dead tells that they are dead letters.
	Dead     bool
	Receipts []string
}

// The failures of single receipts.
var (
	// ErrReceipt is a receipt that is none of this queue's.
	ErrReceipt error = errs.New(errs.Invalid, "The receipt handle is not valid for this queue.")
	// ErrStale is a receipt of a record that was received again since, or moved.
	ErrStale error = errs.New(errs.Invalid, "The receipt handle is no longer valid: the record has been received again, or has become or "+
		"ceased to be a dead-letter record.")
	// ErrDone is a receipt of a record that is acknowledged, or past its time.
	ErrDone error = errs.New(errs.NotFound, "The record is no longer in the queue.")
	// ErrVisible is a receipt of a record that is in flight no longer.
	ErrVisible error = errs.New(errs.Invalid, "The record is not in flight: its visibility timeout has expired.")
)

// resolve finds the record of a receipt. Errors: the failures above but
// ErrVisible.
func (q *queue) resolve(b *Batch, receipt string) (*record, error) {
	p, err := q.svc.streams.OpenReceipt(b.Scope, receipt)
	if err != nil || len(p) < 1+len(q.id)+16 || int(p[0]) != len(q.id) || string(p[1:1+len(q.id)]) != q.id {
		return nil, ErrReceipt
	}
	p = p[1+len(q.id):]
	var r *record
	if sh := q.shards[ids.Shard(binary.BigEndian.Uint32(p))]; sh != nil {
		r = sh.records[int64(binary.BigEndian.Uint64(p[4:]))]
	}
	switch {
	case r == nil:
		return nil, ErrDone
	case r.dead != b.Dead || r.turn != binary.BigEndian.Uint32(p[12:]):
		return nil, ErrStale
	}
	return r, nil
}

// each calls do for the record of every receipt, and returns what it says of each.
// Errors: NotFound of the queue.
func (s *Service) each(b *Batch, do func(q *queue, i int, r *record) error) ([]error, error) {
	res, _, err := s.find(b.Scope, b.Queue)
	if err != nil {
		return nil, err
	}
	q := s.queue(b.Queue)
	q.mu.Lock()
	defer q.close()
	if q.gone {
		return nil, notFound(res)
	}
	failures := make([]error, len(b.Receipts))
	for i, receipt := range b.Receipts {
		r, err := q.resolve(b, receipt)
		if err == nil {
			err = do(q, i, r)
		}
		failures[i] = err
	}
	return failures, nil
}

// Acknowledge has records never delivered again; when it returns, that is durable.
// A record that is gone already is acknowledged, so that a call can be repeated. A
// record that is visible again and was not received since is acknowledged too. It
// returns a failure for each receipt, nil for those that did not fail. Errors:
// NotFound, those of the log: then nothing is acknowledged, although what was
// being written may show after the next start.
func (s *Service) Acknowledge(ctx context.Context, b Batch) ([]error, error) {
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	var done []event
	var acking []*record
	failures, err := s.each(&b, func(q *queue, _ int, r *record) error {
		q.unqueue(r)
		r.acking = true
		acking = append(acking, r)
		done = append(done, event{kind: evDone, queue: q.id, shard: r.shard, offset: r.offset})
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, f := range failures {
		if f == ErrDone {
			failures[i] = nil
		}
	}
	if len(done) == 0 {
		return failures, nil
	}
	err = s.commit(ctx, done...)
	if err != nil {
		q := s.queue(b.Queue)
		q.mu.Lock()
		defer q.mu.Unlock()
		for _, r := range acking {
			if sh := q.shards[r.shard]; sh != nil && sh.records[r.offset] == r {
				r.acking = false
				q.enqueue(r)
			}
		}
		return nil, err
	}
	return failures, nil
}

// Hide has records in flight stay hidden for so many seconds from now on, one
// number for each receipt; 0 makes a record visible. Failures and errors as
// Acknowledge has them, and ErrVisible, ErrDone.
func (s *Service) Hide(ctx context.Context, b Batch, seconds []int) ([]error, error) {
	now := clock.Millis(s.clock)
	return s.alter(ctx, &b, func(q *queue, i int, r *record) error {
		if r.visible <= now {
			return ErrVisible
		}
		st := r.state
		st.visible = now + int64(seconds[i])*1000
		q.set(r, st)
		return nil
	})
}

// Restore makes dead letters records like others, visible at once and as if never
// received. Failures and errors as Hide has them, but ErrVisible.
func (s *Service) Restore(ctx context.Context, b Batch) ([]error, error) {
	b.Dead = true
	now := clock.Millis(s.clock)
	return s.alter(ctx, &b, func(q *queue, _ int, r *record) error {
		if q.live >= s.most {
			return errs.New(errs.Throttled, "The queue has as many records in flight as it may have.")
		}
		q.set(r, state{turn: r.turn + 1, visible: now})
		return nil
	})
}

// alter changes records in memory, makes that durable, and wakes who waits.
func (s *Service) alter(ctx context.Context, b *Batch, do func(q *queue, i int, r *record) error) ([]error, error) {
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	altered := false
	failures, err := s.each(b, func(q *queue, i int, r *record) error {
		if r.acking {
			return ErrDone
		}
		if err := do(q, i, r); err != nil {
			return err
		}
		q.save(r)
		if !altered { // nobody can look before each is through
			altered = true
			q.wake()
		}
		return nil
	})
	if err != nil || !altered {
		return failures, err
	}
	if err := s.commit(ctx); err != nil {
		return nil, err
	}
	return failures, nil
}
