package disk

import (
	"errors"
	"fmt"
	"io"

	"thalweg/internal/errs"
)

// sparsePacks are the packs of which less than a quarter is still needed. Their
// runs move to the next pack.
func (l *Log) sparsePacks() map[uint64]bool {
	var out map[uint64]bool
	for id, fi := range l.m.files {
		if fi.kind == kindPack && fi.live > 0 && fi.live < fi.size/4 {
			if out == nil {
				out = map[uint64]bool{}
			}
			out[id] = true
		}
	}
	return out
}

// packedRun is a run on its way into a pack.
type packedRun struct {
	p    *partition
	e    extent
	old  extent // that e replaces, if it has a size
	upTo int64
}

// writePack copies what the partitions of small have in the WAL, and the runs in
// packs that are given up, to one new pack, syncs it and makes it readable.
func (l *Log) writePack(small []captured, moving map[uint64]bool) (runs int, err error) {
	if len(small) == 0 && len(moving) == 0 {
		return 0, nil
	}
	file, err := l.newFile(kindPack)
	if err != nil {
		return 0, err
	}
	defer l.files.put(file)
	w := l.newRun(file, segHeadSize)
	w.pace = l.o.SyncBytes // appends must not wait behind the sync of a large pack
	defer w.done()
	done, err := l.fillPack(w, small, moving)
	if err == nil {
		if err = file.f.SyncData(); err != nil {
			err = &syncError{err}
		}
	}
	if err != nil {
		size := l.m.files[file.id].size
		delete(l.m.files, file.id)
		l.m.segBytes.Add(-size)
		return 0, fmt.Errorf("write pack: %w", errors.Join(err, l.files.remove(file.id, kindPack)))
	}
	l.stats.segmentSyncs.Add(1)
	l.noteFile(file.id, kindPack, w.pos)
	for i := range done {
		r := &done[i]
		r.p.mu.Lock()
		switch {
		case r.old.size > 0:
			r.p.replaceExtent(r.old, r.e)
			r.p.moved = true
		case r.e.size > 0:
			r.p.addExtent(r.e)
			r.p.setFlushed(r.upTo)
		default:
			r.p.setFlushed(r.upTo)
		}
		r.p.trimRefs(l.tail)
		r.p.mu.Unlock()
	}
	return len(done), nil
}

// fillPack writes the runs, without making them known.
func (l *Log) fillPack(w *runWriter, small []captured, moving map[uint64]bool) (done []packedRun, err error) {
	if len(moving) > 0 {
		for _, p := range l.all() {
			for _, old := range p.extentsIn(moving) {
				e, err := l.copyRun(w, p, old)
				if err != nil {
					return nil, err
				}
				done = append(done, packedRun{p: p, e: e, old: old})
			}
		}
	}
	for i := range small {
		p, upTo := small[i].p, small[i].v.end
		if l.closing.Load() {
			return nil, errStopping
		}
		p.mu.RLock()
		refs := p.dirtyRefs(upTo)
		p.mu.RUnlock()
		run := packedRun{p: p, upTo: upTo}
		for j := range refs {
			if err := w.add(p, &refs[j], &run.e); err != nil {
				return nil, err
			}
		}
		done = append(done, run)
	}
	return done, w.flushBuf()
}

// copyRun copies an extent of p as it is to where w stands.
func (l *Log) copyRun(w *runWriter, p *partition, old extent) (extent, error) {
	src, err := l.files.get(old.file, old.kind)
	if err != nil {
		return extent{}, errs.Wrap(errs.Internal, "open pack", err)
	}
	defer l.files.put(src)
	e := old
	e.kind, e.file, e.pos = w.file.kind, w.file.id, w.pos+int64(len(w.buf))
	n := len(w.buf)
	w.buf = append(w.buf, make([]byte, old.size)...)
	if _, err := src.f.ReadAt(w.buf[n:], old.pos); err != nil && !errors.Is(err, io.EOF) {
		return extent{}, errs.Wrap(errs.Internal, "read pack", err)
	}
	for next, b := old.base, w.buf[n:]; len(b) > 0; {
		f, payload, ok := parseFrame(b, l.history.seed)
		if !ok || f.id != p.id || f.base < next {
			// Moved as it is: the damage stays where readers and verify find it.
			break
		}
		w.note = append(w.note, noted{indexEntry{e.pos + old.size - int64(len(b)), f.base, f.arrival, stampOf(payload)}, f.size})
		next, b = f.end(), b[f.size:]
	}
	if len(w.buf) >= pieceSize {
		return e, w.flushBuf()
	}
	return e, nil
}

// replaceExtent puts e where old is; mu is held.
func (p *partition) replaceExtent(old, e extent) {
	if p.open == old {
		p.open = e
		return
	}
	es := append([]extent(nil), p.extents...)
	for i := range es {
		if es[i] == old {
			es[i] = e
		}
	}
	p.extents = es
}

// mergeRuns copies the runs at the end of p that lie in packs to its segment.
func (l *Log) mergeRuns(p *partition) error {
	p.mu.RLock()
	es := p.allExtents()
	n := p.packRuns()
	p.mu.RUnlock()
	kept, runs := es[:len(es)-n], es[len(es)-n:]
	s, err := l.segmentFor(p, runs[0].first)
	if err != nil {
		return err
	}
	if err := l.holdOpen(s); err != nil {
		return err
	}
	w := l.newRun(s.file, s.size)
	defer w.done()
	var merged []extent
	for _, old := range runs {
		if l.closing.Load() {
			return errStopping
		}
		e, err := l.copyRun(w, p, old)
		if err != nil {
			return err
		}
		if k := len(merged); k > 0 && merged[k-1].end == e.base {
			m := &merged[k-1]
			m.size += e.size
			m.join(e)
		} else {
			merged = append(merged, e)
		}
	}
	if err := w.flushBuf(); err != nil {
		return err
	}
	if s.first < 0 {
		s.first = merged[0].first
	}
	s.unsynced += w.pos - s.size
	s.size = w.pos
	l.noteFile(s.id, kindSegment, s.size)
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(merged) - 1
	p.extents = append(kept[:len(kept):len(kept)], merged[:last]...)
	p.open = merged[last]
	p.moved = true
	if p.index != nil {
		for _, e := range w.note {
			p.index.add(e)
		}
	}
	return nil
}
