package app

import (
	"sync"
	"time"

	"thalweg/internal/clock"
)

// shiftClock is a clock that runs as its base does and can be moved on, for the
// clock test aid: timers that fall due in between fire at once. It is safe for
// concurrent use.
type shiftClock struct {
	base clock.Clock

	mu     sync.Mutex
	offset time.Duration            // guarded by mu
	armed  map[*shiftTimer]struct{} // guarded by mu; fired ones until the next sweep
	sweep  int                      // guarded by mu; length of armed that calls for one
}

func newShiftClock(base clock.Clock) *shiftClock {
	return &shiftClock{base: base, armed: map[*shiftTimer]struct{}{}}
}

// Now returns the base's time, moved on.
func (s *shiftClock) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

func (s *shiftClock) now() time.Time { return s.base.Now().Add(s.offset) }

// maxAhead bounds how far the clock can be moved, well within what times and
// durations hold.
const maxAhead = 100 * 365 * 24 * time.Hour

// Advance moves the clock on by d (>= 0), or reports false for more than maxAhead
// in all.
func (s *shiftClock) Advance(d time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d > maxAhead-s.offset {
		return false
	}
	s.forgetFired()
	s.offset += d
	now := s.now()
	for t := range s.armed {
		t.base.Reset(t.due.Sub(now))
	}
	return true
}

// NewTimer returns a timer of the moved clock.
func (s *shiftClock) NewTimer(d time.Duration) clock.Timer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.armed) >= s.sweep {
		s.forgetFired()
		s.sweep = 2*len(s.armed) + 64
	}
	t := &shiftTimer{clock: s, base: s.base.NewTimer(d), due: s.now().Add(d)}
	s.armed[t] = struct{}{}
	return t
}

// forgetFired drops the timers that are due: their base fires them, once. s.mu
// is held.
func (s *shiftClock) forgetFired() {
	now := s.now()
	for t := range s.armed {
		if !t.due.After(now) {
			delete(s.armed, t)
		}
	}
}

type shiftTimer struct {
	clock *shiftClock
	base  clock.Timer
	due   time.Time // guarded by clock.mu
}

func (t *shiftTimer) C() <-chan time.Time { return t.base.C() }

func (t *shiftTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	delete(t.clock.armed, t)
	return t.base.Stop()
}

func (t *shiftTimer) Reset(d time.Duration) {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	t.due = t.clock.now().Add(d)
	t.clock.armed[t] = struct{}{}
	t.base.Reset(d)
}
