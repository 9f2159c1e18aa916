package disk

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// maintainer is the state of the work behind the writer: flushes, checkpoints,
// retention, spares. One goroutine at a time does it, under Log.stepMu, which
// guards all but the fields said to be otherwise.
type maintainer struct {
	wake chan struct{}

	mu     sync.Mutex
	queued []*partition // guarded by mu; with enough dirty bytes for a flush

	segBytes, manifestBytes atomic.Int64 // on disk

	man        manifest
	checkpoint atomic.Uint64 // LSN of the manifest's state
	nextFile   uint64
	files      map[uint64]fileInfo // in seg/
	unsynced   []*segment          // in the order of their first write
	closedIx   []uint64            // segments whose index is to be written
	newFiles   bool                // entries of seg/ are not durable
	making     uint64              // file that compaction is writing, 0 if none
	pieceBegan time.Time           // when compaction began its last piece
	reclaim    atomic.Bool         // a checkpoint is worth it for the files it frees
	sweep      sweep
	backups    int // under way, which need every file to stay
	// reclaimable is what retention has trimmed of segments since the last
	// checkpoint, bytes.
	reclaimable int64
	piece       []byte  // memory for gathering writes
	note        []noted // likewise
}

// fileInfo is a segment or pack on disk.
type fileInfo struct {
	kind uint32
	size int64
	live int64 // bytes in extents, at the last checkpoint
}

func (m *maintainer) queue(ps ...*partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.queued = append(m.queued, ps...)
}

func (m *maintainer) hasQueued() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queued) > 0
}

func (m *maintainer) takeQueued() []*partition {
	m.mu.Lock()
	defer m.mu.Unlock()
	q := m.queued
	m.queued = nil
	return q
}

func (m *maintainer) close() error { return m.man.close() }

// wakeMaintenance makes the maintenance goroutine look for work.
func (l *Log) wakeMaintenance() {
	select {
	case l.m.wake <- struct{}{}:
	default:
	}
}

// maintainLoop is the maintenance goroutine.
func (l *Log) maintainLoop(ctx context.Context) error {
	timer := l.o.Clock.NewTimer(l.o.RetentionEvery)
	defer timer.Stop()
	for {
		sweep := false
		select {
		case <-ctx.Done():
			return nil
		case <-l.m.wake:
		case <-timer.C():
			sweep = true
			timer.Reset(l.o.RetentionEvery)
		}
		l.stepMu.Lock()
		l.maintained(l.maintain(sweep))
		l.stepMu.Unlock()
	}
}

// Step does all maintenance that is due, a retention sweep included. It is for
// logs opened with Options.Manual, where nothing else does.
func (l *Log) Step() error {
	l.stepMu.Lock()
	defer l.stepMu.Unlock()
	return l.maintained(l.maintain(true))
}

// Checkpoint moves everything acknowledged so far out of the WAL.
func (l *Log) Checkpoint() error {
	l.stepMu.Lock()
	defer l.stepMu.Unlock()
	if err := l.mayMaintain(); err != nil {
		return err
	}
	return l.maintained(l.checkpoint(false))
}

var errStopping = errors.New("log is closing")

// mayMaintain tells why maintenance may not write, nil if it may.
func (l *Log) mayMaintain() error {
	if l.closing.Load() {
		return errStopping
	}
	return l.latchError()
}

// maintained takes note of how maintenance ended: a lack of space passes, any
// other failure to write latches.
func (l *Log) maintained(err error) error {
	switch {
	case err == nil, errors.Is(err, errStopping):
	case passing(err):
		l.setFull(true)
		l.q.block(false)
	default:
		if l.latchError() == nil {
			_ = l.latch(err)
		}
	}
	return err
}

// maintain does what is due; stepMu is held.
func (l *Log) maintain(sweep bool) error {
	if err := l.mayMaintain(); err != nil {
		return err
	}
	queued := l.m.takeQueued()
	for i, p := range queued {
		if err := l.flushQueued(p); err != nil {
			l.m.queue(queued[i:]...) // their bytes are still to be moved
			return err
		}
	}
	if err := l.prepareSpare(); err != nil {
		return err
	}
	if sweep {
		l.retain()
	}
	since := l.sinceCheckpoint.Load()
	if since >= l.o.CheckpointBytes || l.m.reclaim.Load() || since > 0 && l.State().Full {
		return l.checkpoint(false)
	}
	return nil
}

func (l *Log) flushQueued(p *partition) error {
	p.mu.Lock()
	p.queued = false
	end, gone := p.v.end, p.v.gone
	p.mu.Unlock()
	if gone {
		return nil
	}
	return l.flush(p, end)
}

// prepareSpare makes the next WAL file ready once there is something in this one.
func (l *Log) prepareSpare() error {
	size := l.o.WALFileBytes
	if l.sinceCheckpoint.Load() == 0 || l.full.Load() || l.o.MaxDisk > 0 && l.boundUsed()+size > l.o.MaxDisk/2 {
		return nil
	}
	return l.wals.prepare(l.closing.Load)
}

// syncDirty makes durable what lies unsynced in segments, all of it or only where
// it is more than atLeast bytes.
func (l *Log) syncDirty(atLeast int64) (synced int, err error) {
	kept := l.m.unsynced[:0]
	for i, s := range l.m.unsynced {
		if s.unsynced < atLeast {
			kept = append(kept, s)
			continue
		}
		if err := s.file.f.SyncData(); err != nil {
			l.m.unsynced = append(kept, l.m.unsynced[i:]...)
			return synced, fmt.Errorf("sync segment: %w", &syncError{err})
		}
		synced++
		l.stats.segmentSyncs.Add(1)
		l.files.put(s.file)
		s.file, s.unsynced = nil, 0
	}
	clear(l.m.unsynced[len(kept):])
	l.m.unsynced = kept
	return synced, nil
}

// syncFirst syncs the segment that waits longest, so that only so many are held
// open.
func (l *Log) syncFirst() error {
	s := l.m.unsynced[0]
	if err := s.file.f.SyncData(); err != nil {
		return fmt.Errorf("sync segment: %w", &syncError{err})
	}
	l.stats.segmentSyncs.Add(1)
	l.files.put(s.file)
	s.file, s.unsynced = nil, 0
	l.m.unsynced = append(l.m.unsynced[:0], l.m.unsynced[1:]...)
	return nil
}
