package disk

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/log/compact"
)

// compaction is one pass over one partition.
type compaction struct {
	settled
	l     *Log
	p     *partition
	pass  *compact.Pass
	pause func() error

	opened, made  []byte // memory for one frame, opened or rewritten
	sincePause    int64  // bytes read
	read, written int64
}

// passMemory is what a pass takes beside its keys: what it gathers to write, and
// a batch as it is stored, opened and rewritten.
const passMemory = 8 << 20

// worked counts bytes, and pauses after every piece.
func (c *compaction) worked(n int) error {
	c.read += int64(n)
	if c.sincePause += int64(n); c.sincePause < pieceSize {
		return nil
	}
	c.sincePause = 0
	if err := c.l.mayMaintain(); err != nil {
		return err
	}
	err := c.pause()
	c.l.m.pieceBegan = c.l.o.Clock.Now()
	return err
}

// batchOf is the batch of the frame f in b, opened if it is sealed.
func (c *compaction) batchOf(f *frame, b []byte) ([]byte, error) {
	if f.keyID == 0 {
		return b[frameSize:f.size:f.size], nil
	}
	c.opened = append(c.opened[:0], b[:f.size]...)
	payload, err := c.l.seal.open(c.opened, f.keyID)
	if errors.Is(err, errUnopened) {
		return nil, corrupt("compact partition "+c.p.id.String(), fmt.Sprintf("batch at %d: %s", f.base, unopenedReason(f.keyID)), nil)
	}
	return payload, err
}

// note takes the keys of what is not compacted yet.
func (c *compaction) note() error {
	for _, e := range c.in[extentAt(c.in, c.pass.UpTo()):] {
		more := true
		var failed error
		err := c.l.walkFrames(c.p.id, e, e.pos, e.base, func(f *frame, b []byte, _ int64) bool {
			if f.end() <= c.pass.UpTo() {
				return true
			}
			if more = f.base < c.stable && f.arrival <= c.before; !more {
				return false
			}
			var payload []byte
			if payload, failed = c.batchOf(f, b); failed != nil {
				return false
			}
			more = c.pass.Note(payload)
			failed = c.worked(f.size)
			return more && failed == nil
		})
		if err = cmp.Or(err, failed); err != nil || !more {
			return err
		}
	}
	return nil
}

// rewriting is a group of extents on its way into one segment.
type rewriting struct {
	*compaction
	w       runWriter
	in      []extent
	out     []extent // at most two: what was compacted, and the rest
	index   *index
	gone    map[int64]bool // markers that went, by offset
	changed bool
}

// rewrite puts what compaction leaves of in to a segment of its own, syncs it, and
// lets readers find it there.
func (c *compaction) rewrite(in []extent) error {
	file, err := c.l.newFile(kindSegment)
	if err != nil {
		return err
	}
	defer c.l.files.put(file)
	c.l.m.making = file.id
	defer func() { c.l.m.making = 0 }()
	r := &rewriting{
		compaction: c, in: in, index: &index{stride: c.l.o.IndexBytes}, gone: map[int64]bool{},
		w: runWriter{l: c.l, file: file, pos: segHeadSize, pace: c.l.o.SyncBytes},
	}
	err = r.fill()
	if err == nil && r.changed {
		if err = file.f.SyncData(); err != nil {
			err = fmt.Errorf("sync segment: %w", &syncError{err})
		}
	}
	if err == nil && r.changed && r.install() {
		c.l.stats.segmentSyncs.Add(1)
		c.l.files.keepIndex(file.id, r.index)
		c.l.m.closedIx = append(c.l.m.closedIx, file.id)
		c.l.m.reclaim.Store(true)
		c.written += r.w.pos
		return nil
	}
	size := c.l.m.files[file.id].size
	delete(c.l.m.files, file.id)
	c.l.m.segBytes.Add(-size)
	if err == nil && r.changed {
		err = errMoved
	}
	return errors.Join(err, c.l.files.remove(file.id, kindSegment))
}

