// Package limits holds what keeps clients within bounds.
//
// [Budget] is the bytes that everything which buffers on behalf of clients draws
// on, so that no client can make the process use more memory than it was given.
// A nil *Budget is without limit.
//
// [Bucket] and [Table] are for AWS's limits on rates: what a shard or an account
// may do in a second.
package limits

import (
	"context"
	"sync"
	"sync/atomic"

	"thalweg/internal/errs"
)

// ErrTooLarge is a request for more than the whole budget.
var ErrTooLarge error = errs.New(errs.LimitExceeded, "request is larger than the memory budget")

// Budget is a number of bytes that users share. It is safe for concurrent use.
type Budget struct {
	max  int64
	used atomic.Int64

	waiting atomic.Int32
	mu      sync.Mutex
	queue   []*waiter // guarded by mu; oldest first
}

type waiter struct {
	n     int64
	ready chan struct{} // closed when n has been taken for it
}

// NewBudget returns a budget of max bytes; max <= 0 is without limit.
func NewBudget(max int64) *Budget { return &Budget{max: max} }

// TryAcquire takes n bytes if they are free now, and reports whether it did.
func (b *Budget) TryAcquire(n int64) bool {
	if b == nil || b.max <= 0 {
		b.Take(n)
		return true
	}
	for {
		used := b.used.Load()
		if used+n > b.max {
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

// Acquire takes n bytes, waiting in turn until they are free. It returns
// [ErrTooLarge] if they never can be, or the context's error.
func (b *Budget) Acquire(ctx context.Context, n int64) error {
	if b == nil || b.max <= 0 {
		b.Take(n)
		return nil
	}
	if n > b.max {
		return ErrTooLarge
	}
	b.mu.Lock()
	if len(b.queue) == 0 && b.TryAcquire(n) {
		b.mu.Unlock()
		return nil
	}
	w := &waiter{n: n, ready: make(chan struct{})}
	b.queue = append(b.queue, w)
	b.waiting.Add(1)
	b.serve() // what was freed between the attempt and the entry in the queue
	b.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, q := range b.queue {
		if q == w {
			b.queue = append(b.queue[:i], b.queue[i+1:]...)
			b.waiting.Add(-1)
			b.serve()
			return ctx.Err()
		}
	}
	b.used.Add(-n) // served at the last moment
	b.serve()
	return ctx.Err()
}

// Take takes n bytes even beyond the budget. It is for what must go on, and
// must itself be bounded.
func (b *Budget) Take(n int64) {
	if b != nil {
		b.used.Add(n)
	}
}

// Release gives n bytes back.
func (b *Budget) Release(n int64) {
	if b == nil {
		return
	}
	b.used.Add(-n)
	if b.waiting.Load() > 0 {
		b.mu.Lock()
		b.serve()
		b.mu.Unlock()
	}
}

// serve gives freed bytes to waiters, oldest first; mu is held.
func (b *Budget) serve() {
	for len(b.queue) > 0 && b.TryAcquire(b.queue[0].n) {
		close(b.queue[0].ready)
		b.queue = b.queue[1:]
		b.waiting.Add(-1)
	}
}

// Used returns the bytes taken.
func (b *Budget) Used() int64 {
	if b == nil {
		return 0
	}
	return b.used.Load()
}

// Max returns the size of the budget; 0 is without limit.
func (b *Budget) Max() int64 {
	if b == nil {
		return 0
	}
	return max(b.max, 0)
}
