// Package lifecycle starts named goroutines and waits for them to end.
//
// No other package uses a naked go statement for anything that outlives a call.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Group is a set of goroutines that live and end together. The zero Group is
// not usable; see [NewGroup].
type Group struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	running map[string]int // guarded by mu
	err     error          // guarded by mu; the first failure
}

// NewGroup returns a group whose context ends with ctx, on Stop, or when one of
// its goroutines fails.
func NewGroup(ctx context.Context) *Group {
	ctx, cancel := context.WithCancelCause(ctx)
	return &Group{ctx: ctx, cancel: cancel, running: map[string]int{}}
}

// Context returns the context that every goroutine of the group gets.
func (g *Group) Context() context.Context { return g.ctx }

// Go runs fn under name. An error other than context.Canceled ends the group.
func (g *Group) Go(name string, fn func(ctx context.Context) error) {
	g.mu.Lock()
	g.running[name]++
	g.mu.Unlock()
	g.wg.Add(1)
	go func() {
		defer g.wg.Done()
		err := fn(g.ctx)
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.running[name]--; g.running[name] == 0 {
			delete(g.running, name)
		}
		if err != nil && g.err == nil && !errors.Is(err, context.Canceled) {
			g.err = fmt.Errorf("%s: %w", name, err)
			g.cancel(g.err)
		}
	}()
}

// Stop cancels the context and waits for every goroutine. It returns the first
// failure, or, when ctx ends before they do, an error that names who still runs.
func (g *Group) Stop(ctx context.Context) error {
	g.cancel(context.Canceled)
	done := make(chan struct{})
	go func() { g.wg.Wait(); close(done) }()
	select {
	case <-done:
		return g.Err()
	case <-ctx.Done():
		g.mu.Lock()
		defer g.mu.Unlock()
		return fmt.Errorf("stop: still running: %v", g.running)
	}
}

// Err returns the first failure so far.
func (g *Group) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}
