package limits

import (
	"hash/maphash"
	"sync"
)

// stripes is how many parts of a table can be worked on at once.
const stripes = 16

// Table holds values for the keys in use. A value that is as good as new is
// dropped when room is needed for another, so that keys which nobody uses any
// more cost nothing; beyond the table's bound some other value is. A Table is
// safe for concurrent use.
type Table[K comparable, V any] struct {
	rest    func(v *V, now int64) bool
	seed    maphash.Seed
	max     int // values of one part
	stripes [stripes]stripe[K, V]
}

type stripe[K comparable, V any] struct {
	mu     sync.Mutex
	values map[K]*V // guarded by mu
	sweep  int      // guarded by mu; number of values that calls for a sweep
}

// NewTable returns a table of about max values. rest reports whether a value is
// again what a new one would be.
func NewTable[K comparable, V any](max int, rest func(v *V, now int64) bool) *Table[K, V] {
	return &Table[K, V]{rest: rest, seed: maphash.MakeSeed(), max: (max + stripes - 1) / stripes}
}

// firstSweep is how many values a part may hold before any is dropped.
const firstSweep = 16

// Do calls f with the value of k, a new one if there is none. No other call of
// Do touches it meanwhile; f must not call Do and not keep the value.
func (t *Table[K, V]) Do(k K, now int64, f func(v *V)) {
	s := &t.stripes[maphash.Comparable(t.seed, k)%stripes]
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.values[k]
	if v == nil {
		if s.values == nil {
			s.values, s.sweep = map[K]*V{}, firstSweep
		}
		if len(s.values) >= min(s.sweep, t.max) {
			t.makeRoom(s, now)
		}
		v = new(V)
		s.values[k] = v
	}
	f(v)
}

// makeRoom drops what rests and, if that is nothing and the part is full, one
// value of no particular key.
func (t *Table[K, V]) makeRoom(s *stripe[K, V], now int64) {
	for k, v := range s.values {
		if t.rest(v, now) {
			delete(s.values, k)
		}
	}
	for k := range s.values {
		if len(s.values) < t.max {
			break
		}
		delete(s.values, k)
	}
	s.sweep = max(firstSweep, 2*len(s.values))
}

// Len is the number of values held.
func (t *Table[K, V]) Len() (n int) {
	for i := range t.stripes {
		s := &t.stripes[i]
		s.mu.Lock()
		n += len(s.values)
		s.mu.Unlock()
	}
	return n
}
