package disk

import (
	"crypto/cipher"
	"errors"
	"hash/crc32"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/invariants"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// writer is the state of the one goroutine that writes the WAL.
type writer struct {
	l           *Log
	file        *walFile
	next        uint64 // LSN of the next frame
	durable     uint64 // highest LSN synced
	incarnation uint32
	leaderEpoch int32
	woken       *walFile // maintenance knows of this file

	// Of the round being built:
	now     int64 // Unix ms
	frees   bool  // the request being admitted gives space back
	chunk   *chunk
	start   int // of the round in chunk
	fill    int // where the next frame goes in chunk
	placed  []placed
	undos   []undo
	prods   []producer                     // saved by undos
	overlay map[log.PartitionID]*partition // created in this round
}

// placed is a frame of the round.
type placed struct {
	p   *partition
	f   frame
	off int // in the chunk
}

// undo takes back what one entry did to a partition's writer state.
type undo struct {
	p       *partition
	old     pstate
	prod    int   // 1 + index in prods of the producer as it was, 0 if untouched
	newProd int64 // producer id that was unknown, if added
	added   bool
	created bool
	prev    *partition // that created replaced in the overlay
}

// mark is a point of the round to go back to.
type mark struct {
	fill, placed, undos int
	next                uint64
}

// process writes reqs, in as many rounds as their size asks for, and answers
// them.
func (w *writer) process(reqs []*pending) {
	for len(reqs) > 0 {
		n := w.round(reqs)
		reqs = reqs[n:]
	}
}

// round writes as many of reqs as fit into one round, at least one, and
// returns how many.
func (w *writer) round(reqs []*pending) int {
	if w.l.latchError() != nil {
		w.answer(reqs, log.ErrReadOnly)
		return len(reqs)
	}
	room, err := w.makeRoom(roundSize + reqs[0].need)
	if err != nil {
		w.answer(reqs[:1], err)
		return 1
	}
	w.now = clock.Millis(w.l.o.Clock)
	n, used := 0, roundSize
	for n < len(reqs) && (n == 0 || used+reqs[n].need <= room) {
		used += reqs[n].need
		w.admit(reqs[n])
		n++
	}
	w.commit(reqs[:n])
	return n
}

// makeRoom readies file and chunk for a round of need bytes, and returns how
// large it may be.
func (w *writer) makeRoom(need int) (room int, err error) {
	if w.l.full.Load() && !w.hasSpace(need) {
		return 0, log.ErrNoSpace
	}
	if w.file == nil || w.file.pos > walHeadSize && w.shouldRoll(need) {
		if err := w.roll(); err != nil {
			return 0, err
		}
	}
	t := w.l.tail
	if t.room(w.file) < need {
		t.grow(w.file, w.file.pos, need)
	}
	w.chunk = t.last()
	w.start = w.chunk.used
	w.fill = w.start + roundSize
	room = min(t.room(w.file), int(max(w.l.o.WALFileBytes-w.file.pos, 0)))
	return max(room, need), nil
}

// shouldRoll reports whether another file should take a round of need bytes:
// this one is full, or grows with each round while one of full size is ready.
func (w *writer) shouldRoll(need int) bool {
	return w.file.pos+int64(need) > w.l.o.WALFileBytes || w.file.size <= w.file.pos && w.l.wals.hasSpare()
}

// hasSpace asks the file system before a write that would likely fail again.
func (w *writer) hasSpace(need int) bool {
	if w.file != nil && w.file.pos+int64(need) <= w.file.size {
		return true
	}
	free, err := w.l.o.FS.Free(w.l.layout.wal())
	return err != nil || free >= int64(need)
}

// roll goes on in another file.
func (w *writer) roll() error {
	if err := w.syncAll(); err != nil {
		return w.l.latch(err)
	}
	file, err := w.l.wals.begin(walHead{
		incarnation: w.incarnation, first: w.next, durable: w.durable, leaderEpoch: w.leaderEpoch,
	})
	if err != nil {
		if passing(err) {
			w.l.setFull(true)
			return log.ErrNoSpace
		}
		return w.l.latch(err)
	}
	w.file = file
	return nil
}

// syncAll makes everything written durable.
func (w *writer) syncAll() error {
	if w.durable+1 == w.next {
		return nil
	}
	if err := w.file.f.SyncData(); err != nil {
		return &syncError{err}
	}
	w.l.stats.syncs.Add(1)
	w.durable = w.next - 1
	return nil
}

func (w *writer) mark() mark { return mark{w.fill, len(w.placed), len(w.undos), w.next} }

// back undoes everything since m.
func (w *writer) back(m mark) {
	for i := len(w.undos) - 1; i >= m.undos; i-- {
		u := &w.undos[i]
		switch {
		case u.created && u.prev == nil:
			delete(w.overlay, u.p.id)
		case u.created:
			w.overlay[u.p.id] = u.prev
		default:
			u.p.w = u.old
		}
		if u.added {
			delete(u.p.producers, u.newProd)
		} else if u.prod > 0 {
			old := w.prods[u.prod-1]
			*u.p.producers[old.id] = old
		}
	}
	clear(w.undos[m.undos:])
	w.undos = w.undos[:m.undos]
	clear(w.placed[m.placed:])
	w.placed = w.placed[:m.placed]
	w.fill, w.next = m.fill, m.next
}

// reset forgets the round.
func (w *writer) reset() {
	clear(w.placed)
	clear(w.undos)
	w.placed, w.undos, w.prods = w.placed[:0], w.undos[:0], w.prods[:0]
	clear(w.overlay)
	w.chunk = nil
}

// place puts a frame into the round, sealed if there is a key, and applies it to
// the writer's state.
func (w *writer) place(p *partition, f frame, payload []byte, key cipher.AEAD) *frame {
	f.lsn = w.next
	f.id = p.id
	f.leaderEpoch = w.leaderEpoch
	size := frameSize + len(payload)
	if key != nil {
		size += sealOverhead
	}
	dst := w.chunk.buf[w.fill : w.fill+size]
	f.putHead(dst)
	if key != nil {
		w.l.seal.seal(dst, payload, key)
	} else {
		copy(dst[frameSize:], payload)
	}
	f.putSum(dst, w.l.history.seed)
	w.placed = append(w.placed, placed{p: p, f: f, off: w.fill})
	w.next++
	w.fill += size
	p.w.apply(&f, payload)
	return &w.placed[len(w.placed)-1].f
}

// commit writes the round, syncs it, shows it to readers and answers reqs.
func (w *writer) commit(reqs []*pending) {
	early := w.l.o.Durability == log.Written // shown before the sync
	if len(w.placed) > 0 {
		buf := w.seal()
		if err := w.write(buf); err != nil {
			w.failRound(reqs, err)
			return
		}
		st := &w.l.stats
		st.rounds.Add(1)
		st.frames.Add(int64(len(w.placed)))
		st.walBytes.Add(int64(len(buf)))
		w.l.sinceCheckpoint.Add(int64(len(buf)))
		if early {
			w.show()
		}
	}
	durable := w.answerWritten(reqs)
	if !early || len(durable) > 0 {
		// Even for a duplicate: what it repeats may only have been written so far.
		if err := w.syncAll(); err != nil {
			w.reset()
			w.failRound(durable, w.l.latch(err))
			return
		}
	}
	wrote := len(w.placed) > 0
	if wrote && !early {
		w.show()
	}
	w.reset()
	w.answer(durable, nil)
	if wrote {
		w.l.afterRound()
	}
}

// show makes the round readable.
func (w *writer) show() {
	c := w.chunk
	c.used = w.fill
	c.shown.Store(int64(c.used))
	w.l.publish(w)
}

// seal writes the round's header and returns its bytes.
func (w *writer) seal() []byte {
	buf := w.chunk.buf[w.start:w.fill]
	r := round{
		first: w.placed[0].f.lsn, frames: uint32(len(w.placed)), length: uint32(len(buf) - roundSize),
		durable: w.durable, incarnation: w.incarnation,
	}
	for i := range w.placed {
		off := w.placed[i].off
		r.bodyCRC = crc32.Update(r.bodyCRC, batch.Castagnoli, w.chunk.buf[off:off+4])
	}
	r.put(buf, w.l.history)
	invariants.Check(w.chunk.pos+int64(w.start) == w.file.pos, "tail chunk ends at %d, WAL file at %d", w.chunk.pos+int64(w.start), w.file.pos)
	return buf
}

// write puts buf at the end of the WAL. If there is no space for it, it takes
// back what was written, durably, and undoes the round: a refused round must not
// come back after a crash. Any other failure latches.
func (w *writer) write(buf []byte) error {
	_, err := w.file.f.WriteAt(buf, w.file.pos)
	if err == nil {
		w.file.pos += int64(len(buf))
		if w.file.size < w.file.pos {
			w.l.wals.bytes.Add(w.file.pos - w.file.size)
			w.file.size = w.file.pos
		}
		w.l.setFull(false)
		return nil
	}
	if !passing(err) {
		w.reset()
		return w.l.latch(errs.Wrap(errs.Internal, "write WAL", err))
	}
	w.l.setFull(true)
	terr := w.file.f.Truncate(w.file.pos)
	if terr == nil {
		terr = w.file.f.SyncData()
	}
	if terr != nil {
		w.reset()
		return w.l.latch(errors.Join(err, terr))
	}
	w.l.wals.bytes.Add(w.file.pos - w.file.size)
	w.file.size = w.file.pos
	w.back(mark{fill: w.start + roundSize, next: w.placed[0].f.lsn})
	w.reset()
	return log.ErrNoSpace
}

// answerWritten acknowledges what needs no sync, up to the first request that does,
// and returns the rest: acknowledgements keep the order of offsets.
func (w *writer) answerWritten(reqs []*pending) []*pending {
	for i, p := range reqs {
		if d := p.req.Durability; d == log.Durable || d == log.Default && w.l.o.Durability != log.Written {
			return reqs[i:]
		}
		w.answer(reqs[i:i+1], nil)
	}
	return nil
}

// answer calls done. A non-nil err is for every entry that has none yet.
func (w *writer) answer(reqs []*pending, err error) {
	for _, p := range reqs {
		if err != nil {
			p.fail(err)
		}
		w.l.o.Memory.Release(p.held)
		p.done(p.results)
	}
}

// failRound answers the requests of a round that was not written. What they were
// to be told may rest on entries of that round that did not happen: only what
// is wrong with an entry by itself stands.
func (w *writer) failRound(reqs []*pending, err error) {
	for _, p := range reqs {
		for i := range p.results {
			if !p.refused && w.l.checkEntry(&p.req.Entries[i]) == nil {
				p.results[i] = log.Result{Err: err}
			}
		}
	}
	w.answer(reqs, err)
}

// fail gives err to every entry without one.
func (p *pending) fail(err error) {
	for i := range p.results {
		if p.results[i].Err == nil {
			p.results[i] = log.Result{Err: err}
		}
	}
}
