package limits_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"thalweg/internal/limits"
)

func TestBudgetTryAcquire(t *testing.T) {
	b := limits.NewBudget(10)
	if !b.TryAcquire(6) || b.TryAcquire(5) || !b.TryAcquire(4) {
		t.Fatal("budget of 10 must hold 6 + 4 and not 6 + 5")
	}
	b.Take(3)
	if b.Used() != 13 || b.Max() != 10 {
		t.Fatalf("used %d of %d, want 13 of 10", b.Used(), b.Max())
	}
	b.Release(13)
	if b.Used() != 0 {
		t.Fatalf("used %d after releasing all", b.Used())
	}
}

func TestBudgetNilIsUnlimited(t *testing.T) {
	var b *limits.Budget
	if !b.TryAcquire(1<<60) || b.Acquire(context.Background(), 1<<60) != nil || b.Used() != 0 {
		t.Fatal("a nil budget must allow everything")
	}
	b.Release(1)
}

func TestBudgetAcquireEndsWithContext(t *testing.T) {
	b := limits.NewBudget(10)
	if err := b.Acquire(context.Background(), 11); !errors.Is(err, limits.ErrTooLarge) {
		t.Fatalf("acquire beyond the budget: %v", err)
	}
	b.Take(10)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Acquire(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Fatalf("acquire with ended context: %v", err)
	}
	b.Release(10)
	if err := b.Acquire(context.Background(), 10); err != nil {
		t.Fatal(err)
	}
}

func TestBudgetNeverExceeded(t *testing.T) {
	b := limits.NewBudget(100)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 500 {
				n := int64(1 + (w*7+i)%40)
				if err := b.Acquire(context.Background(), n); err != nil {
					t.Error(err)
					return
				}
				if b.Used() > 100 {
					t.Errorf("%d bytes used of 100", b.Used())
				}
				b.Release(n)
			}
		})
	}
	wg.Wait()
	if b.Used() != 0 {
		t.Fatalf("used %d at the end", b.Used())
	}
}
