package disk

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"sync"

	"thalweg/internal/errs"
	"thalweg/internal/invariants"
	"thalweg/internal/log"
)

// pstate is what entries other than their bytes do to a partition.
type pstate struct {
	cfg         log.Config
	start, end  int64
	lastArrival int64 // -1 before the first batch
	epoch       uint32
	sealed      bool
	gone        bool
}

// apply does what f says. It is the only way a state changes: on admission, on
// publication and in recovery alike.
func (s *pstate) apply(f *frame, payload []byte) {
	switch f.kind {
	case log.Data:
		s.end = f.end()
		s.lastArrival = f.arrival
	case log.Create, log.Configure:
		s.cfg = parseConfig(payload)
	case log.Seal:
		s.sealed = true
	case log.Trim:
		s.start = max(s.start, f.base)
	case log.Fence:
		s.epoch = uint32(f.base)
	case log.Delete:
		s.gone = true
	}
}

// ref is where a batch lies in the WAL.
type ref struct {
	base    int64
	arrival int64
	pos     int64 // of the frame
	cum     int64 // batch bytes of the partition up to the end of this one
	stamp   int64 // maximum timestamp
	file    *walFile
	size    uint32 // of the frame
	count   int32
}

func (r *ref) end() int64   { return r.base + int64(r.count) }
func (r *ref) bytes() int64 { return int64(r.size) - frameSize }

// extent is a run of a partition's frames in a segment or pack. It ends with its
// last frame; in a sparse one, which compaction made, offsets may be missing before
// any frame.
type extent struct {
	kind        uint32
	sparse      bool
	file        uint64
	pos, size   int64
	base, end   int64
	first, last int64 // arrivals
	bytes       int64 // of batches
	stamp       int64 // the highest maximum timestamp, if stamped
	stamped     bool
}

// join extends e by next, which follows it.
func (e *extent) join(next extent) {
	e.end, e.last = next.end, next.last
	e.bytes += next.bytes
	e.stamp, e.stamped = max(e.stamp, next.stamp), e.stamped && next.stamped
}

// damage is a range of offsets that cannot be read.
type damage struct {
	from, to int64
	why      string
}

// partition is one partition.
type partition struct {
	id log.PartitionID

	// Of the writer: the state with everything admitted, and what idempotent
	// producers last did.
	w         pstate
	producers map[int64]*producer

	// Of recovery: the end that a damaged frame claims.
	claimed int64

	// Of maintenance: the extents that the manifest names, and the segment that
	// the next flush goes to.
	persisted []extent
	moved     bool // extents were copied elsewhere since
	seg       *segment
	clean     int64 // offset up to which it is compacted
	left      bool  // compaction has met what it cannot read, and leaves it alone

	mu sync.RWMutex
	// v is what readers see. Written by the writer, under mu.
	v          pstate
	changedLSN uint64 // of the last frame that changed v
	bornLSN    uint64 // of its Create, 0 if the manifest knew it
	// refs are the batches since flushed, and some before it that the tail ring
	// still holds. Elements never change once there.
	refs []ref
	cum  int64 // batch bytes ever, of the last ref
	// extents cover everything from start to flushed. The slice is never changed
	// in place; open, if size > 0, follows it and grows.
	extents []extent
	open    extent
	passes  uint64 // of compaction, that changed extents
	flushed int64  // offset
	dirty   int64  // frame bytes from flushed on
	queued  bool   // for a flush
	txns    txns
	damage  []damage
	index   *index // of segment indexed while it is written, else nil
	indexed uint64
	cursors cursors

	watchers watchNode // list head
}

func newPartition(id log.PartitionID) *partition {
	p := &partition{id: id}
	p.w.lastArrival = -1
	p.v.lastArrival = -1
	p.watchers.next, p.watchers.prev = &p.watchers, &p.watchers
	return p
}

// addRef notes a published batch; mu is held.
func (p *partition) addRef(f *frame, payload []byte, file *walFile, pos int64) {
	p.cum += int64(f.size) - frameSize
	p.refs = append(p.refs, ref{
		base: f.base, arrival: f.arrival, pos: pos, cum: p.cum, stamp: stampOf(payload), file: file, size: uint32(f.size), count: f.count,
	})
	p.dirty += int64(f.size)
}

// trimRefs forgets refs that are in a segment and that the tail no longer
// holds; mu is held.
func (p *partition) trimRefs(t *tail) {
	n := sort.Search(len(p.refs), func(i int) bool { return p.refs[i].base >= p.flushed })
	if n > 0 && t != nil {
		n = sort.Search(n, func(i int) bool { return t.holds(p.refs[i].file, p.refs[i].pos) })
	}
	switch {
	case n == len(p.refs):
		p.refs = nil
	case n > 0:
		p.refs = p.refs[n:]
	}
}

