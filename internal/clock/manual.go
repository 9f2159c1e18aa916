package clock

import (
	"slices"
	"sync"
	"time"
)

// Manual is a clock that moves only when told to. Timers fire inside the call
// that moves it, earliest first and, at one instant, in the order they were
// armed. It is safe for concurrent use.
type Manual struct {
	mu      sync.Mutex
	armed   sync.Cond      // on mu; signalled when pending grows
	wall    time.Time      // guarded by mu
	elapsed time.Duration  // guarded by mu; what timers count by, never falls
	pending []*manualTimer // guarded by mu; by due, then by arming
}

// NewManual returns a clock that stands at start.
func NewManual(start time.Time) *Manual {
	m := &Manual{wall: start}
	m.armed.L = &m.mu
	return m
}

// Now returns the time the clock was last moved to.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wall
}

// NewTimer returns a timer that fires when the clock has been moved on by d.
func (m *Manual) NewTimer(d time.Duration) Timer {
	t := &manualTimer{m: m, c: make(chan time.Time, 1)}
	m.mu.Lock()
	defer m.mu.Unlock()
	t.arm(d)
	return t
}

// Advance moves the clock on by d (>= 0) and fires what falls due on the way.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(d)
}

// Set moves the clock to t. Forward is as [Manual.Advance]; backward is as when
// an operator sets the machine's clock back: timers wait as long as before.
func (m *Manual) Set(t time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance(t.Sub(m.wall))
	m.wall = t
}

// AwaitTimers blocks until at least n timers are armed: until the code under
// test has come to where it waits for the clock.
func (m *Manual) AwaitTimers(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.pending) < n {
		m.armed.Wait()
	}
}

func (m *Manual) advance(d time.Duration) {
	end := m.elapsed + max(d, 0)
	for len(m.pending) > 0 && m.pending[0].due <= end {
		t := m.pending[0]
		m.pending = slices.Delete(m.pending, 0, 1)
		m.move(t.due)
		t.c <- m.wall
	}
	m.move(end)
}

func (m *Manual) move(elapsed time.Duration) {
	m.wall = m.wall.Add(elapsed - m.elapsed)
	m.elapsed = elapsed
}

type manualTimer struct {
	m   *Manual
	c   chan time.Time // of length 1, empty while the timer is armed
	due time.Duration  // guarded by m.mu; on the scale of m.elapsed
}

// arm needs m.mu held and the timer stopped.
func (t *manualTimer) arm(d time.Duration) {
	m := t.m
	if d <= 0 {
		t.c <- m.wall
		return
	}
	t.due = m.elapsed + d
	i := len(m.pending)
	for i > 0 && m.pending[i-1].due > t.due {
		i--
	}
	m.pending = slices.Insert(m.pending, i, t)
	m.armed.Broadcast()
}

// stop needs m.mu held.
func (t *manualTimer) stop() bool {
	if i := slices.Index(t.m.pending, t); i >= 0 {
		t.m.pending = slices.Delete(t.m.pending, i, i+1)
		return true
	}
	select {
	case <-t.c:
		return true
	default:
		return false
	}
}

func (t *manualTimer) C() <-chan time.Time { return t.c }

func (t *manualTimer) Stop() bool {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	return t.stop()
}

func (t *manualTimer) Reset(d time.Duration) {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.stop()
	t.arm(d)
}
