package lifecycle_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"thalweg/internal/lifecycle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStopEndsEveryGoroutine(t *testing.T) {
	g := lifecycle.NewGroup(t.Context())
	ended := make(chan string, 2)
	for _, name := range []string{"a", "b"} {
		g.Go(name, func(ctx context.Context) error {
			<-ctx.Done()
			ended <- name
			return ctx.Err()
		})
	}
	if err := g.Stop(t.Context()); err != nil {
		t.Errorf("stop: %v", err)
	}
	if len(ended) != 2 {
		t.Errorf("%d of 2 had ended when Stop returned", len(ended))
	}
}

func TestFailureEndsTheGroupAndIsNamed(t *testing.T) {
	boom := errors.New("boom")
	g := lifecycle.NewGroup(t.Context())
	g.Go("waiter", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	g.Go("writer", func(context.Context) error { return boom })
	<-g.Context().Done()
	err := g.Stop(t.Context())
	if !errors.Is(err, boom) || !strings.HasPrefix(err.Error(), "writer: ") {
		t.Errorf("stop: %v", err)
	}
	if cause := context.Cause(g.Context()); !errors.Is(cause, boom) {
		t.Errorf("cause: %v", cause)
	}
}

func TestFailureWhileStoppingIsNotLost(t *testing.T) {
	boom := errors.New("flush")
	g := lifecycle.NewGroup(t.Context())
	g.Go("writer", func(ctx context.Context) error { <-ctx.Done(); return boom })
	if err := g.Stop(t.Context()); !errors.Is(err, boom) {
		t.Errorf("stop: %v", err)
	}
}

func TestCancelledIsNoFailure(t *testing.T) {
	g := lifecycle.NewGroup(t.Context())
	done := make(chan struct{})
	g.Go("a", func(context.Context) error { defer close(done); return context.Canceled })
	<-done
	if err := g.Context().Err(); err != nil {
		t.Errorf("group ended: %v", err)
	}
	if err := g.Stop(t.Context()); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestStopNamesWhoStillRuns(t *testing.T) {
	g := lifecycle.NewGroup(t.Context())
	release := make(chan struct{})
	g.Go("stuck", func(context.Context) error { <-release; return nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Stop(ctx); err == nil || !strings.Contains(err.Error(), "stuck") {
		t.Errorf("stop: %v", err)
	}
	close(release)
	if err := g.Stop(t.Context()); err != nil {
		t.Errorf("second stop: %v", err)
	}
}

func TestParentEndsTheGroup(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := lifecycle.NewGroup(ctx)
	g.Go("a", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	cancel()
	if err := g.Stop(t.Context()); err != nil {
		t.Errorf("stop: %v", err)
	}
}
