package limits_test

import (
	"testing"

	"thalweg/internal/limits"
)

func TestShareGivesBackWhatItTook(t *testing.T) {
	b := limits.NewBudget(100)
	b.Take(10)
	s := limits.NewShare(b)
	s.Take(30)
	s.Release(5)
	if !s.TryAcquire(20) || s.TryAcquire(60) || s.Held() != 45 || b.Used() != 55 {
		t.Errorf("%d held, %d used", s.Held(), b.Used())
	}
	s.Close()
	if s.Held() != 0 || b.Used() != 10 {
		t.Errorf("%d held, %d used after all was given back", s.Held(), b.Used())
	}
	part := limits.NewBudget(20)
	both := limits.NewShare(b, part)
	if !both.TryAcquire(15) || both.TryAcquire(10) || b.Used() != 25 || part.Used() != 15 {
		t.Errorf("of two: %d held, %d and %d used", both.Held(), b.Used(), part.Used())
	}
	both.Close()
	if b.Used() != 10 || part.Used() != 0 {
		t.Errorf("of two: %d and %d used after all was given back", b.Used(), part.Used())
	}
	none := limits.NewShare(nil)
	none.Take(7)
	none.Close()
	if none.Held() != 0 {
		t.Error("a share of no budget holds something")
	}
}
