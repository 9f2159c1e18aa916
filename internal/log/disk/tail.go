package disk

import (
	"sort"
	"sync"
	"sync/atomic"

	"thalweg/internal/limits"
)

// tail is the one ring of the most recent WAL bytes in memory. The writer builds
// each round in it, in place; readers pin what they hand out. It is an image of
// the end of the WAL: a frame is found by its file and position.
type tail struct {
	budget *limits.Budget
	max    int64
	step   int // what chunkSize is a multiple of

	mu sync.RWMutex
	// chunkSize is what most rounds fit in, up to maxSteps: chunks of one size are
	// made of each other's memory.
	chunkSize int
	chunks    []*chunk // oldest first; the last is being filled
	bytes     int64
	spare     []byte // one buffer of chunkSize for the next chunk
}

// chunk is a piece of one WAL file.
type chunk struct {
	tail *tail
	buf  []byte
	file *walFile
	pos  int64 // in file, of buf[0]
	used int   // of the writer
	// shown is how many bytes readers may look at.
	shown atomic.Int64
	// pins counts the ring itself and every reader.
	pins atomic.Int32
}

// maxSteps bounds chunkSize: a request can hold a large batch for each of several
// partitions, and the ring is to be more than one chunk.
const maxSteps = 4

func newTail(budget *limits.Budget, maxBytes int64) *tail {
	step := int(min(max(maxBytes/16, 4<<10), 2<<20))
	return &tail{budget: budget, max: maxBytes, step: step, chunkSize: step}
}

// room is how many bytes the last chunk can still take in file.
func (t *tail) room(file *walFile) int {
	if len(t.chunks) == 0 {
		return 0
	}
	c := t.chunks[len(t.chunks)-1]
	if c.file != file {
		return 0
	}
	return len(c.buf) - c.used
}

// last is the chunk being filled. Only the writer calls it, and grow and seal.
func (t *tail) last() *chunk { return t.chunks[len(t.chunks)-1] }

// grow adds a chunk of at least need bytes for what comes at pos of file.
func (t *tail) grow(file *walFile, pos int64, need int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if need > t.chunkSize && need <= maxSteps*t.step {
		t.chunkSize = (need + t.step - 1) / t.step * t.step
	}
	size := max(need, t.chunkSize)
	for len(t.chunks) > 0 && t.bytes+int64(size) > t.max {
		t.evict()
	}
	for !t.budget.TryAcquire(int64(size)) {
		if len(t.chunks) == 0 {
			t.budget.Take(int64(size)) // a round has to be built somewhere
			break
		}
		t.evict()
	}
	var buf []byte
	if len(t.spare) == size {
		buf = t.spare
	} else {
		buf = make([]byte, size)
	}
	t.spare = nil
	c := &chunk{tail: t, buf: buf, file: file, pos: pos}
	c.pins.Store(1)
	t.chunks = append(t.chunks, c)
	t.bytes += int64(size)
}

// evict drops the oldest chunk; mu is held.
func (t *tail) evict() {
	c := t.chunks[0]
	t.chunks = t.chunks[1:]
	t.bytes -= int64(len(c.buf))
	if c.pins.Add(-1) == 0 {
		t.recycle(c)
	}
}

// recycle takes back the memory of a chunk that nobody holds; mu is held.
func (t *tail) recycle(c *chunk) {
	t.budget.Release(int64(len(c.buf)))
	if len(c.buf) == t.chunkSize && t.spare == nil {
		t.spare = c.buf
	}
	c.buf = nil
}

// unpin ends a reader's hold on c.
func (c *chunk) unpin() {
	if c.pins.Add(-1) == 0 {
		c.tail.mu.Lock()
		c.tail.recycle(c)
		c.tail.mu.Unlock()
	}
}

// find returns the chunk that holds pos of file; mu is held.
func (t *tail) find(file *walFile, pos int64) *chunk {
	i := sort.Search(len(t.chunks), func(i int) bool {
		c := t.chunks[i]
		return c.file.order > file.order || c.file == file && c.pos > pos
	})
	if i == 0 {
		return nil
	}
	c := t.chunks[i-1]
	if c.file != file || pos >= c.pos+c.shown.Load() {
		return nil
	}
	return c
}

// holds reports whether pos of file is in memory now.
func (t *tail) holds(file *walFile, pos int64) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.find(file, pos) != nil
}

// pin returns the chunk that holds pos of file, held until unpin, or nil.
func (t *tail) pin(file *walFile, pos int64) *chunk {
	t.mu.RLock()
	defer t.mu.RUnlock()
	c := t.find(file, pos)
	if c != nil {
		c.pins.Add(1)
	}
	return c
}

// at returns size bytes from pos of the chunk's file.
func (c *chunk) at(pos int64, size int) []byte {
	i := int(pos - c.pos)
	return c.buf[i : i+size : i+size]
}

// close gives up the ring. Readers keep what they have pinned.
func (t *tail) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.chunks) > 0 {
		t.evict()
	}
	t.spare = nil
}
