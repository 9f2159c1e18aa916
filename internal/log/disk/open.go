package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"thalweg/internal/errs"
	"thalweg/internal/lifecycle"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/vfs"
)

// Open opens the directory, and makes it if it is empty or absent and not to be
// read only. A damaged one opens read-only: State tells so, Recovery where.
// ctx bounds the life of nothing; end the log with Close.
func Open(ctx context.Context, o Options) (*Log, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Log{o: o, layout: layout{o.Dir}, parts: map[log.PartitionID]*partition{}}
	l.q.init()
	l.w.l = l
	l.seal.keys = o.Keys
	l.w.overlay = map[log.PartitionID]*partition{}
	l.m.wake = make(chan struct{}, 1)
	l.m.files = map[uint64]fileInfo{}
	began := o.Clock.Now()
	if err := l.takeLock(); err != nil {
		return nil, err
	}
	if err := l.load(); err != nil {
		return nil, errors.Join(err, l.abandon())
	}
	l.recovery.Took = o.Clock.Now().Sub(began)
	for _, d := range l.recovery.Damage {
		l.damaged(d)
	}
	for _, c := range l.recovery.Cuts {
		o.Logger.Warn("recovery", "cut", c.String())
	}
	if o.Events.Recovered != nil {
		o.Events.Recovered(l.recovery)
	}
	if !o.Manual {
		l.group = lifecycle.NewGroup(context.WithoutCancel(ctx))
		l.group.Go("log writer", l.writeLoop)
		l.group.Go("log maintenance", l.maintainLoop)
		l.group.Go("log compaction", l.compactLoop)
	}
	return l, nil
}

// takeLock locks the directory. Reading alone it does without where it cannot
// make the file.
func (l *Log) takeLock() error {
	if !l.o.ReadOnly {
		if err := l.o.FS.MkdirAll(l.o.Dir, 0o755); err != nil {
			return errs.Wrap(kindOf(err), "make data directory", err)
		}
	}
	lock, err := l.o.FS.Lock(l.layout.lock())
	switch {
	case errors.Is(err, vfs.ErrLocked):
		return &errs.Error{
			Kind: errs.InUse, Op: "open data directory " + l.o.Dir, Err: err,
			Hint: "stop the process with that pid, or use another directory",
		}
	case err != nil && !l.o.ReadOnly:
		return errs.Wrap(kindOf(err), "open data directory", err)
	case err == nil:
		l.lock = lock
	}
	return nil
}

// abandon gives back what a failed open holds.
func (l *Log) abandon() error {
	var errList []error
	if l.wals != nil {
		errList = append(errList, l.wals.close())
	}
	if l.files != nil {
		errList = append(errList, l.files.close())
	}
	errList = append(errList, l.m.close())
	if l.lock != nil {
		errList = append(errList, l.lock.Close())
	}
	return errors.Join(errList...)
}

// load reads the directory and makes it ready for appends.
func (l *Log) load() error {
	var err error
	l.format, err = readFormat(l.o.FS, l.layout)
	fresh := errors.Is(err, fs.ErrNotExist)
	if fresh && l.o.ReadOnly {
		return &errs.Error{Kind: errs.NotFound, Op: "open data directory", Msg: l.o.Dir + " holds no log"}
	}
	if fresh {
		l.format, err = makeFormat(l.o, l.layout)
	}
	if err != nil {
		return err
	}
	l.history = l.format.history()
	l.tail = newTail(l.o.Memory, l.o.TailBytes)
	l.files = newFileCache(l.o.FS, l.layout, l.o.ReadOnly, l.o.OpenFiles)
	l.wals = &walSet{fs: l.o.FS, layout: l.layout, history: l.history, size: l.o.WALFileBytes}
	ld, err := l.openManifest()
	if err != nil {
		return err
	}
	if err := l.loadParts(ld); err != nil {
		return err
	}
	s := &walScan{
		fs: l.o.FS, layout: l.layout, history: l.history, after: ld.checkpoint, durable: max(ld.durable, ld.checkpoint),
		clean: ld.flags&editClean != 0, deliver: l.replay, suspect: l.suspect,
	}
	defer s.close()
	err = s.open(openFlag(l.o.ReadOnly))
	if err == nil {
		err = s.run()
	}
	if err != nil {
		return err
	}
	l.settleClaims()
	l.reportScan(ld, s)
	for _, p := range l.parts {
		p.w = p.v
	}
	return l.ready(ld, s)
}

