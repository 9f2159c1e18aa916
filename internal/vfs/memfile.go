package vfs

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"sync/atomic"
	"syscall"
)

// memFile is an open file of a [Mem].
type memFile struct {
	m             *Mem
	n             *node
	name          string
	reads, writes bool
	closed        atomic.Bool
}

func (f *memFile) check(op string, allowed bool, off int64) error {
	switch {
	case f.closed.Load():
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrClosed}
	case !allowed && op == "truncate":
		return pathError(op, f.name, syscall.EINVAL) // as ftruncate(2) has it
	case !allowed:
		return pathError(op, f.name, syscall.EBADF)
	case off < 0:
		return pathError(op, f.name, syscall.EINVAL)
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check("read", f.reads, off); err != nil {
		return 0, err
	}
	if err := f.m.before(Op{Kind: OpRead, Name: f.name, Off: off, Len: len(p)}); err != nil {
		return 0, err
	}
	f.n.mu.RLock()
	defer f.n.mu.RUnlock()
	n := f.n.now.readAt(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.check("write", f.writes, off); err != nil {
		return 0, err
	}
	fault := f.m.before(Op{Kind: OpWrite, Name: f.name, Off: off, Len: len(p)})
	if fault != nil {
		var torn *TornWrite
		if !errors.As(fault, &torn) {
			return 0, fault
		}
		p = p[:min(max(torn.Kept, 0), len(p))]
	}
	f.m.mu.Lock()
	f.m.touch(f.n)
	room := f.m.room()
	f.m.mu.Unlock()
	n := f.m.writeSome(f.n, p, off, room)
	if fault == nil && n < len(p) {
		fault = noSpace{pathError("write", f.name, syscall.ENOSPC)}
	}
	return n, fault
}

func (f *memFile) Truncate(size int64) error {
	if err := f.check("truncate", f.writes, size); err != nil {
		return err
	}
	if err := f.m.before(Op{Kind: OpTruncate, Name: f.name, Off: size}); err != nil {
		return err
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.touch(f.n)
	f.m.truncate(f.n, size)
	return nil
}

func (f *memFile) Sync() error     { return f.sync(OpSync) }
func (f *memFile) SyncData() error { return f.sync(OpSyncData) }

func (f *memFile) sync(kind OpKind) error {
	if err := f.check(kind.String(), true, 0); err != nil {
		return err
	}
	fault := f.m.before(Op{Kind: kind, Name: f.name})
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if !f.m.stopped && !f.m.noSync && f.m.crashable {
		f.m.syncContent(f.n, fault != nil)
	}
	return fault
}

func (f *memFile) Size() (int64, error) {
	if err := f.check("stat", true, 0); err != nil {
		return 0, err
	}
	if err := f.m.before(Op{Kind: OpStat, Name: f.name}); err != nil {
		return 0, err
	}
	f.n.mu.RLock()
	defer f.n.mu.RUnlock()
	return f.n.now.size, nil
}

func (f *memFile) Close() error {
	if f.closed.Swap(true) {
		return &fs.PathError{Op: "close", Path: f.name, Err: fs.ErrClosed}
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.n.handles--
	f.m.reap(f.n)
	return nil
}

// room is how many more chunks the capacity allows; m.mu is held.
func (m *Mem) room() int64 {
	if m.capacity == 0 {
		return math.MaxInt64
	}
	return m.capacity/chunkSize - m.used.Load()
}

func (m *Mem) write(n *node, p []byte, off int64) { m.writeSome(n, p, off, math.MaxInt64) }

// writeSome writes p to n until room is used up, and returns how much it wrote.
func (m *Mem) writeSome(n *node, p []byte, off, room int64) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	done := n.now.writeAt(p, off, func() bool {
		if room <= 0 {
			return false
		}
		room--
		m.used.Add(1)
		return true
	})
	if m.crashable && done > 0 {
		n.pending = append(n.pending, change{off: off, data: append([]byte(nil), p[:done]...)})
	}
	return done
}

func (m *Mem) truncate(n *node, size int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if size == n.now.size {
		return
	}
	m.used.Add(-int64(n.now.truncate(size)))
	if m.crashable {
		n.pending = append(n.pending, change{off: size, truncate: true})
	}
}

// reap gives back the memory of a file without names or handles; m.mu is held.
// What is durable of it stays: the removal of its last name may yet be lost.
func (m *Mem) reap(n *node) {
	if n.dir || n.names > 0 || n.handles > 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	m.used.Add(-int64(n.now.held()))
	n.now = content{}
}
