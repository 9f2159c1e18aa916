package limits

import "time"

// Mode says what becomes of a request beyond AWS's limits. Values are those of
// the --limits flag; the zero Mode is Off.
type Mode string

const (
	// Off knows no limits and counts nothing.
	Off Mode = "off"
	// Warn lets every request through and tells of those that AWS would refuse.
	Warn Mode = "warn"
	// AWS refuses what AWS refuses.
	AWS Mode = "aws"
)

// ParseMode reads a mode.
func ParseMode(s string) (Mode, bool) {
	switch m := Mode(s); m {
	case Off, Warn, AWS:
		return m, true
	}
	return Off, false
}

// On tells whether limits are counted.
func (m Mode) On() bool { return m == Warn || m == AWS }

// Rate is what a bucket lets through: so many units a second, and Burst at once
// after a rest. Units are the caller's: bytes, records, calls.
type Rate struct{ PerSecond, Burst int64 }

// cost is how long n units take to come in.
func (r Rate) cost(n int64) int64 { return n * int64(time.Second) / r.PerSecond }

// Bucket is a token bucket that is told the time, in nanoseconds on a scale that
// does not fall. The zero Bucket is full. It is not safe for concurrent use.
type Bucket struct {
	// full is when the bucket will be, or was, full.
	full int64
}

// Has reports whether n units are there. A full bucket has enough for anything,
// so that what is larger than Burst is let through in time, and owed.
func (b *Bucket) Has(r Rate, now, n int64) bool {
	return b.full <= now || b.full-now+r.cost(n) <= r.cost(r.Burst)
}

// Spend takes n units, even those that are not there.
func (b *Bucket) Spend(r Rate, now, n int64) { b.full = max(b.full, now) + r.cost(n) }

// Owes is how long it takes until what was spent beyond the bucket has come in;
// 0 when nothing was.
func (b *Bucket) Owes(r Rate, now int64) time.Duration {
	return time.Duration(max(0, b.full-now-r.cost(r.Burst)))
}

// FullAt is when the bucket will be, or was, full: from then on it is as new.
func (b *Bucket) FullAt() int64 { return b.full }