// openManifest reads the manifest, or makes the first one.
func (l *Log) openManifest() (*loaded, error) {
	m := &l.m.man
	m.fs, m.layout, m.history = l.o.FS, l.layout, l.history
	f, err := l.o.FS.OpenFile(l.layout.manifest(), openFlag(l.o.ReadOnly), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return l.firstManifest()
	}
	if err != nil {
		return nil, errs.Wrap(errs.Internal, "open manifest", err)
	}
	m.f = f
	b, err := vfs.ReadFile(l.o.FS, l.layout.manifest(), math.MaxInt64)
	if err != nil {
		return nil, errs.Wrap(errs.Internal, "read manifest", err)
	}
	ld, err := loadManifest(b, m)
	if err != nil {
		return nil, err
	}
	m.size, m.number, m.snapshot = ld.size, ld.last, ld.snap
	l.m.checkpoint.Store(ld.checkpoint)
	l.m.nextFile = ld.nextFile
	l.m.manifestBytes.Store(ld.total)
	return ld, nil
}

// firstManifest is for a directory made just now, or one whose making did not
// get further than FORMAT.
func (l *Log) firstManifest() (*loaded, error) {
	for _, dir := range []string{l.layout.wal(), l.layout.seg()} {
		names, err := l.o.FS.ReadDir(dir)
		if err != nil && !(errors.Is(err, fs.ErrNotExist) && l.o.ReadOnly) {
			return nil, errs.Wrap(errs.Internal, "read data directory", err)
		}
		if len(names) > 0 {
			return nil, corrupt("open data directory", "MANIFEST is missing, but there is data in "+dir, nil)
		}
	}
	ld := &loaded{parts: map[log.PartitionID]*partEdit{}}
	ld.nextFile = 1
	l.m.nextFile = 1
	if l.o.ReadOnly {
		return ld, nil
	}
	// A process that died may have left FORMAT without a durable name. The manifest is
	// of its history and must not outlive it.
	err := l.o.FS.SyncDir(l.layout.dir)
	if err == nil {
		err = l.m.man.replace(&edit{flags: editSnapshot, nextFile: 1})
	}
	if err != nil {
		return nil, errs.Wrap(kindOf(err), "make data directory", err)
	}
	l.m.manifestBytes.Store(l.m.man.size)
	return ld, nil
}

// loadParts makes the partitions that the manifest names.
func (l *Log) loadParts(ld *loaded) error {
	names, err := l.o.FS.ReadDir(l.layout.seg())
	if err != nil && !(errors.Is(err, fs.ErrNotExist) && l.o.ReadOnly) {
		return errs.Wrap(errs.Internal, "read segment directory", err)
	}
	there := make(map[string]bool, len(names))
	for _, n := range names {
		there[n] = true
	}
	for id, pe := range ld.parts {
		p := newPartition(id)
		p.v = pe.v
		p.extents = pe.extents
		p.persisted = slices.Clone(pe.extents)
		p.clean = pe.clean
		p.flushed = pe.v.end
		p.txns.aborted = pe.aborted
		for i := range pe.producers {
			pr := pe.producers[i]
			if p.producers == nil {
				p.producers = map[int64]*producer{}
			}
			p.producers[pr.id] = &pr
			if pr.txnFirst >= 0 {
				p.txns.open = append(p.txns.open, openTxn{pr.id, pr.txnFirst})
			}
		}
		slices.SortFunc(p.txns.open, func(a, b openTxn) int { return cmp.Compare(a.first, b.first) })
		l.adoptExtents(p, there)
		l.parts[id] = p
	}
	var total int64
	for _, fi := range l.m.files {
		total += fi.size
	}
	l.m.segBytes.Store(total)
	return nil
}

// adoptExtents notes p's files, finds the segment that it goes on with, and what
// is missing.
func (l *Log) adoptExtents(p *partition, there map[string]bool) {
	next := p.v.start
	var seg uint64
	for _, e := range p.extents {
		fi := l.m.files[e.file]
		fi.kind, fi.size = e.kind, max(fi.size, e.pos+e.size)
		fi.live += e.size
		l.m.files[e.file] = fi
		if e.base > next {
			l.gap(p, next, e.base, Damage{File: l.layout.manifest(), Reason: "manifest names no place for them"})
		}
		if !there[segName(e.file, e.kind)] && e.end > p.v.start {
			l.gap(p, e.base, e.end, Damage{File: l.layout.segFile(e.file, e.kind), To: e.pos + e.size, Reason: "file is missing"})
		}
		next = e.end
		if e.kind == kindSegment {
			seg = max(seg, e.file)
		}
	}
	if next < p.v.end {
		l.gap(p, next, p.v.end, Damage{File: l.layout.manifest(), Reason: "manifest names no place for them"})
	}
	if _, ext := l.m.files[seg]; seg == 0 || !ext || there[fmt.Sprintf("%016x.idx", seg)] {
		return
	}
	p.seg = &segment{id: seg, first: -1, size: l.m.files[seg].size}
	for _, e := range p.extents {
		if e.file == seg {
			p.seg.first = e.first
			break
		}
	}
}