// refAt is the index of the first ref that ends after offset; mu is held.
func (p *partition) refAt(offset int64) int {
	return sort.Search(len(p.refs), func(i int) bool { return p.refs[i].end() > offset })
}

// dirtyRefs returns the refs of [flushed, end) that a flush has to write; mu is
// held. What lies below the log start is left out.
func (p *partition) dirtyRefs(end int64) []ref {
	i := p.refAt(max(p.flushed, p.v.start))
	for i < len(p.refs) && p.refs[i].base < p.flushed {
		i++
	}
	j := sort.Search(len(p.refs), func(i int) bool { return p.refs[i].base >= end })
	if i >= j {
		return nil
	}
	return p.refs[i:j:j]
}

// allExtents returns extents with the open one; mu is held. The result is not
// to be changed, and cut off so that an append copies.
func (p *partition) allExtents() []extent {
	if p.open.size == 0 {
		return p.extents[:len(p.extents):len(p.extents)]
	}
	return append(p.extents[:len(p.extents):len(p.extents)], p.open)
}

// extentAt is the index of the first extent in es that ends after offset.
func extentAt(es []extent, offset int64) int {
	return sort.Search(len(es), func(i int) bool { return es[i].end > offset })
}

// addExtent makes e part of the partition; mu is held. In the open segment it
// joins the extent before it.
func (p *partition) addExtent(e extent) {
	invariants.Check(e.base >= p.flushed, "extent %d-%d of %v begins below %d", e.base, e.end, p.id, p.flushed)
	o := &p.open
	if o.size > 0 && o.kind == e.kind && o.file == e.file && o.pos+o.size == e.pos && o.end == e.base {
		o.size += e.size
		o.join(e)
	} else {
		if o.size > 0 {
			p.extents = append(p.extents, *o)
		}
		p.open = e
	}
	p.setFlushed(e.end)
}

// setFlushed moves the border between extents and the WAL; mu is held.
func (p *partition) setFlushed(offset int64) {
	p.flushed = max(p.flushed, offset)
	p.dirty = 0
	for i := len(p.refs) - 1; i >= 0 && p.refs[i].base >= p.flushed; i-- {
		p.dirty += int64(p.refs[i].size)
	}
}

// stable is the last stable offset; mu is held.
func (p *partition) stable() int64 {
	if first, ok := p.txns.firstOpen(); ok {
		return max(min(first, p.v.end), p.v.start)
	}
	return p.v.end
}

// storedBytes is about how many batch bytes lie between start and end; mu is held.
func (p *partition) storedBytes() int64 {
	var n int64
	es := p.allExtents()
	for _, e := range es[extentAt(es, p.v.start):] {
		b := e.bytes
		if p.v.start > e.base {
			b = int64(float64(b) * float64(e.end-p.v.start) / float64(e.end-e.base))
		}
		n += b
	}
	if i := p.refAt(max(p.flushed, p.v.start)); i < len(p.refs) {
		n += p.cum - p.refs[i].cum + p.refs[i].bytes()
	}
	return n
}

// damagedAt returns the damage that holds offset, if any; mu is held.
func (p *partition) damagedAt(offset int64) *damage {
	for i := range p.damage {
		if d := &p.damage[i]; d.from <= offset && offset < d.to {
			return d
		}
	}
	return nil
}

// nextDamage is where the first damage after offset begins; mu is held.
func (p *partition) nextDamage(offset int64) int64 {
	next := int64(1<<63 - 1)
	for i := range p.damage {
		if d := &p.damage[i]; d.from > offset {
			next = min(next, d.from)
		}
	}
	return next
}

func (p *partition) addDamage(from, to int64, why string) {
	if from >= to {
		return
	}
	p.damage = append(p.damage, damage{from, to, why})
	slices.SortFunc(p.damage, func(a, b damage) int {
		if a.from < b.from {
			return -1
		}
		return 1
	})
}

func (d *damage) err(id log.PartitionID) error {
	return &errs.Error{
		Kind: errs.Corrupt, Op: "read partition " + id.String(),
		Msg:  fmt.Sprintf("offsets %d to %d are damaged: %s", d.from, d.to-1, d.why),
		Hint: "read on from offset " + fmt.Sprint(d.to) + ", or restore a backup",
	}
}

// compareID sorts partitions.
func compareID(a, b log.PartitionID) int {
	switch {
	case a.Stream != b.Stream:
		return cmp.Compare(a.Stream, b.Stream)
	case a.Generation != b.Generation:
		return cmp.Compare(a.Generation, b.Generation)
	}
	return cmp.Compare(a.Index, b.Index)
}
