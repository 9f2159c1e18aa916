package kafka

import (
	"math/bits"
	"sync"
)

// buffers are pools of frame buffers, by power of two.
type buffers struct {
	pools [maxPooled + 1]sync.Pool
}

// maxPooled is the size, as a power of two, beyond which buffers are not kept.
const maxPooled = 22

// get returns a buffer of length n; put takes it back.
func (p *buffers) get(n int) *[]byte {
	class := max(bits.Len(uint(max(n, 1)-1)), 9)
	if class > maxPooled {
		b := make([]byte, n)
		return &b
	}
	b, ok := p.pools[class].Get().(*[]byte)
	if !ok {
		fresh := make([]byte, 1<<class)
		b = &fresh
	}
	*b = (*b)[:n]
	return b
}

func (p *buffers) put(b *[]byte) {
	class := bits.Len(uint(cap(*b) - 1))
	if class <= maxPooled && cap(*b) == 1<<class {
		p.pools[class].Put(b)
	}
}