// gap notes offsets of p that are not there.
func (l *Log) gap(p *partition, from, to int64, d Damage) {
	id := p.id
	d.Partition, d.FirstOffset, d.EndOffset = &id, from, to
	p.addDamage(from, to, d.File+": "+d.Reason)
	l.recovery.Damage = append(l.recovery.Damage, d)
}

// replay applies one frame of the WAL.
func (l *Log) replay(file *walFile, pos int64, f *frame, payload []byte) {
	p := l.parts[f.id]
	if f.kind == log.Create {
		p = newPartition(f.id)
	}
	if p == nil {
		id := f.id
		l.recovery.Damage = append(l.recovery.Damage, Damage{
			File: file.path, From: pos, To: pos + int64(f.size), Partition: &id, FirstOffset: f.base, EndOffset: f.end(),
			Reason: "frame of a partition that does not exist",
		})
		return
	}
	if f.kind == log.Data {
		if f.base < p.v.end {
			id := f.id
			l.recovery.Damage = append(l.recovery.Damage, Damage{
				File: file.path, From: pos, To: pos + int64(f.size), Partition: &id, FirstOffset: f.base, EndOffset: f.end(),
				Reason: fmt.Sprintf("offsets begin below the end of the partition, %d", p.v.end),
			})
			return
		}
		p.claimed = 0
		if f.base > p.v.end {
			l.gap(p, p.v.end, f.base, Damage{File: file.path, Reason: "the WAL before byte " + fmt.Sprint(pos) + " is damaged"})
		}
		if h, err := batch.ParseHeader(payload); err == nil && h.ProducerID >= 0 {
			p.noteProducer(h, controlOf(payload, h), f)
		}
	}
	l.show(p, f, payload, file, pos)
}

// suspect notes the end of the offsets that a damaged frame says it held, if that
// can be so. It counts only if no good frame of the partition comes after it:
// that one's base says it better.
func (l *Log) suspect(f *frame) {
	p := l.parts[f.id]
	if p == nil || f.kind != log.Data || f.base != max(p.v.end, p.claimed) || f.count > 1<<20 {
		return
	}
	p.claimed = f.end()
}

// settleClaims makes what damaged frames at the ends of partitions held a gap.
func (l *Log) settleClaims() {
	for _, p := range l.parts {
		if p.claimed > p.v.end {
			l.gap(p, p.v.end, p.claimed, Damage{File: l.layout.wal(), Reason: "frame does not match its checksum"})
			p.v.end = p.claimed
		}
	}
}

// reportScan fills the recovery report, and makes the log read-only if there is
// damage.
func (l *Log) reportScan(ld *loaded, s *walScan) {
	r := &l.recovery
	r.Checkpoint, r.Last = ld.checkpoint, s.next-1
	r.Files, r.Rounds, r.Frames, r.Bytes = len(s.files), s.rounds, s.frames, s.bytes
	r.Damage = append(r.Damage, s.damage...)
	newest := ld.incarnation
	epoch := ld.leaderEpoch
	for _, w := range s.files {
		newest = max(newest, w.head.incarnation)
		epoch = max(epoch, w.head.leaderEpoch)
	}
	if ld.bad {
		where := Damage{File: l.layout.manifest(), From: ld.size, To: ld.badEnd, Reason: "edit does not match its checksum"}
		// A torn last edit costs nothing while the WAL reaches back to the one before.
		if ld.damaged || len(r.Damage) > 0 {
			r.Damage = append(r.Damage, where)
		} else {
			r.Cuts = append(r.Cuts, Cut{File: where.File, From: where.From, To: where.To})
		}
	}
	r.Clean = ld.flags&editClean != 0 && ld.incarnation == newest && !ld.bad
	r.Cuts = append(r.Cuts, s.cuts...)
	if !r.Clean && r.Last > 0 { // a restored backup is such a stop too
		epoch++
	}
	r.Incarnation, r.LeaderEpoch = newest+1, epoch
	switch {
	case len(r.Damage) > 0:
		why := fmt.Sprintf("stored data is damaged (%d places, the first in %s)", len(r.Damage), r.Damage[0].File)
		l.reason.Store(&why)
	case l.o.ReadOnly:
		why := "opened for reading only"
		l.reason.Store(&why)
	}
}

