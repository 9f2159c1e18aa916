package disk

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"

	"thalweg/internal/clock"
	"thalweg/internal/log"
)

// capture is the state of everything that changed, at one LSN.
type capture struct {
	lsn         uint64
	since       int64 // WAL bytes that the checkpoint will cover
	incarnation uint32
	leaderEpoch int32
	parts       []captured
	deleted     []deletion
}

// captured is one partition in a capture.
type captured struct {
	p          *partition
	v          pstate
	producers  []producer
	aborted    []log.AbortedTxn
	hasAborted bool
}

// checkpoint moves everything written so far to segments and packs, says so in
// the manifest, and frees WAL files. With full it also writes the manifest anew.
// stepMu is held.
func (l *Log) checkpoint(full bool) error {
	began := l.o.Clock.Now()
	m := &l.m
	m.reclaim.Store(false)
	m.reclaimable = 0
	full = full || m.man.size > max(l.o.ManifestBytes, 4*m.man.snapshot)
	moving := l.sparsePacks()
	c, err := l.captureState(full, moving)
	if err != nil {
		return err
	}
	info := CheckpointInfo{LSN: c.lsn, Partitions: len(c.parts), Snapshot: full}
	if info.Packed, err = l.moveDirty(c, moving); err != nil {
		return err
	}
	if info.Synced, err = l.syncSegments(); err != nil {
		return err
	}
	if err := l.writeEdit(c, full, 0); err != nil {
		return err
	}
	l.checkpointed(c)
	if err := l.freeFiles(); err != nil {
		return err
	}
	keep := int(max(l.o.CheckpointBytes/l.o.WALFileBytes, 1)) // as many as the next checkpoint frees
	if l.State().Full {
		keep = 0
		if err := l.wals.trimFree(); err != nil {
			return err
		}
	}
	if err := l.wals.release(c.lsn, keep); err != nil {
		return err
	}
	l.q.block(false)
	info.Took = l.o.Clock.Now().Sub(began)
	l.stats.checkpoints.Add(1)
	l.stats.checkpointNanos.Store(int64(info.Took))
	if l.o.Events.Checkpoint != nil {
		l.o.Events.Checkpoint(info)
	}
	return nil
}

// captureState takes the state between two rounds: that of every partition that
// changed since the last checkpoint, has extents to move, or with full of all.
func (l *Log) captureState(full bool, moving map[uint64]bool) (*capture, error) {
	all := l.all()
	extra := map[*partition]bool{}
	if len(moving) > 0 {
		for _, p := range all {
			if len(p.extentsIn(moving)) > 0 {
				extra[p] = true
			}
		}
	}
	var c *capture
	var err error
	ok := l.onWriter(func() { c, err = l.w.capture(full, extra) })
	if !ok {
		return nil, errStopping
	}
	return c, err
}

// capture is the part of captureState that the writer does.
func (w *writer) capture(full bool, extra map[*partition]bool) (*capture, error) {
	l := w.l
	if err := l.latchError(); err != nil {
		return nil, err // a sync now would prove nothing
	}
	if err := w.syncAll(); err != nil {
		return nil, err
	}
	since := l.m.checkpoint.Load()
	expire := clock.Millis(l.o.Clock) - l.o.ProducerExpiry.Milliseconds()
	c := &capture{lsn: w.durable, since: l.sinceCheckpoint.Load(), incarnation: w.incarnation, leaderEpoch: w.leaderEpoch}
	l.mu.RLock()
	c.deleted = slices.Clone(l.deleted)
	l.mu.RUnlock()
	for _, p := range l.all() {
		if !full && p.changedLSN <= since && !p.moved && !extra[p] {
			continue
		}
		cp := captured{p: p, v: p.v, hasAborted: full || p.moved || p.txns.abortedLSN > since, aborted: p.txns.aborted}
		for _, pr := range p.producers {
			if full || pr.lsn > since {
				cp.producers = append(cp.producers, *pr)
			}
		}
		p.forgetProducers(expire, l.o.MaxProducers) // the manifest has how they ended
		slices.SortFunc(cp.producers, func(a, b producer) int { return cmp.Compare(a.id, b.id) })
		c.parts = append(c.parts, cp)
	}
	return c, nil
}

