package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"thalweg/internal/errs"
	"thalweg/internal/lifecycle"
	"thalweg/internal/log"
)

// Log is an open data directory. It implements [log.Log].
type Log struct {
	o        Options
	layout   layout
	format   formatFile
	history  history
	lock     io.Closer // nil if read-only without a lock
	recovery RecoveryReport

	w       writer
	q       queue
	tail    *tail
	wals    *walSet
	files   *fileCache
	m       maintainer
	stats   counters
	buffers buffers
	seal    sealer

	group *lifecycle.Group // nil in manual mode
	// stepMu lets one caller do maintenance in manual mode.
	stepMu sync.Mutex

	mu      sync.RWMutex
	parts   map[log.PartitionID]*partition // written by the writer
	sorted  []*partition                   // by id; nil when parts has changed
	deleted []deletion                     // since the last checkpoint

	closed          atomic.Bool
	closing         atomic.Bool
	reason          atomic.Pointer[string] // why it is read-only, nil if it is not
	full            atomic.Bool
	sinceCheckpoint atomic.Int64 // WAL bytes
}

// deletion is a partition that the manifest may still name.
type deletion struct {
	p   *partition
	lsn uint64
}

var _ log.Log = (*Log)(nil)

// lookup returns the partition that readers see, or nil.
func (l *Log) lookup(id log.PartitionID) *partition {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.parts[id]
}

