package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"sync"

	"thalweg/internal/errs"
	"thalweg/internal/log"
)

// errMoved tells that what was to be read has gone to another place meanwhile.
var errMoved = errors.New("moved")

// maxRead bounds what one read returns, however much is asked for.
const maxRead = 64 << 20

// Read implements [log.Log].
func (l *Log) Read(id log.PartitionID, offset int64, maxBytes int, isolation log.Isolation) (log.Batches, error) {
	for range 16 {
		b, err := l.read(id, offset, min(max(maxBytes, 1), maxRead), isolation)
		if !errors.Is(err, errMoved) {
			return b, err
		}
	}
	return log.Batches{}, errs.New(errs.Internal, "read partition "+id.String()+": it moves faster than it can be read")
}

// plan is where a read begins. The fields for one of three places are set.
type plan struct {
	refs   []ref
	chunk  *chunk   // pinned, of refs[0]
	file   *walFile // pinned, of refs[0]
	extent extent
	index  *index
	limit  int64 // offset that no batch may reach
}

func (l *Log) read(id log.PartitionID, offset int64, maxBytes int, isolation log.Isolation) (log.Batches, error) {
	p := l.lookup(id)
	if p == nil {
		return log.Batches{}, log.ErrNotFound
	}
	p.mu.RLock()
	out := log.Batches{Start: p.v.start, End: p.v.end, Stable: p.stable()}
	pl, err := l.planRead(p, offset, &out, isolation)
	aborted, passes := p.txns.aborted, p.passes
	p.mu.RUnlock()
	if err != nil || pl == nil {
		return out, err
	}
	r := &reader{l: l, p: p, out: &out, left: maxBytes}
	limit := pl.limit
	for found := 0; pl != nil; found = len(out.List) {
		err = r.from(pl, offset)
		if err != nil || len(out.List) == found || r.left <= 0 {
			break
		}
		last := &out.List[len(out.List)-1]
		if offset = last.Base + int64(last.Count); offset >= limit {
			break
		}
		p.mu.RLock()
		if p.passes != passes { // what is there now goes with other aborted transactions
			p.mu.RUnlock()
			break
		}
		pl, err = l.planRead(p, offset, &out, isolation)
		p.mu.RUnlock()
	}
	if len(r.free) > 0 {
		out.Free = r.release
	}
	if len(out.List) == 0 && err != nil {
		out.Release()
		return out, err
	}
	if isolation == log.Committed && len(out.List) > 0 {
		last := &out.List[len(out.List)-1]
		out.Aborted = overlapping(aborted, out.List[0].Base, last.Base+int64(last.Count))
	}
	return out, nil
}

// planRead decides where the batch at offset is read from; mu is held. It
// returns nil if there is nothing to read.
func (l *Log) planRead(p *partition, offset int64, out *log.Batches, isolation log.Isolation) (*plan, error) {
	switch {
	case l.closed.Load():
		return nil, log.ErrClosed
	case p.v.gone:
		return nil, log.ErrNotFound
	case offset < out.Start || offset > out.End:
		return nil, log.ErrOutOfRange
	}
	if d := p.damagedAt(offset); d != nil {
		return nil, d.err(p.id)
	}
	pl := &plan{limit: out.End}
	if isolation == log.Committed {
		pl.limit = out.Stable
	}
	if offset >= pl.limit {
		return nil, nil
	}
	pl.limit = min(pl.limit, p.nextDamage(offset))
	if i := p.refAt(offset); i < len(p.refs) && p.refs[i].base <= offset {
		r := &p.refs[i]
		pl.refs = p.refs[i:len(p.refs):len(p.refs)]
		if pl.chunk = l.tail.pin(r.file, r.pos); pl.chunk != nil {
			return pl, nil
		}
		if r.base >= p.flushed {
			pl.file = r.file
			pl.file.pins.Add(1)
			return pl, nil
		}
	}
	e, ok := p.extentOf(offset)
	if !ok {
		return nil, corrupt("read partition "+p.id.String(), fmt.Sprintf("offset %d is nowhere", offset), nil)
	}
	pl.extent = e
	if p.indexed == e.file {
		pl.index = p.index
	}
	return pl, nil
}

// extentOf returns the extent that holds offset; mu is held.
func (p *partition) extentOf(offset int64) (extent, bool) {
	e := p.open
	if e.size == 0 || offset < e.base {
		i := extentAt(p.extents, offset)
		if i == len(p.extents) {
			return extent{}, false
		}
		e = p.extents[i]
	}
	return e, e.base <= offset && offset < e.end
}

// reader gathers the batches of one read.
type reader struct {
	l    *Log
	p    *partition
	out  *log.Batches
	left int // bytes
	free []func()
	own  []byte // what is left of memory for opened batches
}

