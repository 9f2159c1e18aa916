package disk

import (
	"errors"
	"fmt"
	"io"

	"thalweg/internal/errs"
	"thalweg/internal/log"
)

// pieceSize is about how much is copied to a segment in one write.
const pieceSize = 1 << 20

// runWriter copies frames from the WAL to a segment or pack, in large writes,
// and makes an extent of each run.
type runWriter struct {
	l    *Log
	file *segFile
	pos  int64 // of buf[0] in the file
	buf  []byte
	note []noted // of every frame added
	// pace syncs the file after so many bytes, if not 0; unsynced counts.
	pace, unsynced int64
}

// flushBuf writes what has been gathered.
func (w *runWriter) flushBuf() error {
	if len(w.buf) == 0 {
		return nil
	}
	if _, err := w.file.f.WriteAt(w.buf, w.pos); err != nil {
		return fmt.Errorf("write segment: %w", err)
	}
	w.pos += int64(len(w.buf))
	w.unsynced += int64(len(w.buf))
	w.buf = w.buf[:0]
	if w.pace == 0 || w.unsynced < w.pace {
		return nil
	}
	w.unsynced = 0
	if err := w.file.f.SyncData(); err != nil {
		return fmt.Errorf("sync segment: %w", &syncError{err})
	}
	w.l.stats.segmentSyncs.Add(1)
	return nil
}

// add copies one frame and extends e by it.
func (w *runWriter) add(p *partition, r *ref, e *extent) error {
	at := w.pos + int64(len(w.buf))
	var err error
	if w.buf, err = w.l.appendFrame(w.buf, p.id, r); err != nil {
		return err
	}
	if e.size == 0 {
		*e = extent{kind: w.file.kind, file: w.file.id, pos: at, base: r.base, first: r.arrival, stamp: log.NoTimestamp, stamped: true}
	}
	e.size += int64(r.size)
	e.end, e.last = r.end(), r.arrival
	e.bytes += r.bytes()
	e.stamp = max(e.stamp, r.stamp)
	w.note = append(w.note, noted{indexEntry{at, r.base, r.arrival, r.stamp}, int(r.size)})
	if len(w.buf) >= pieceSize {
		return w.flushBuf()
	}
	return nil
}

// appendFrame appends a frame of the WAL to b, from the tail or from disk.
func (l *Log) appendFrame(b []byte, id log.PartitionID, r *ref) ([]byte, error) {
	if c := l.tail.pin(r.file, r.pos); c != nil {
		b = append(b, c.at(r.pos, int(r.size))...)
		c.unpin()
		return b, nil
	}
	n := len(b)
	b = append(b, make([]byte, r.size)...)
	if _, err := r.file.f.ReadAt(b[n:], r.pos); err != nil && !errors.Is(err, io.EOF) {
		return b[:n], errs.Wrap(errs.Internal, "read WAL", err)
	}
	if f, _, ok := parseFrame(b[n:], l.history.seed); !ok || f.id != id || f.base != r.base {
		l.damaged(r.damage(id))
		return b[:n], corrupt("flush partition "+id.String(), "WAL frame does not match its checksum", nil)
	}
	return b, nil
}

// segmentFor returns the segment that p's next flush goes to, of a batch that
// arrived at arrival.
func (l *Log) segmentFor(p *partition, arrival int64) (*segment, error) {
	if p.seg != nil && !l.segmentFull(p, arrival) {
		return p.seg, nil
	}
	l.closeSegment(p)
	file, err := l.newFile(kindSegment)
	if err != nil {
		return nil, err
	}
	p.seg = &segment{id: file.id, size: segHeadSize, first: -1, file: file, unsynced: segHeadSize}
	l.m.unsynced = append(l.m.unsynced, p.seg)
	p.mu.Lock()
	p.index, p.indexed = &index{stride: l.o.IndexBytes}, file.id
	p.mu.Unlock()
	return p.seg, nil
}

// newFile makes a segment or pack with its header, and pins it.
func (l *Log) newFile(kind uint32) (*segFile, error) {
	id := l.m.nextFile
	file, err := l.files.create(id, kind)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	if _, err := file.f.WriteAt(encodeSegHead(id, kind, l.history), 0); err != nil {
		l.files.put(file)
		return nil, fmt.Errorf("create segment: %w", errors.Join(err, l.files.remove(id, kind)))
	}
	l.m.nextFile++
	l.m.newFiles = true
	l.noteFile(id, kind, segHeadSize)
	return file, nil
}