// all returns the partitions sorted by id. The slice is not to be changed.
func (l *Log) all() []*partition {
	l.mu.RLock()
	s := l.sorted
	l.mu.RUnlock()
	if s != nil {
		return s
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sorted == nil {
		l.sorted = make([]*partition, 0, len(l.parts))
		for _, p := range l.parts {
			l.sorted = append(l.sorted, p)
		}
		slices.SortFunc(l.sorted, func(a, b *partition) int { return compareID(a.id, b.id) })
	}
	return l.sorted
}

// publish shows the writer's round to readers and fires what waits for it.
func (l *Log) publish(w *writer) {
	for i := range w.placed {
		pl := &w.placed[i]
		payload := w.chunk.buf[pl.off+frameSize : pl.off+pl.f.size]
		l.show(pl.p, &pl.f, payload, w.chunk.file, w.chunk.pos+int64(pl.off))
	}
}

// show applies one durable frame to what readers see.
func (l *Log) show(p *partition, f *frame, payload []byte, file *walFile, pos int64) {
	if f.kind == log.Create || f.kind == log.Delete {
		l.mu.Lock()
		l.sorted = nil
		if f.kind == log.Create {
			p.bornLSN = f.lsn
			l.parts[f.id] = p
		} else {
			delete(l.parts, f.id)
			l.deleted = append(l.deleted, deletion{p, f.lsn})
			l.m.reclaim.Store(true)
		}
		l.mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.v.apply(f, payload)
	p.changedLSN = f.lsn
	switch f.kind {
	case log.Data:
		p.addRef(f, payload, file, pos)
		p.showTxn(f, payload)
		if p.dirty >= l.o.FlushBytes && !p.queued {
			p.queued = true
			l.m.queue(p)
		}
	case log.Trim:
		p.txns.trim(p.v.start)
	}
	p.notify(f)
}

// State implements [log.Log].
func (l *Log) State() log.State {
	st := log.State{Writable: true, Full: l.full.Load() || l.o.MaxDisk > 0 && l.boundUsed() > l.o.MaxDisk}
	if r := l.reason.Load(); r != nil {
		st.Writable, st.Reason = false, *r
	} else if l.closing.Load() {
		st.Writable, st.Reason = false, log.ErrClosed.Error()
	}
	return st
}

// latch makes the log read-only for good, for the first failure given, and
// returns the error that appends then get.
func (l *Log) latch(err error) error {
	why := "stopped after a failed write: " + err.Error()
	if l.reason.CompareAndSwap(nil, &why) {
		l.o.Logger.Error("log is read-only from now on", "error", err)
		if l.o.Events.Latched != nil {
			l.o.Events.Latched(err)
		}
	}
	l.q.block(false)
	return l.latchError()
}

// latchError is what appends to a read-only log get, nil if it is writable.
func (l *Log) latchError() error {
	r := l.reason.Load()
	if r == nil {
		return nil
	}
	return &errs.Error{Kind: errs.ReadOnly, Msg: "log is read-only", Err: errors.New(*r)}
}

func (l *Log) setFull(on bool) {
	if l.full.Load() == on || !l.full.CompareAndSwap(!on, on) {
		return
	}
	l.o.Logger.Warn("space for the log", "full", on)
	if l.o.Events.Full != nil {
		l.o.Events.Full(on)
	}
}

// diskUsed is what the directory takes on disk, about.
func (l *Log) diskUsed() int64 {
	return l.wals.bytes.Load() + l.m.segBytes.Load() + l.m.manifestBytes.Load()
}

// boundUsed is what counts towards MaxDisk.
func (l *Log) boundUsed() int64 {
	used := l.diskUsed()
	if l.o.Others != nil {
		used += l.o.Others()
	}
	return used
}

// Info implements [log.Log].
func (l *Log) Info(id log.PartitionID) (log.Info, error) {
	p := l.lookup(id)
	if p == nil {
		return log.Info{}, log.ErrNotFound
	}
	p.mu.RLock()
	if p.v.gone {
		p.mu.RUnlock()
		return log.Info{}, log.ErrNotFound
	}
	in := log.Info{
		Config: p.v.cfg, Start: p.v.start, End: p.v.end, Stable: p.stable(), Sealed: p.v.sealed, Epoch: p.v.epoch,
		LeaderEpoch: l.w.leaderEpoch, Bytes: p.storedBytes(), FirstArrival: -1, LastArrival: p.v.lastArrival,
	}
	first, known := p.firstArrival()
	p.mu.RUnlock()
	if in.Start == in.End {
		return in, nil
	}
	if !known {
		var err error // by what the frame says: its batch may be sealed
		if _, first, err = l.OffsetForTime(id, math.MinInt64); err != nil {
			return in, err
		}
	}
	in.FirstArrival = first
	return in, nil
}

// firstArrival is the arrival of the batch at the log start, if that is known
// without looking on disk; mu is held.
func (p *partition) firstArrival() (int64, bool) {
	if i := p.refAt(p.v.start); i < len(p.refs) && (i > 0 || p.refs[0].base <= p.v.start) {
		return p.refs[i].arrival, true
	}
	es := p.allExtents()
	if i := extentAt(es, p.v.start); i < len(es) && (es[i].base >= p.v.start || es[i].first == es[i].last) {
		return es[i].first, true
	}
	return 0, false
}

// Partitions implements [log.Log].
func (l *Log) Partitions() []log.PartitionID {
	all := l.all()
	ids := make([]log.PartitionID, len(all))
	for i, p := range all {
		ids[i] = p.id
	}
	return ids
}

// Recovery tells what the open found.
func (l *Log) Recovery() RecoveryReport { return l.recovery }

// pump does the writer's work in manual mode, unless somebody already does.
func (l *Log) pump() {
	l.q.mu.Lock()
	if l.q.busy {
		l.q.mu.Unlock()
		return
	}
	l.q.busy = true
	l.q.mu.Unlock()
	for {
		reqs, tasks, more := l.q.take(nil, false)
		if !more {
			break
		}
		l.work(reqs, tasks)
	}
	l.q.mu.Lock()
	l.q.busy = false
	again := len(l.q.reqs) > 0 || len(l.q.tasks) > 0
	l.q.mu.Unlock()
	if again {
		l.pump()
	}
}

func (l *Log) work(reqs []*pending, tasks []func()) {
	for _, t := range tasks {
		t()
	}
	l.w.process(reqs)
}

// writeLoop is the writer's goroutine.
func (l *Log) writeLoop(context.Context) error {
	var old []*pending
	for {
		reqs, tasks, more := l.q.take(old, true)
		if !more {
			return nil
		}
		l.work(reqs, tasks)
		if len(reqs) > 0 {
			old = reqs
		}
	}
}

// onWriter runs fn between two rounds and waits for it. It reports false if the
// log is closed.
func (l *Log) onWriter(fn func()) bool {
	done := make(chan struct{})
	if !l.q.pushTask(func() { fn(); close(done) }) {
		return false
	}
	if l.o.Manual {
		l.pump()
	}
	<-done
	return true
}

// afterRound wakes maintenance if the round gave it something to do, and makes
// appends wait when it falls too far behind.
func (l *Log) afterRound() {
	since := l.sinceCheckpoint.Load()
	first := l.w.woken != l.w.file // a new file wants a spare behind it
	if first || since >= l.o.CheckpointBytes || l.m.hasQueued() || l.m.reclaim.Load() {
		l.w.woken = l.w.file
		l.wakeMaintenance()
	}
	if l.behind() {
		l.q.block(true)
		if !l.behind() { // the checkpoint that lets appends go on may have ended just before
			l.q.block(false)
		}
	}
}

// behind reports whether appends have to wait for a checkpoint.
func (l *Log) behind() bool {
	return !l.o.Manual && l.sinceCheckpoint.Load() >= stallFactor*l.o.CheckpointBytes && !l.full.Load() && l.latchError() == nil
}

// stallFactor times CheckpointBytes of WAL make appends wait for a checkpoint.
const stallFactor = 4

// Close implements [log.Log]. It ends with a checkpoint. After a failed write it syncs nothing and leaves no
// mark of a clean stop.
func (l *Log) Close(ctx context.Context) error {
	var errList []error
	if !l.closing.Load() && !l.o.ReadOnly && ctx.Err() == nil && l.latchError() == nil {
		// Frees the WAL and puts flushed segments on record, so that the next start
		// has nothing to replay. Where there is no space for it, that start recovers.
		if err := l.Checkpoint(); l.latchError() != nil {
			errList = append(errList, err)
		}
	}
	if l.closing.Swap(true) {
		return nil
	}
	if l.group != nil {
		l.q.close()
		if err := l.group.Stop(ctx); err != nil {
			// The writer is stuck in a call; the files stay open for it.
			return fmt.Errorf("close log: %w", err)
		}
	} else {
		l.stepMu.Lock()
		defer l.stepMu.Unlock()
		l.q.close()
		l.pump()
	}
	if !l.o.ReadOnly && l.latchError() == nil {
		if err := l.stopClean(); err != nil {
			errList = append(errList, err)
		}
	}
	l.closed.Store(true)
	for _, p := range l.all() {
		p.fireAll()
	}
	l.tail.close()
	errList = append(errList, l.wals.close(), l.files.close(), l.m.close())
	if l.lock != nil {
		errList = append(errList, l.lock.Close())
	}
	return errors.Join(errList...)
}
