package delivery

import (
	"context"
	"sync"
	"time"

	"thalweg/internal/clock"
)

const (
	// breakAfter is how many attempts in a row fail before a host is left alone.
	breakAfter = 3
	// breakFor is how long it is, the first time; it doubles up to breakMost.
	breakFor  = time.Second
	breakMost = time.Minute
)

// breakers keep thousands of delivery streams from asking a host that does not
// answer: one probes, the others wait. Each account has its own: what fails for one,
// by a wrong key or a bucket that it may not use, is not to hold another's up.
type breakers struct {
	clock clock.Clock
	mu    sync.Mutex
	hosts map[party]*breaker // guarded by mu; those that have failed of late
}

// party is whose deliveries go where.
type party struct{ account, host string }

type breaker struct {
	failures int
	until    time.Time
	probing  bool
	changed  chan struct{} // closed when a probe has ended
}

// enter waits until the host may be asked, or the context or stop ends it, which
// it reports with false. exit must follow when it is true.
func (b *breakers) enter(ctx context.Context, host party, stop <-chan struct{}) bool {
	for {
		b.mu.Lock()
		h := b.hosts[host]
		if h == nil || h.failures < breakAfter {
			b.mu.Unlock()
			return true
		}
		wait := h.until.Sub(b.clock.Now())
		if wait <= 0 && !h.probing {
			h.probing = true
			b.mu.Unlock()
			return true
		}
		changed := h.changed
		b.mu.Unlock()
		timer := b.clock.NewTimer(max(wait, breakFor))
		select {
		case <-changed:
		case <-timer.C():
		case <-stop:
			timer.Stop()
			return false
		case <-ctx.Done():
			timer.Stop()
			return false
		}
		timer.Stop()
	}
}

// exit tells how it went.
func (b *breakers) exit(host party, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.hosts[host]
	switch {
	case ok && h == nil:
		return
	case ok:
		close(h.changed)
		delete(b.hosts, host)
		return
	case h == nil:
		h = &breaker{changed: make(chan struct{})}
		b.hosts[host] = h
	}
	h.failures++
	h.probing = false
	if over := h.failures - breakAfter; over >= 0 {
		h.until = b.clock.Now().Add(min(breakFor<<min(over, 6), breakMost))
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

// open reports whether a host is left alone now.
func (b *breakers) open(host party) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.hosts[host]
	return h != nil && h.failures >= breakAfter
}
