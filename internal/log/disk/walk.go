package disk

import (
	"errors"
	"fmt"
	"io"

	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/vfs"
)

// window reads a file front to back through a buffer.
type window struct {
	f    vfs.File
	size int64 // where to stop
	buf  []byte
	off  int64 // of buf in the file
	step int   // bytes to read at least
	err  error // the first failure other than the end of the file
}

// at returns n bytes from pos, valid until the next call, or nil if there are
// not so many or a read failed.
func (w *window) at(pos int64, n int) []byte {
	if pos >= w.off && pos+int64(n) <= w.off+int64(len(w.buf)) {
		i := int(pos - w.off)
		return w.buf[i : i+n]
	}
	if w.err != nil || pos+int64(n) > w.size {
		return nil
	}
	want := int(min(int64(max(n, w.step)), w.size-pos))
	if cap(w.buf) < want {
		w.buf = make([]byte, want)
	}
	w.buf = w.buf[:want]
	got, err := w.f.ReadAt(w.buf, pos)
	w.buf, w.off = w.buf[:got], pos
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
		return nil
	}
	if got < n {
		return nil
	}
	return w.buf[:n]
}

// rest returns what the buffer holds from pos on, at least one byte, or nil at
// the end.
func (w *window) rest(pos int64) []byte {
	if w.at(pos, 1) == nil {
		return nil
	}
	return w.buf[pos-w.off:]
}

// frameAt reads and checks the frame at pos, which must end at or before end.
func (w *window) frameAt(pos, end int64, seed uint32) (f frame, b []byte, ok bool) {
	if b = w.at(pos, frameSize); b == nil {
		return f, nil, false
	}
	if f, ok = parseFrameHead(b); !ok || pos+int64(f.size) > end {
		return f, nil, false
	}
	if b = w.at(pos, f.size); b == nil {
		return f, nil, false
	}
	f, _, ok = parseFrame(b, seed)
	return f, b, ok
}

// walkFunc gets a frame, the bytes it is in, valid until it returns, and where it
// is. It tells whether to go on.
type walkFunc func(f *frame, b []byte, pos int64) bool

// walkFrames calls fn for the frames of e from pos on, where the batch with
// offset next should be, until fn returns false or e ends. At a damaged frame it
// returns a Corrupt error that names the offsets.
func (l *Log) walkFrames(id log.PartitionID, e extent, pos, next int64, fn walkFunc) error {
	file, err := l.files.get(e.file, e.kind)
	if err != nil {
		return openError(err)
	}
	defer l.files.put(file)
	b := l.buffers.get(int(min(e.pos+e.size-pos, 64<<10)))
	defer l.buffers.put(b)
	end := e.pos + e.size
	w := window{f: file.f, size: end, buf: (*b)[:0], step: cap(*b)}
	for pos < end {
		f, whole, ok := w.frameAt(pos, end, l.history.seed)
		if w.err != nil {
			return errs.Wrap(errs.Internal, "read segment", w.err)
		}
		if !ok || f.id != id || f.end() <= next {
			d := l.frameDamage(id, e, pos, next, file.f)
			l.damaged(d)
			return d.err()
		}
		if !fn(&f, whole, pos) {
			return nil
		}
		next = f.end()
		pos += int64(f.size)
	}
	return nil
}

// walkExtent is walkFrames from the batch that holds offset.
func (l *Log) walkExtent(p *partition, e extent, offset int64, fn func(f *frame) bool) error {
	p.mu.RLock()
	var ix *index
	if p.indexed == e.file {
		ix = p.index
	}
	p.mu.RUnlock()
	pos, err := l.locate(p, e, ix, offset)
	if err != nil {
		return err
	}
	return l.walkFrames(p.id, e, pos, offset, func(f *frame, _ []byte, _ int64) bool { return fn(f) })
}

// locate returns the position of the batch in e that holds offset. ix is the
// index of e's file if the caller has it.
func (l *Log) locate(p *partition, e extent, ix *index, offset int64) (int64, error) {
	if offset == e.base {
		return e.pos, nil
	}
	if pos, ok := p.cursors.find(offset, e.file); ok && pos >= e.pos && pos < e.pos+e.size {
		return pos, nil
	}
	pos, next, err := l.nearby(p, e, ix, func(ix *index) (indexEntry, bool) { return ix.before(offset) })
	if err != nil {
		return 0, err
	}
	found := int64(-1)
	err = l.walkOver(p, e, pos, next, offset, func(f *frame, _ []byte, at int64) bool {
		if f.end() > offset {
			found = at
		}
		return found < 0
	})
	if err == nil && found < 0 {
		err = corrupt("read partition "+p.id.String(), fmt.Sprintf("offset %d is not in its extent", offset), nil)
	}
	return found, err
}

// walkOver is walkFrames, but goes on after damage that lies before offset.
func (l *Log) walkOver(p *partition, e extent, pos, next, offset int64, fn walkFunc) error {
	for {
		err := l.walkFrames(p.id, e, pos, next, fn)
		var d *damageError
		if !errors.As(err, &d) || d.EndOffset > offset || d.To >= e.pos+e.size {
			return err
		}
		pos, next = d.To, d.EndOffset
	}
}

// nearby uses the index of e's file to find where to begin a search.
func (l *Log) nearby(p *partition, e extent, ix *index, pick func(*index) (indexEntry, bool)) (pos, next int64, err error) {
	if e.kind == kindPack {
		return e.pos, e.base, nil
	}
	if ix == nil {
		if ix, err = l.indexOf(p, e.file); err != nil {
			return 0, 0, err
		}
	}
	if ent, ok := pick(ix); ok && ent.pos >= e.pos && ent.pos < e.pos+e.size && ent.base >= e.base {
		return ent.pos, ent.base, nil
	}
	return e.pos, e.base, nil
}

// frameDamage describes the damage at pos of e, where the batch with offset next
// should be: it reaches to the next good frame of the partition.
func (l *Log) frameDamage(id log.PartitionID, e extent, pos, next int64, f vfs.File) Damage {
	d := Damage{
		File: l.layout.segFile(e.file, e.kind), From: pos, To: e.pos + e.size, Partition: &id,
		FirstOffset: next, EndOffset: e.end, Reason: "frame does not match its checksum",
	}
	w := window{f: f, size: e.pos + e.size, step: 256 << 10}
	for at := pos + 1; at+frameSize <= e.pos+e.size; at++ {
		b := w.at(at, frameSize)
		if b == nil {
			break
		}
		h, ok := parseFrameHead(b)
		if !ok || h.id != id || h.base < next || h.end() > e.end {
			continue
		}
		if g, _, ok := w.frameAt(at, e.pos+e.size, l.history.seed); ok {
			d.To, d.EndOffset = at, g.base
			break
		}
	}
	return d
}

// damagedFrame reports the damage at pos of e and returns it as an error.
func (l *Log) damagedFrame(p *partition, e extent, pos, next int64) error {
	file, err := l.files.get(e.file, e.kind)
	if err != nil {
		return openError(err)
	}
	defer l.files.put(file)
	d := l.frameDamage(p.id, e, pos, next, file.f)
	l.damaged(d)
	return d.err()
}
