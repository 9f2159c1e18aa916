package limits_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"thalweg/internal/limits"
)

const second = int64(time.Second)

func TestBucket(t *testing.T) {
	rate := limits.Rate{PerSecond: 1 << 20, Burst: 2 << 20}
	var b limits.Bucket
	spend := func(now, n int64) bool {
		t.Helper()
		if !b.Has(rate, now, n) {
			return false
		}
		b.Spend(rate, now, n)
		return true
	}
	for i, step := range []struct {
		now, n int64
		want   bool
		owes   time.Duration
	}{
		{0, 2 << 20, true, 0},                        // a burst
		{0, 1, false, 0},                             // and no more
		{second / 2, 512 << 10, true, 0},             // half a second brings half a second's worth
		{second / 2, 1, false, 0},                    //
		{10 * second, 3 << 20, true, time.Second},    // a full bucket takes what is larger, and is owed
		{10 * second, 1, false, time.Second},         //
		{11 * second, 1, false, 0},                   // paid, and empty
		{12 * second, 1 << 20, true, 0},              //
		{12*second - second/4, 1 << 20, false, 25e7}, // a clock set back brings nothing
		{100 * second, 2<<20 - 1, true, 0},           // a long rest brings no more than a burst
		{100 * second, 2, false, 0},                  //
		{100*second + second/1000, 1048, true, 0},    //
	} {
		if got := spend(step.now, step.n); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
		if got := b.Owes(rate, step.now); got != step.owes {
			t.Errorf("step %d: owes %v, want %v", i, got, step.owes)
		}
	}
}

// Whatever is asked for and when, over any time no more passes than the rate and
// one burst.
func TestBucketKeepsToItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := limits.Rate{
			PerSecond: rapid.Int64Range(1, 10<<20).Draw(t, "per second"), Burst: rapid.Int64Range(1, 10<<20).Draw(t, "burst"),
		}
		var b limits.Bucket
		now, passed := int64(0), int64(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now += rapid.Int64Range(0, second).Draw(t, "wait")
			n := rapid.Int64Range(1, rate.Burst).Draw(t, "units")
			if b.Has(rate, now, n) {
				b.Spend(rate, now, n)
				passed += n
			}
			// Costs are rounded down to a nanosecond, two units in 200 steps at most.
			if most := rate.Burst + now*rate.PerSecond/second + 3; passed > most {
				t.Fatalf("%d units passed in %v, at most %d may", passed, time.Duration(now), most)
			}
		}
	})
}

type use struct{ calls limits.Bucket }

func newTable(max int) *limits.Table[int, use] {
	return limits.NewTable[int](max, func(u *use, now int64) bool { return u.calls.FullAt() <= now })
}

var five = limits.Rate{PerSecond: 5, Burst: 5}

// take spends one call of k.
func take(table *limits.Table[int, use], k int, now int64) (ok bool) {
	table.Do(k, now, func(u *use) {
		if ok = u.calls.Has(five, now, 1); ok {
			u.calls.Spend(five, now, 1)
		}
	})
	return ok
}

func TestTableForgetsWhatRests(t *testing.T) {
	table := newTable(1 << 20)
	for k := range 10_000 {
		take(table, k, 0)
	}
	if n := table.Len(); n != 10_000 {
		t.Fatalf("%d values in use, want 10000", n)
	}
	for k := range 5 { // spent again: these are not as new a moment later
		for range 4 {
			take(table, k, 0)
		}
	}
	for k := range 10_000 {
		take(table, 20_000+k, second/2)
	}
	if n := table.Len(); n > 10_000+5+16*16 {
		t.Errorf("%d values after the first ones rest", n)
	}
	for k := range 5 {
		if got := [3]bool{take(table, k, second/2), take(table, k, second/2), take(table, k, second/2)}; got != [3]bool{true, true, false} {
			t.Errorf("value %d was forgotten while in use: %v", k, got)
		}
	}
}

func TestTableIsBounded(t *testing.T) {
	table := newTable(1000)
	for k := range 50_000 {
		take(table, k, 0)
	}
	if n := table.Len(); n > 1000+16 {
		t.Errorf("%d values, bound 1000", n)
	}
}
