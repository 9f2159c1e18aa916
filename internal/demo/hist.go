package demo

import (
	"math/bits"
	"sync"
	"time"
)

// hist counts durations in buckets an eighth apart, in one-second slots of which
// it keeps the last few, so that its quantiles are of now. It is safe for
// concurrent use.
type hist struct {
	mu    sync.Mutex
	slots [histSlots]slot
	at    int // slot being filled
	all   slot
}

const (
	histSlots   = 10
	histBuckets = 8 * 40 // microseconds up to about a year
)

type slot [histBuckets]uint32

// bucket returns the bucket of d: three bits below its leading one.
func bucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < 8 {
		return int(us)
	}
	shift := bits.Len64(us) - 4
	return min(8*(shift+1)+int(us>>shift)-8, histBuckets-1)
}

// floor is the least duration of a bucket.
func floor(i int) time.Duration {
	if i < 8 {
		return time.Duration(i) * time.Microsecond
	}
	shift := i/8 - 1
	return time.Duration((i%8+8)<<shift) * time.Microsecond
}

func (h *hist) add(d time.Duration) {
	i := bucket(d)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slots[h.at][i]++
	h.all[i]++
}

// tick begins a new slot, dropping the oldest.
func (h *hist) tick() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = (h.at + 1) % histSlots
	h.slots[h.at] = slot{}
}

// recent returns two quantiles of the last slots, whole those of everything.
func (h *hist) recent(q1, q2 float64) (time.Duration, time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var sum slot
	for i := range h.slots {
		for b, n := range h.slots[i] {
			sum[b] += n
		}
	}
	return sum.quantile(q1), sum.quantile(q2)
}

func (h *hist) whole(q1, q2 float64) (time.Duration, time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all.quantile(q1), h.all.quantile(q2)
}

// quantile returns the middle of the bucket in which quantile q lies, 0 when
// nothing was counted.
func (s *slot) quantile(q float64) time.Duration {
	var total uint64
	for _, n := range s {
		total += uint64(n)
	}
	if total == 0 {
		return 0
	}
	rank := uint64(q * float64(total-1))
	for i, n := range s {
		if rank < uint64(n) {
			return (floor(i) + floor(i+1)) / 2
		}
		rank -= uint64(n)
	}
	return floor(histBuckets - 1)
}
