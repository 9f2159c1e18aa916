package disk

import (
	"sync"
	"sync/atomic"

	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// waiter is one Watch. It costs no goroutine and no timer: publication subtracts
// from need, and closes c when nothing is left.
type waiter struct {
	c     chan struct{}
	once  sync.Once
	need  atomic.Int64 // bytes
	nodes []watchNode
}

// watchNode hangs a waiter on one partition's list.
type watchNode struct {
	next, prev *watchNode // guarded by the partition's mu; nil when not linked
	w          *waiter
	p          *partition
	offset     int64
}

func (w *waiter) fire() { w.once.Do(func() { close(w.c) }) }

func (w *waiter) fired() bool {
	select {
	case <-w.c:
		return true
	default:
		return false
	}
}

// sub takes bytes off what is waited for and fires when that is all.
func (w *waiter) sub(bytes int64) {
	if w.need.Add(-bytes) <= 0 {
		w.fire()
	}
}

func (p *partition) link(n *watchNode) {
	n.prev, n.next = p.watchers.prev, &p.watchers
	n.prev.next, n.next.prev = n, n
}

func (n *watchNode) unlink() {
	if n.next == nil {
		return
	}
	n.prev.next, n.next.prev = n.next, n.prev
	n.next, n.prev = nil, nil
}

// notify tells the waiters what f did; mu is held.
func (p *partition) notify(f *frame) {
	for n := p.watchers.next; n != &p.watchers; {
		next := n.next
		switch {
		case f.kind == log.Data && f.end() > n.offset:
			n.w.sub(int64(f.size) - frameSize)
		case f.kind == log.Seal, f.kind == log.Delete, p.v.start > n.offset:
			n.w.fire()
		}
		if n.w.fired() {
			n.unlink()
		}
		n = next
	}
}

// fireAll ends every watch on p.
func (p *partition) fireAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := p.watchers.next; n != &p.watchers; {
		next := n.next
		n.w.fire()
		n.unlink()
		n = next
	}
}

// Watch implements [log.Log].
func (l *Log) Watch(at []log.Position, minBytes int64) *log.Waiter {
	w := &waiter{c: make(chan struct{}), nodes: make([]watchNode, len(at))}
	w.need.Store(max(minBytes, 1))
	for i, pos := range at {
		l.hang(w, &w.nodes[i], pos)
		if w.fired() {
			break
		}
	}
	if w.fired() {
		w.stop()
	}
	return &log.Waiter{C: w.c, Stop: w.stop}
}

// hang counts what is there at pos and hooks n into the partition for the rest.
func (l *Log) hang(w *waiter, n *watchNode, pos log.Position) {
	p := l.lookup(pos.Partition)
	if p == nil {
		w.fire()
		return
	}
	n.w, n.p, n.offset = w, p, pos.Offset
	// Bytes in the middle of an extent take a look at the disk; they never change.
	var inner, upTo int64
	if ok, err := l.innerBytes(p, pos.Offset, w.need.Load(), &inner, &upTo); err != nil || !ok {
		w.fire()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.closed.Load() || p.v.gone || p.v.sealed || pos.Offset < p.v.start || p.damagedAt(pos.Offset) != nil {
		w.fire()
		return
	}
	if w.sub(inner + p.bytesFrom(max(pos.Offset, upTo))); !w.fired() {
		p.link(n)
	}
}

// innerBytes counts the batch bytes of the extent that holds offset, from the
// batch with offset to the extent's end, which it leaves in upTo. It leaves
// offset there when no extent holds it. ok is false if enough is found anyway.
func (l *Log) innerBytes(p *partition, offset, need int64, bytes, upTo *int64) (ok bool, err error) {
	p.mu.RLock()
	es := p.allExtents()
	i := extentAt(es, offset)
	inside := i < len(es) && es[i].base < offset && (len(p.refs) == 0 || p.refs[0].base > offset)
	var after int64
	if inside {
		after = p.bytesFrom(es[i].end)
	}
	p.mu.RUnlock()
	*upTo = offset
	if !inside {
		return true, nil
	}
	if after >= need || need <= batch.HeaderSize && !es[i].sparse {
		return false, nil // no batch is smaller, and only compaction leaves none at offset
	}
	*upTo = es[i].end
	err = l.walkExtent(p, es[i], offset, func(f *frame) bool {
		*bytes += int64(f.size) - frameSize
		return after+*bytes < need
	})
	return true, err
}

// bytesFrom counts batch bytes from offset to the end, where offset is in the
// WAL or at the border of an extent; mu is held.
func (p *partition) bytesFrom(offset int64) int64 {
	var n int64
	if i := p.refAt(offset); i < len(p.refs) && (i > 0 || p.refs[0].base <= offset) {
		return p.cum - p.refs[i].cum + p.refs[i].bytes()
	}
	es := p.allExtents()
	for _, e := range es[extentAt(es, offset):] {
		n += e.bytes
	}
	if i := p.refAt(max(offset, p.flushed)); i < len(p.refs) {
		n += p.cum - p.refs[i].cum + p.refs[i].bytes()
	}
	return n
}

// stop takes w off every partition.
func (w *waiter) stop() {
	for i := range w.nodes {
		n := &w.nodes[i]
		if n.p == nil {
			continue
		}
		n.p.mu.Lock()
		n.unlink()
		n.p.mu.Unlock()
	}
}
