package app

import (
	"testing"
	"time"

	"thalweg/internal/clock"
)

func TestShiftClock(t *testing.T) {
	base := clock.NewManual(time.Unix(1000, 0))
	s := newShiftClock(base)
	soon, late, stopped := s.NewTimer(time.Minute), s.NewTimer(time.Hour), s.NewTimer(time.Minute)
	fired := func(tm clock.Timer) bool {
		select {
		case <-tm.C():
			return true
		default:
			return false
		}
	}
	if !stopped.Stop() {
		t.Error("a pending timer could not be stopped")
	}
	s.Advance(5 * time.Minute)
	base.Advance(0)
	if !fired(soon) || fired(late) || fired(stopped) {
		t.Error("after five minutes the wrong timers fired")
	}
	if got := s.Now().Unix(); got != 1300 {
		t.Errorf("now is %d, want 1300", got)
	}
	s.Advance(time.Minute)
	base.Advance(0)
	if fired(soon) {
		t.Error("a timer fired twice")
	}
	base.Advance(54 * time.Minute)
	if !fired(late) {
		t.Error("a timer did not fire after base and shift together reached it")
	}
	soon.Reset(time.Second)
	base.Advance(time.Second)
	if !fired(soon) {
		t.Error("a timer armed again did not fire")
	}
	for range 1000 {
		s.NewTimer(time.Nanosecond)
		base.Advance(time.Millisecond)
	}
	if len(s.armed) > 200 {
		t.Errorf("%d timers that fired are kept", len(s.armed))
	}
}