// noteFile keeps account of a file's size.
func (l *Log) noteFile(id uint64, kind uint32, size int64) {
	fi := l.m.files[id]
	l.m.segBytes.Add(size - fi.size)
	fi.kind, fi.size = kind, size
	l.m.files[id] = fi
}

// segmentFull reports whether p's open segment should take no more: it is large
// enough, or old enough that retention could not free it in reasonable steps.
func (l *Log) segmentFull(p *partition, arrival int64) bool {
	p.mu.RLock()
	s, cfg := p.seg, p.v.cfg
	p.mu.RUnlock()
	limit := l.o.SegmentBytes
	if cfg.MaxBytes > 0 {
		limit = min(limit, max(cfg.MaxBytes/8, l.o.FlushBytes))
	}
	return s.size >= limit || cfg.MaxAge > 0 && s.first >= 0 && arrival-s.first >= max(cfg.MaxAge.Milliseconds()/8, 1)
}

// closeSegment ends p's open segment. Its index is written at the next checkpoint.
func (l *Log) closeSegment(p *partition) {
	if p.seg == nil {
		return
	}
	p.mu.Lock()
	if p.index != nil {
		l.files.keepIndex(p.indexed, p.index)
		l.m.closedIx = append(l.m.closedIx, p.indexed)
	}
	p.index, p.indexed = nil, 0
	p.mu.Unlock()
	p.seg = nil
}

// flush copies p's batches below upTo to its segment, without syncing it, and
// lets readers find them there.
func (l *Log) flush(p *partition, upTo int64) error {
	p.mu.RLock()
	refs := p.dirtyRefs(upTo)
	p.mu.RUnlock()
	for len(refs) > 0 {
		if l.closing.Load() {
			return errStopping
		}
		s, err := l.segmentFor(p, refs[0].arrival)
		if err != nil {
			return err
		}
		if err := l.holdOpen(s); err != nil {
			return err
		}
		n, e, err := l.flushPiece(p, s, refs)
		if err != nil {
			return err
		}
		refs = refs[n:]
		if s.first < 0 {
			s.first = e.first
		}
		s.size += e.size
		s.unsynced += e.size
		l.noteFile(s.id, kindSegment, s.size)
		p.mu.Lock()
		p.addExtent(e)
		p.trimRefs(l.tail)
		p.mu.Unlock()
		if s.unsynced >= l.o.SyncBytes {
			if _, err := l.syncDirty(l.o.SyncBytes); err != nil {
				return err
			}
		}
	}
	p.mu.Lock()
	p.setFlushed(min(upTo, p.v.end)) // trimmed batches are not copied
	p.trimRefs(l.tail)
	p.mu.Unlock()
	return nil
}

// holdOpen keeps s open until it is synced.
func (l *Log) holdOpen(s *segment) error {
	if s.file != nil {
		return nil
	}
	if len(l.m.unsynced) >= max(l.o.OpenFiles/2, 1) {
		if err := l.syncFirst(); err != nil {
			return err
		}
	}
	file, err := l.files.get(s.id, kindSegment)
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	s.file = file
	l.m.unsynced = append(l.m.unsynced, s)
	return nil
}

// flushPiece writes the first of refs to s, about pieceSize of them, and returns
// how many.
func (l *Log) flushPiece(p *partition, s *segment, refs []ref) (n int, e extent, err error) {
	w := l.newRun(s.file, s.size)
	defer w.done()
	for n < len(refs) && e.size < min(pieceSize, l.o.SegmentBytes/8) {
		if err := w.add(p, &refs[n], &e); err != nil {
			return 0, extent{}, err
		}
		n++
	}
	if err := w.flushBuf(); err != nil {
		return 0, extent{}, err
	}
	p.mu.RLock()
	ix := p.index
	p.mu.RUnlock()
	if ix == nil {
		ix = l.files.index(s.id) // made for a reader after a restart
	}
	if ix != nil {
		for _, e := range w.note {
			ix.add(e)
		}
	}
	return n, e, nil
}

// newRun begins copying to pos of file, in memory that is used again.
func (l *Log) newRun(file *segFile, pos int64) *runWriter {
	if l.m.piece == nil {
		l.m.piece = make([]byte, 0, pieceSize+pieceSize/4)
	}
	return &runWriter{l: l, file: file, pos: pos, buf: l.m.piece[:0], note: l.m.note[:0]}
}

// done gives the memory back, unless a large batch made it large.
func (w *runWriter) done() {
	w.l.m.note = w.note[:0]
	if cap(w.buf) <= 4*pieceSize {
		w.l.m.piece = w.buf[:0]
	}
}
