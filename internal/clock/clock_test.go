package clock_test

import (
	"testing"
	"time"

	"thalweg/internal/clock"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func fired(t *testing.T, tm clock.Timer) (time.Time, bool) {
	t.Helper()
	select {
	case at := <-tm.C():
		return at, true
	default:
		return time.Time{}, false
	}
}

func TestManualFiresInOrderOfDueTimeThenArming(t *testing.T) {
	m := clock.NewManual(start)
	late := m.NewTimer(3 * time.Second)
	first := m.NewTimer(time.Second)
	second := m.NewTimer(time.Second)
	m.Advance(2 * time.Second)
	for name, tm := range map[string]clock.Timer{"first": first, "second": second} {
		at, ok := fired(t, tm)
		if !ok || !at.Equal(start.Add(time.Second)) {
			t.Errorf("%s fired %v at %v, want at its due time", name, ok, at)
		}
	}
	if _, ok := fired(t, late); ok {
		t.Error("timer fired before it was due")
	}
	m.Advance(time.Second)
	if _, ok := fired(t, late); !ok {
		t.Error("timer did not fire when due")
	}
	if got := m.Now(); !got.Equal(start.Add(3 * time.Second)) {
		t.Errorf("now %v", got)
	}
}

func TestManualSetBackKeepsTimersWaiting(t *testing.T) {
	m := clock.NewManual(start)
	tm := m.NewTimer(time.Minute)
	m.Set(start.Add(-time.Hour))
	if got := clock.Millis(m); got != start.Add(-time.Hour).UnixMilli() {
		t.Errorf("now %d", got)
	}
	m.Advance(59 * time.Second)
	if _, ok := fired(t, tm); ok {
		t.Error("fired early after the clock was set back")
	}
	m.Set(start.Add(-time.Hour).Add(time.Minute))
	if _, ok := fired(t, tm); !ok {
		t.Error("did not fire one minute later")
	}
}

func TestManualStopAndReset(t *testing.T) {
	m := clock.NewManual(start)
	tm := m.NewTimer(time.Second)
	if !tm.Stop() || tm.Stop() {
		t.Error("Stop must report true once")
	}
	m.Advance(time.Hour)
	if _, ok := fired(t, tm); ok {
		t.Error("stopped timer fired")
	}
	tm.Reset(time.Second)
	m.Advance(time.Second)
	tm.Reset(time.Second) // what it fired before must not be received
	if _, ok := fired(t, tm); ok {
		t.Error("stale value after Reset")
	}
	m.Advance(time.Second)
	if tm.Stop() != true {
		t.Error("Stop of a timer whose value nobody took must report true")
	}
	if _, ok := fired(t, tm); ok {
		t.Error("stale value after Stop")
	}
	if _, ok := fired(t, m.NewTimer(0)); !ok {
		t.Error("a timer of 0 must fire at once")
	}
}

func TestManualAwaitTimers(t *testing.T) {
	m := clock.NewManual(start)
	done := make(chan time.Time)
	go func() { done <- <-m.NewTimer(time.Second).C() }()
	m.AwaitTimers(1)
	m.Advance(time.Second)
	if at := <-done; !at.Equal(start.Add(time.Second)) {
		t.Errorf("fired at %v", at)
	}
}

func TestSystem(t *testing.T) {
	c := clock.System()
	before := c.Now()
	tm := c.NewTimer(time.Hour)
	if !tm.Stop() {
		t.Error("Stop of a waiting timer must report true")
	}
	tm.Reset(0)
	if at := <-tm.C(); at.Before(before) {
		t.Errorf("fired at %v, before %v", at, before)
	}
}