// extentsIn returns p's extents in the given files.
func (p *partition) extentsIn(files map[uint64]bool) []extent {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []extent
	for _, e := range p.allExtents() {
		if files[e.file] {
			out = append(out, e)
		}
	}
	return out
}

// moveDirty copies what c covers out of the WAL: large amounts to segments, the
// rest to one pack. It returns the number of runs in the pack.
func (l *Log) moveDirty(c *capture, moving map[uint64]bool) (packed int, err error) {
	var small []captured
	for i := range c.parts {
		cp := &c.parts[i]
		p := cp.p
		p.mu.Lock()
		p.dropExtents(cp.v.start)
		var dirty int64
		for _, r := range p.dirtyRefs(cp.v.end) {
			dirty += int64(r.size)
		}
		merge := p.packRuns() > l.o.PackRuns
		p.mu.Unlock()
		switch {
		case merge:
			if err := l.mergeRuns(p); err != nil {
				return 0, err
			}
			fallthrough
		case dirty == 0, dirty >= l.o.FlushBytes:
			if err := l.flush(p, cp.v.end); err != nil {
				return 0, err
			}
		default:
			small = append(small, *cp)
		}
	}
	return l.writePack(small, moving)
}

// dropExtents forgets what lies wholly below start; mu is held.
func (p *partition) dropExtents(start int64) {
	p.extents = p.extents[extentAt(p.extents, start):]
	if len(p.extents) > 0 {
		return
	}
	p.extents = nil
	if p.open.size > 0 && p.open.end <= start {
		p.open = extent{}
	}
}

// packRuns is how many extents at the end lie in packs; mu is held.
func (p *partition) packRuns() int {
	n := 0
	if p.open.size > 0 {
		if p.open.kind != kindPack {
			return 0
		}
		n++
	}
	for i := len(p.extents) - 1; i >= 0 && p.extents[i].kind == kindPack; i-- {
		n++
	}
	return n
}

// syncSegments makes every segment and its name durable, and the indexes of
// those that are closed.
func (l *Log) syncSegments() (synced int, err error) {
	if synced, err = l.syncDirty(0); err != nil {
		return synced, err
	}
	for _, id := range l.m.closedIx {
		if err := l.writeIndex(id); err != nil {
			return synced, err
		}
		synced++
	}
	l.m.newFiles = l.m.newFiles || len(l.m.closedIx) > 0
	l.m.closedIx = l.m.closedIx[:0]
	if l.m.newFiles {
		if err := l.o.FS.SyncDir(l.layout.seg()); err != nil {
			return synced, fmt.Errorf("sync segments: %w", &syncError{err})
		}
		l.m.newFiles = false
	}
	return synced, nil
}

// writeIndex writes the index of a closed segment, if it is still known; else
// the first reader makes it again.
func (l *Log) writeIndex(id uint64) error {
	ix := l.files.index(id)
	if _, ok := l.m.files[id]; ix == nil || !ok {
		return nil
	}
	// Under its name there is a whole index or none.
	tmp := l.layout.indexTmp()
	f, err := l.o.FS.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	if _, err = f.WriteAt(ix.encode(id, l.history), 0); err == nil {
		if err = f.SyncData(); err != nil {
			err = &syncError{err}
		}
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = l.o.FS.Rename(tmp, l.layout.index(id))
	}
	if err != nil {
		return fmt.Errorf("write index: %w", errors.Join(err, l.o.FS.Remove(tmp)))
	}
	return nil
}

// writeEdit puts c into the manifest.
func (l *Log) writeEdit(c *capture, full bool, flags uint64) error {
	e := l.editOf(c, full)
	e.flags |= flags
	var err error
	if full {
		err = l.m.man.replace(e)
	} else {
		err = l.m.man.append(e)
	}
	l.m.manifestBytes.Store(l.m.man.size)
	return err
}