// fill writes the segment.
func (r *rewriting) fill() error {
	end := r.in[len(r.in)-1].end
	for _, e := range r.in {
		var failed error
		err := r.l.walkFrames(r.p.id, e, e.pos, e.base, func(f *frame, b []byte, _ int64) bool {
			if f.end() > r.start {
				// A reader gets as far as the offset that nothing is missing from.
				failed = r.frame(f, b, f.end() == end || f.end() == r.pass.UpTo())
			} else {
				r.changed = true
			}
			if failed == nil {
				failed = r.worked(f.size)
			}
			return failed == nil
		})
		if err = cmp.Or(err, failed); err != nil {
			return err
		}
	}
	return r.flush()
}

// frame writes what is left of one frame.
func (r *rewriting) frame(f *frame, b []byte, last bool) error {
	upTo := r.pass.UpTo()
	if f.base >= upTo {
		return r.add(f, b[:f.size])
	}
	payload, err := r.batchOf(f, b)
	if err != nil {
		return err
	}
	switch v, out := r.pass.Filter(payload, last); v {
	case compact.Keep:
		return r.add(f, b[:f.size])
	case compact.Drop:
		r.changed = true
		if h, err := batch.ParseHeader(payload); err == nil && h.Attributes&batch.Control != 0 {
			r.gone[f.base] = true
		}
		return nil
	default:
		r.changed = true
		return r.replace(f, out)
	}
}

// replace writes f with another batch.
func (r *rewriting) replace(f *frame, payload []byte) error {
	g := *f
	size := frameSize + len(payload)
	if f.keyID != 0 {
		size += sealOverhead
	}
	b := slices.Grow(r.made[:0], size)[:size]
	r.made = b
	g.putHead(b)
	if f.keyID != 0 {
		key, err := r.l.seal.cipher(f.keyID)
		if err != nil {
			return err
		}
		r.l.seal.seal(b, payload, key)
	} else {
		copy(b[frameSize:], payload)
	}
	g.putSum(b, r.l.history.seed)
	return r.add(&g, b)
}

// add writes one frame, in the extent that it belongs to.
func (r *rewriting) add(f *frame, b []byte) error {
	at := r.w.pos + int64(len(r.w.buf))
	n := len(r.out)
	if n == 0 || n == 1 && f.end() > r.pass.UpTo() && r.out[0].end <= r.pass.UpTo() {
		// What is to be compacted yet is told apart, by its arrivals and its bytes.
		base := r.in[0].base
		if n > 0 {
			base = r.out[0].end
		}
		r.out = append(r.out, extent{kind: kindSegment, sparse: true, file: r.w.file.id, pos: at, base: base, first: f.arrival,
			stamp: log.NoTimestamp, stamped: true})
		n++
	}
	e := &r.out[n-1]
	e.size += int64(len(b))
	e.end, e.last = f.end(), f.arrival
	e.bytes += int64(len(b)) - frameSize
	stamp := stampOf(b[frameSize:])
	e.stamp = max(e.stamp, stamp)
	r.index.add(noted{indexEntry{at, f.base, f.arrival, stamp}, len(b)})
	r.w.buf = append(r.w.buf, b...)
	if len(r.w.buf) >= pieceSize {
		return r.flush()
	}
	return nil
}

func (r *rewriting) flush() error {
	if err := r.w.flushBuf(); err != nil {
		return err
	}
	r.l.noteFile(r.w.file.id, kindSegment, r.w.pos)
	return nil
}

// install puts the new extents where the old are. It reports false if they are not
// there any more: the partition was trimmed or deleted meanwhile.
func (r *rewriting) install() bool {
	p := r.p
	p.mu.Lock()
	defer p.mu.Unlock()
	at := slices.Index(p.extents, r.in[0])
	n := len(r.in)
	if p.v.gone || at < 0 || at+n > len(p.extents) || !slices.Equal(p.extents[at:at+n], r.in) {
		return false
	}
	p.extents = slices.Concat(p.extents[:at], r.out, p.extents[at+n:])
	p.moved = true
	p.passes++
	// What the tail still holds of it is as it was.
	end := r.out[len(r.out)-1].end
	if p.refs = p.refs[p.refAt(end):]; len(p.refs) == 0 {
		p.refs = nil
	}
	if len(r.gone) > 0 {
		p.txns.aborted = slices.DeleteFunc(slices.Clone(p.txns.aborted), func(a log.AbortedTxn) bool { return r.gone[a.LastOffset] })
	}
	return true
}
