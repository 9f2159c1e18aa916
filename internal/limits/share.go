package limits

import "sync/atomic"

// Share is what one user has taken of budgets that are shared with others, so that
// all of it can be given back when the user is gone. It is safe for concurrent
// use; after Close nothing more may be taken. The zero Share is of no budget.
type Share struct {
	of   []*Budget
	held atomic.Int64
}

// NewShare returns an empty share of all of these, each of which may be nil.
func NewShare(of ...*Budget) *Share { return &Share{of: of} }

// TryAcquire is Budget.TryAcquire, of all or none.
func (s *Share) TryAcquire(n int64) bool {
	for i, b := range s.of {
		if !b.TryAcquire(n) {
			for _, b := range s.of[:i] {
				b.Release(n)
			}
			return false
		}
	}
	s.held.Add(n)
	return true
}

// Take is Budget.Take.
func (s *Share) Take(n int64) {
	for _, b := range s.of {
		b.Take(n)
	}
	s.held.Add(n)
}

// Release is Budget.Release.
func (s *Share) Release(n int64) {
	s.held.Add(-n)
	for _, b := range s.of {
		b.Release(n)
	}
}

// Held returns the bytes taken.
func (s *Share) Held() int64 { return s.held.Load() }

// Close gives everything back.
func (s *Share) Close() {
	n := s.held.Swap(0)
	for _, b := range s.of {
		b.Release(n)
	}
}
