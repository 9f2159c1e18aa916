// Package clock is the only place that reads the time.
//
// Everything else takes a [Clock], so that tests and simulations decide what
// time it is and when timers fire. A Clock is safe for concurrent use.
package clock

import "time"

// Clock tells the time and makes timers.
type Clock interface {
	// Now returns the current time, with a monotonic reading where there is one.
	Now() time.Time
	// NewTimer returns a timer that fires once, d from now; d <= 0 fires at once.
	NewTimer(d time.Duration) Timer
}

// Timer fires once on C unless stopped first.
type Timer interface {
	C() <-chan time.Time
	// Stop keeps the timer from firing and reports whether it did. It never
	// closes C.
	Stop() bool
	// Reset stops the timer, empties C and arms it again for d from now.
	Reset(d time.Duration)
}

// Millis returns c's time as Unix milliseconds.
func Millis(c Clock) int64 { return c.Now().UnixMilli() }