// editOf makes the edit that says what c and the extents of its partitions are.
func (l *Log) editOf(c *capture, full bool) *edit {
	e := &edit{
		checkpoint: c.lsn, durable: c.lsn, incarnation: c.incarnation, leaderEpoch: c.leaderEpoch, nextFile: l.m.nextFile,
		parts: make([]partEdit, 0, len(c.parts)),
	}
	if full {
		e.flags = editSnapshot
	} else {
		for _, d := range c.deleted {
			e.deleted = append(e.deleted, d.p.id)
		}
	}
	for i := range c.parts {
		cp := &c.parts[i]
		pe := partEdit{id: cp.p.id, v: cp.v, clean: cp.p.clean, producers: cp.producers, hasAborted: cp.hasAborted, aborted: cp.aborted}
		cp.p.mu.RLock()
		es := cp.p.allExtents()
		cp.p.mu.RUnlock()
		if full {
			pe.extents = es
		} else {
			pe.drop, pe.keep = sharedExtents(cp.p.persisted, es)
			pe.extents = es[pe.keep:]
		}
		e.parts = append(e.parts, pe)
	}
	return e
}

// sharedExtents tells how to make now from old: forget drop, keep keep, add the
// rest.
func sharedExtents(old, now []extent) (drop, keep int) {
	if len(now) == 0 {
		return len(old), 0
	}
	for drop < len(old) && old[drop] != now[0] {
		drop++
	}
	for drop+keep < len(old) && keep < len(now) && old[drop+keep] == now[keep] {
		keep++
	}
	return drop, keep
}

// checkpointed notes that the manifest holds c.
func (l *Log) checkpointed(c *capture) {
	for i := range c.parts {
		p := c.parts[i].p
		p.mu.Lock()
		p.persisted, p.moved = slices.Clone(p.allExtents()), false
		p.trimRefs(l.tail)
		p.mu.Unlock()
	}
	l.mu.Lock()
	l.deleted = slices.DeleteFunc(l.deleted, func(d deletion) bool { return d.lsn <= c.lsn })
	l.mu.Unlock()
	l.m.checkpoint.Store(c.lsn)
	l.sinceCheckpoint.Add(-c.since)
}

// freeFiles removes the files that no partition needs.
func (l *Log) freeFiles() error {
	m := &l.m
	for id, fi := range m.files {
		fi.live = 0
		m.files[id] = fi
	}
	used := map[uint64]bool{m.making: true}
	count := func(p *partition) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.trimRefs(l.tail)
		for _, e := range p.allExtents() {
			fi := m.files[e.file]
			fi.live += e.size
			m.files[e.file] = fi
		}
		if p.seg != nil {
			used[p.seg.id] = true
		}
	}
	for _, p := range l.all() {
		count(p)
	}
	l.mu.RLock()
	deleted := slices.Clone(l.deleted)
	l.mu.RUnlock()
	for _, d := range deleted {
		count(d.p)
	}
	var gone []uint64
	for id, fi := range m.files {
		if fi.live == 0 && !used[id] && m.backups == 0 {
			gone = append(gone, id)
		}
	}
	slices.Sort(gone)
	for _, id := range gone {
		fi := m.files[id]
		l.dropUnsynced(id)
		if err := l.files.remove(id, fi.kind); err != nil {
			return err
		}
		l.m.segBytes.Add(-fi.size)
		delete(m.files, id)
	}
	return nil
}

// dropUnsynced forgets that a file that goes away had to be synced.
func (l *Log) dropUnsynced(id uint64) {
	l.m.unsynced = slices.DeleteFunc(l.m.unsynced, func(s *segment) bool {
		if s.id != id {
			return false
		}
		l.files.put(s.file)
		s.file = nil
		return true
	})
	l.m.closedIx = slices.DeleteFunc(l.m.closedIx, func(c uint64) bool { return c == id })
}
