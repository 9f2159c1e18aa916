package delivery

import (
	"context"
	"slices"
	"sync"
)

// slots are how many deliveries run at once, shared by accounts: one may take another
// while it has no more than are free then. So an account alone has half of them, and
// whatever some hold for minutes, with endpoints that are slow, there are some for one
// that has none.
type slots struct {
	mu     sync.Mutex
	free   int                      // guarded by mu, as all below
	of     map[string]*accountSlots // of accounts that hold some or wait
	issued uint64
}

type accountSlots struct {
	held    int
	waiting []*waiter // in the order of their coming
}

type waiter struct {
	number  uint64
	granted chan struct{}
}

func newSlots(n int) *slots { return &slots{free: n, of: map[string]*accountSlots{}} }

// enter waits for a slot of an account; it is false when ctx ended first. exit must
// follow when it is true.
func (s *slots) enter(ctx context.Context, account string) bool {
	s.mu.Lock()
	a := s.of[account]
	if a == nil {
		a = &accountSlots{}
		s.of[account] = a
	}
	s.issued++
	w := &waiter{s.issued, make(chan struct{})}
	a.waiting = append(a.waiting, w)
	s.grant()
	s.mu.Unlock()
	select {
	case <-w.granted:
		return true
	case <-ctx.Done():
	}
	s.mu.Lock()
	i := slices.Index(a.waiting, w)
	if i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
		s.forget(account, a)
	}
	s.mu.Unlock()
	if i < 0 { // it was granted meanwhile
		s.exit(account)
	}
	return false
}

func (s *slots) exit(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.of[account]
	a.held--
	s.free++
	s.forget(account, a)
	s.grant()
}

func (s *slots) forget(account string, a *accountSlots) {
	if a.held == 0 && len(a.waiting) == 0 {
		delete(s.of, account)
	}
}

// grant gives free slots to those that wait: to the account with the fewest first, of
// such to who waits longest.
func (s *slots) grant() {
	for s.free > 0 {
		var next *accountSlots
		for _, a := range s.of {
			if len(a.waiting) > 0 && a.held <= s.free && (next == nil || a.held < next.held ||
				a.held == next.held && a.waiting[0].number < next.waiting[0].number) {
				next = a
			}
		}
		if next == nil {
			return
		}
		close(next.waiting[0].granted)
		next.waiting = slices.Delete(next.waiting, 0, 1)
		next.held++
		s.free--
	}
}
