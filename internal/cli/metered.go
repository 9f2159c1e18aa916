package cli

import (
	"io"
	"sync/atomic"
)

// meteredReader counts what was read of a whole.
type meteredReader struct {
	r    io.Reader
	size int64 // 0 is unknown
	done atomic.Int64
}

func (m *meteredReader) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.done.Add(int64(n))
	return n, err
}

// share returns how much was read, 0 to 1, when the size is known.
func (m *meteredReader) share() (float64, bool) {
	if m.size <= 0 {
		return 0, false
	}
	return min(float64(m.done.Load())/float64(m.size), 1), true
}
