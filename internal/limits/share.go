package limits

import "sync/atomic"

// Share is what one user has taken of a budget that is shared with others, so that
// all of it can be given back when the user is gone. It is safe for concurrent
// use; after Close nothing more may be taken. The zero Share is of no budget.
type Share struct {
	of   *Budget
	held atomic.Int64
}

// NewShare returns an empty share of b, which may be nil.
func NewShare(b *Budget) *Share { return &Share{of: b} }

// TryAcquire is Budget.TryAcquire.
func (s *Share) TryAcquire(n int64) bool {
	if !s.of.TryAcquire(n) {
		return false
	}
	s.held.Add(n)
	return true
}

// Take is Budget.Take.
func (s *Share) Take(n int64) {
	s.of.Take(n)
	s.held.Add(n)
}

// Release is Budget.Release.
func (s *Share) Release(n int64) {
	s.held.Add(-n)
	s.of.Release(n)
}

// Held returns the bytes taken.
func (s *Share) Held() int64 { return s.held.Load() }

// Close gives everything back.
func (s *Share) Close() { s.of.Release(s.held.Swap(0)) }