// maxReplayed is how many WAL files a start may read back without a checkpoint
// becoming due.
const maxReplayed = 3

// ready takes over the WAL files, and begins a new one if the log is writable.
func (l *Log) ready(ld *loaded, s *walScan) error {
	w := &l.w
	w.next, w.durable = s.next, s.next-1
	w.incarnation, w.leaderEpoch = l.recovery.Incarnation, l.recovery.LeaderEpoch
	l.sinceCheckpoint.Store(s.bytes)
	if len(s.files) > maxReplayed { // after many kills: each start has begun a file
		l.sinceCheckpoint.Store(max(s.bytes, l.o.CheckpointBytes))
	}
	if l.latchError() == nil {
		if err := s.settle(); err != nil {
			return err
		}
	}
	ws := l.wals
	ws.inUse, s.files = s.files, nil
	ws.number = s.number
	for _, f := range ws.inUse {
		ws.order = max(ws.order, f.order)
		ws.bytes.Add(f.size)
	}
	if l.latchError() != nil {
		return nil
	}
	spares := slices.Concat(s.skipped, s.unused)
	s.skipped, s.unused = nil, nil
	for _, f := range spares {
		ws.bytes.Add(f.size)
	}
	err := l.prepareDir(ld, spares)
	switch {
	case err == nil, errors.Is(err, log.ErrNoSpace): // appends try again
	case l.latchError() == nil:
		_ = l.latch(err) // what is there can be read
	}
	return nil
}

// prepareDir makes the directory fit for writing: it puts away what a crash left
// and begins a WAL file.
func (l *Log) prepareDir(ld *loaded, spares []*walFile) error {
	if err := l.seal.begin(l.o.Entropy); err != nil {
		return errs.Wrap(errs.Internal, "open log", err)
	}
	if err := upgrade(l.o.FS, l.layout, l.format); err != nil {
		return errs.Wrap(kindOf(err), "write FORMAT", err)
	}
	if err := l.m.man.settle(ld); err != nil {
		return errs.Wrap(errs.Internal, "open manifest", err)
	}
	if err := l.reuse(spares); err != nil {
		return errs.Wrap(errs.Internal, "open WAL", err)
	}
	if err := removeStray(l.o.FS, l.layout, l.m.files); err != nil {
		return err
	}
	return l.w.roll()
}

// reuse keeps one of the files as the spare and removes the others.
func (l *Log) reuse(files []*walFile) error {
	var errList []error
	for i, f := range files {
		if i > 0 || f.size > 4*l.o.WALFileBytes {
			errList = append(errList, l.wals.discard(f))
			continue
		}
		n, _, _ := parseName(f.path[len(l.layout.wal())+1:])
		f.head = walHead{number: n}
		l.wals.spare = f
	}
	if l.wals.spare != nil {
		errList = append(errList, l.o.FS.SyncDir(l.layout.wal()))
	}
	return errors.Join(errList...)
}

// settle makes what was read durable before WAL files are used again because of
// it: the process that wrote it may have died before its sync. The last edit is
// written again, as a page cache may show what a failed sync did not write. A torn
// one is removed.
func (m *manifest) settle(ld *loaded) error {
	if ld.total == 0 {
		return nil // made just now
	}
	if ld.bad {
		if err := m.f.Truncate(m.size); err != nil {
			return err
		}
	}
	if _, err := m.f.WriteAt(ld.lastEdit, m.size-int64(len(ld.lastEdit))); err != nil {
		return err
	}
	if err := m.f.Sync(); err != nil {
		return err
	}
	return m.fs.SyncDir(m.layout.dir)
}

// stopClean records that everything is in place.
func (l *Log) stopClean() error {
	w := &l.w
	if err := w.syncAll(); err != nil {
		return errs.Wrap(errs.Internal, "close log", err)
	}
	if w.file == nil {
		return nil
	}
	err := l.m.man.append(&edit{
		flags: editClean, checkpoint: l.m.checkpoint.Load(), durable: w.durable,
		incarnation: w.incarnation, leaderEpoch: w.leaderEpoch, nextFile: l.m.nextFile,
	})
	if err != nil && passing(err) {
		return nil // the next open recovers; nothing is lost
	}
	return err
}