// openBytes is how much memory is taken at once for opened batches.
const openBytes = 64 << 10

func (r *reader) release() {
	for _, f := range r.free {
		f()
	}
}

// add takes the batch of f, the frame in b, into the result if it still fits, or
// is the first. A sealed one is opened: in place, or in memory of its own if b is
// shared. more tells that there may be room for another.
func (r *reader) add(f *frame, b []byte, shared bool) (more bool, err error) {
	size := f.batchSize()
	if size > r.left && len(r.out.List) > 0 {
		r.left = 0
		return false, nil
	}
	payload := b[frameSize:f.size:f.size]
	if f.keyID != 0 {
		if shared {
			if len(r.own) < f.size {
				if r.own, err = r.buffer(max(f.size, min(r.left, openBytes))); err != nil {
					return false, err
				}
			}
			copy(r.own, b[:f.size])
			b, r.own = r.own[:f.size:f.size], r.own[f.size:]
		}
		if payload, err = r.l.seal.open(b[:f.size], f.keyID); err != nil {
			return false, err
		}
	}
	r.left -= size
	r.out.List = append(r.out.List, log.Batch{Base: f.base, Count: f.count, Arrival: f.arrival, KeyID: f.keyID, Bytes: payload})
	return r.left > 0, nil
}

// from reads what pl says.
func (r *reader) from(pl *plan, offset int64) error {
	switch {
	case pl.chunk != nil:
		return r.fromTail(pl)
	case pl.file != nil:
		return r.fromWAL(pl)
	}
	return r.fromExtent(pl, offset)
}

// fromTail hands out batches from memory, without copying unless they are sealed.
func (r *reader) fromTail(pl *plan) error {
	c := pl.chunk
	r.free = append(r.free, c.unpin)
	for i := range pl.refs {
		ref := &pl.refs[i]
		if ref.base >= pl.limit || r.left <= 0 {
			return nil
		}
		if ref.file != c.file || ref.pos >= c.pos+c.shown.Load() {
			if c = r.l.tail.pin(ref.file, ref.pos); c == nil {
				return nil
			}
			r.free = append(r.free, c.unpin)
		}
		b := c.at(ref.pos, int(ref.size))
		f, _ := parseFrameHead(b)
		more, err := r.add(&f, b, true)
		if err != nil {
			return r.unopened(err, f.keyID, ref.damage(r.p.id))
		}
		if !more {
			return nil
		}
	}
	return nil
}

// damage describes the frame of r, should it be bad.
func (r *ref) damage(id log.PartitionID) Damage {
	return Damage{
		File: r.file.path, From: r.pos, To: r.pos + int64(r.size), Partition: &id,
		FirstOffset: r.base, EndOffset: r.end(), Reason: "frame does not match its checksum",
	}
}

// fromWAL reads batches that are only in one WAL file so far.
func (r *reader) fromWAL(pl *plan) error {
	defer func() { _ = pl.file.unpin() }() // a freed file's close has nothing to lose
	n, total, bytes, full := 0, 0, 0, false
	for n < len(pl.refs) {
		ref := &pl.refs[n]
		if ref.file != pl.file || ref.base >= pl.limit {
			break
		}
		if bytes+int(ref.bytes()) > r.left && (n > 0 || len(r.out.List) > 0) {
			full = true
			break
		}
		bytes += int(ref.bytes())
		total += int(ref.size)
		n++
	}
	if n == 0 {
		return nil
	}
	buf, err := r.buffer(total)
	if err != nil {
		return err
	}
	for i := 0; i < n; {
		j, size := i, 0 // refs that follow each other in the file are read at once
		for j < n && (j == i || pl.refs[j].pos == pl.refs[i].pos+int64(size)) {
			size += int(pl.refs[j].size)
			j++
		}
		if _, err := pl.file.f.ReadAt(buf[:size], pl.refs[i].pos); err != nil && !errors.Is(err, io.EOF) {
			return errs.Wrap(errs.Internal, "read WAL", err)
		}
		for ; i < j; i++ {
			ref := &pl.refs[i]
			f, _, ok := parseFrame(buf[:ref.size:ref.size], r.l.history.seed)
			if !ok || f.id != r.p.id || f.base != ref.base {
				if len(r.out.List) > 0 {
					return nil
				}
				d := ref.damage(r.p.id)
				r.l.damaged(d)
				return d.err()
			}
			if _, err := r.add(&f, buf, false); err != nil {
				return r.unopened(err, f.keyID, ref.damage(r.p.id))
			}
			buf = buf[ref.size:]
		}
	}
	if full {
		r.left = 0
	}
	return nil
}

