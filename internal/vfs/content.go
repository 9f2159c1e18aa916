package vfs

import "math/rand/v2"

// chunkSize is the unit in which contents are held and space is counted.
const chunkSize = 4096

// sectorSize is what a disk writes whole or not at all.
const sectorSize = 512

// content is the bytes of one file: sparse, in chunks that copies share until
// one of them changes. The zero content is an empty file.
type content struct {
	size   int64
	chunks []chunk // a nil chunk is a hole; bytes beyond size are zero
}

type chunk struct {
	b      *[chunkSize]byte
	shared bool // another content may point to b
}

// clone returns a copy that shares every chunk with c.
func (c *content) clone() content {
	for i := range c.chunks {
		c.chunks[i].shared = true
	}
	return content{size: c.size, chunks: append([]chunk(nil), c.chunks...)}
}

// readAt copies what lies at off into p and returns how much that was.
func (c *content) readAt(p []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	p = p[:min(int64(len(p)), c.size-off)]
	for done := 0; done < len(p); {
		i, at := split(off + int64(done))
		n := min(chunkSize-at, len(p)-done)
		if i < len(c.chunks) && c.chunks[i].b != nil {
			copy(p[done:done+n], c.chunks[i].b[at:])
		} else {
			clear(p[done : done+n])
		}
		done += n
	}
	return len(p)
}

// writeAt copies p to off. Before it takes a new chunk it asks grow, and stops
// short when that says no. It returns how much it wrote.
func (c *content) writeAt(p []byte, off int64, grow func() bool) int {
	done := 0
	for done < len(p) {
		i, at := split(off + int64(done))
		for i >= len(c.chunks) {
			c.chunks = append(c.chunks, chunk{})
		}
		ch := &c.chunks[i]
		if ch.b == nil && !grow() {
			break
		}
		ch.own()
		done += copy(ch.b[at:], p[done:])
	}
	c.size = max(c.size, off+int64(done))
	return done
}

// truncate sets the size. It returns how many chunks it let go.
func (c *content) truncate(size int64) int {
	freed := 0
	if size < c.size {
		keep, at := split(size)
		if at > 0 {
			if keep < len(c.chunks) && c.chunks[keep].b != nil {
				c.chunks[keep].own()
				clear(c.chunks[keep].b[at:])
			}
			keep++
		}
		for i := keep; i < len(c.chunks); i++ {
			if c.chunks[i].b != nil {
				freed++
			}
			c.chunks[i] = chunk{}
		}
		c.chunks = c.chunks[:min(keep, len(c.chunks))]
	}
	c.size = size
	return freed
}

// held is the number of chunks that are not holes.
func (c *content) held() int {
	n := 0
	for _, ch := range c.chunks {
		if ch.b != nil {
			n++
		}
	}
	return n
}

func (ch *chunk) own() {
	switch {
	case ch.b == nil:
		ch.b = new([chunkSize]byte)
	case ch.shared:
		b := *ch.b
		ch.b = &b
	}
	ch.shared = false
}

func split(off int64) (chunkIndex, within int) {
	return int(off / chunkSize), int(off % chunkSize)
}

func always() bool { return true }

// change is one write or truncation that was not synced.
type change struct {
	off      int64
	data     []byte // nil for a truncation to off
	truncate bool
}

func (ch change) apply(c *content) {
	if ch.truncate {
		c.truncate(ch.off)
		return
	}
	c.writeAt(ch.data, ch.off, always)
}

// applySome leaves in c what a power cut may leave of ch: with probability keep
// the whole, else nothing, a torn part, or nothing but the new size.
func (ch change) applySome(c *content, r *rand.Rand, keep float64) {
	if keep >= 1 || r.Float64() < keep {
		ch.apply(c)
		return
	}
	if keep <= 0 || ch.truncate {
		return
	}
	switch r.IntN(4) {
	case 0: // cut anywhere
		c.writeAt(ch.data[:r.IntN(len(ch.data)+1)], ch.off, always)
	case 1: // some sectors of it, in any order
		ch.applySectors(c, r)
	case 2: // the size but not the bytes
		c.size = max(c.size, ch.off+int64(len(ch.data)))
	}
}

func (ch change) applySectors(c *content, r *rand.Rand) {
	end := ch.off + int64(len(ch.data))
	for at := ch.off; at < end; {
		next := min(at-at%sectorSize+sectorSize, end)
		if r.IntN(2) == 0 {
			c.writeAt(ch.data[at-ch.off:next-ch.off], at, always)
		}
		at = next
	}
}