// fromExtent reads batches from a segment or pack.
func (r *reader) fromExtent(pl *plan, offset int64) error {
	e := pl.extent
	pos, err := r.l.locate(r.p, e, pl.index, offset)
	if err != nil {
		return err
	}
	file, err := r.l.files.get(e.file, e.kind)
	if err != nil {
		return openError(err)
	}
	defer r.l.files.put(file)
	end := e.pos + e.size
	n := int(min(end-pos, int64(max(r.left, 4<<10))+int64(r.left/8)))
	for {
		buf, err := r.buffer(n)
		if err != nil {
			return err
		}
		got, err := file.f.ReadAt(buf, pos)
		if err != nil && !errors.Is(err, io.EOF) {
			return errs.Wrap(errs.Internal, "read segment", err)
		}
		buf = buf[:got]
		if f, ok := parseFrameHead(buf); ok && f.size > len(buf) && int64(f.size) <= end-pos && got == n {
			last := len(r.free) - 1 // the first frame alone is larger
			r.free[last]()
			r.free = r.free[:last]
			n = f.size
			continue
		}
		return r.parse(e, buf, pos, offset, pl.limit)
	}
}

// parse takes batches from buf, which was read at pos of e, where the batch with
// offset is.
func (r *reader) parse(e extent, buf []byte, pos, offset, limit int64) error {
	next := offset
	for len(buf) >= frameSize {
		f, _, ok := parseFrame(buf, r.l.history.seed)
		if head, fine := parseFrameHead(buf); !ok && fine && head.size > len(buf) && len(r.out.List) > 0 {
			break // cut off by the end of the buffer
		}
		if !ok || f.id != r.p.id || f.end() <= next {
			if len(r.out.List) > 0 {
				break
			}
			return r.l.damagedFrame(r.p, e, pos, offset)
		}
		if f.base >= limit {
			if len(r.out.List) == 0 && e.sparse && f.end() <= e.end {
				return nil // offsets are missing up to the limit
			}
			break
		}
		more, err := r.add(&f, buf, false)
		if err != nil {
			return r.unopened(err, f.keyID, Damage{
				File: r.l.layout.segFile(e.file, e.kind), From: pos, To: pos + int64(f.size), Partition: &r.p.id,
				FirstOffset: f.base, EndOffset: f.end(),
			})
		}
		if !more {
			break
		}
		next = f.end()
		buf, pos = buf[f.size:], pos+int64(f.size)
	}
	if len(r.out.List) == 0 {
		return r.l.damagedFrame(r.p, e, pos, offset)
	}
	if last := r.out.List[len(r.out.List)-1]; last.Base+int64(last.Count) == next && pos < e.pos+e.size {
		r.p.cursors.put(next, e.file, pos)
	}
	return nil
}

func openError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errMoved
	}
	if errors.Is(err, fs.ErrClosed) {
		return log.ErrClosed
	}
	return errs.Wrap(errs.Internal, "open segment", err)
}

// buffer returns n bytes that live until the result is released.
func (r *reader) buffer(n int) ([]byte, error) {
	b := r.l.buffers.get(n)
	size := int64(cap(*b))
	if !r.l.o.Memory.TryAcquire(size) {
		r.l.buffers.put(b)
		return nil, log.ErrOverloaded
	}
	r.free = append(r.free, func() {
		r.l.buffers.put(b)
		r.l.o.Memory.Release(size)
	})
	return (*b)[:n], nil
}

// buffers are pools of read buffers, by power of two.
type buffers struct {
	pools [32]sync.Pool
}

func (p *buffers) get(n int) *[]byte {
	class := max(bits.Len(uint(max(n, 1)-1)), 12)
	if class < len(p.pools) {
		if b, ok := p.pools[class].Get().(*[]byte); ok {
			return b
		}
	}
	b := make([]byte, 1<<class)
	return &b
}

func (p *buffers) put(b *[]byte) {
	if class := bits.Len(uint(cap(*b) - 1)); class < 24 {
		p.pools[class].Put(b)
	}
}

// cursors remember where the last reads of a partition ended, so that reading on
// needs no search.
type cursors struct {
	mu   sync.Mutex
	at   [4]cursor
	next int
}

type cursor struct {
	offset int64
	file   uint64
	pos    int64
}

func (c *cursors) put(offset int64, file uint64, pos int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at[c.next] = cursor{offset, file, pos}
	c.next = (c.next + 1) % len(c.at)
}

func (c *cursors) find(offset int64, file uint64) (pos int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cu := range c.at {
		if cu.pos > 0 && cu.offset == offset && cu.file == file {
			return cu.pos, true
		}
	}
	return 0, false
}
