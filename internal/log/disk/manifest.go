package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"thalweg/internal/log"
	"thalweg/internal/vfs"
)

const (
	manifestName     = "MANIFEST"
	magicManifest    = 0x464d5754 // "TWMF", little-endian
	magicEdit        = 0x44455754 // "TWED"
	manifestHeadSize = 32
	editHeadSize     = 20
	maxEditSize      = 1 << 30

	editSnapshot = 1
	editClean    = 2

	partSealed    = 1
	partAborted   = 2
	partCompacted = 4

	extentSparse  = 4 // beside the kind
	extentStamped = 8
)

// edit is one step of the manifest.
type edit struct {
	flags       uint64
	checkpoint  uint64
	durable     uint64
	incarnation uint32
	leaderEpoch int32
	nextFile    uint64
	deleted     []log.PartitionID
	parts       []partEdit
}

// partEdit is a partition's new state.
type partEdit struct {
	id         log.PartitionID
	v          pstate
	clean      int64 // offset up to which it is compacted
	drop, keep int
	extents    []extent
	hasAborted bool
	aborted    []log.AbortedTxn
	producers  []producer
}

func (e *edit) encode() []byte {
	b := make([]byte, 0, 64+len(e.parts)*96)
	b = binary.AppendUvarint(b, e.flags)
	b = binary.AppendUvarint(b, e.checkpoint)
	b = binary.AppendUvarint(b, e.durable)
	b = binary.AppendUvarint(b, uint64(e.incarnation))
	b = binary.AppendVarint(b, int64(e.leaderEpoch))
	b = binary.AppendUvarint(b, e.nextFile)
	b = binary.AppendUvarint(b, uint64(len(e.deleted)))
	for _, id := range e.deleted {
		b = appendID(b, id)
	}
	b = binary.AppendUvarint(b, uint64(len(e.parts)))
	for i := range e.parts {
		b = e.parts[i].append(b)
	}
	return b
}

func appendID(b []byte, id log.PartitionID) []byte {
	b = binary.AppendUvarint(b, id.Stream)
	b = binary.AppendUvarint(b, uint64(id.Generation))
	return binary.AppendUvarint(b, uint64(id.Index))
}

func (p *partEdit) append(b []byte) []byte {
	b = appendID(b, p.id)
	var flags uint64
	if p.v.sealed {
		flags |= partSealed
	}
	if p.hasAborted {
		flags |= partAborted
	}
	if p.clean > 0 || p.v.cfg.Compaction.On {
		flags |= partCompacted
	}
	b = binary.AppendUvarint(b, uint64(p.v.cfg.MaxAge))
	b = binary.AppendUvarint(b, uint64(p.v.cfg.MaxBytes))
	b = binary.AppendUvarint(b, uint64(p.v.cfg.KeyID))
	b = binary.AppendUvarint(b, uint64(p.v.start))
	b = binary.AppendUvarint(b, uint64(p.v.end))
	b = binary.AppendVarint(b, p.v.lastArrival)
	b = binary.AppendUvarint(b, uint64(p.v.epoch))
	b = binary.AppendUvarint(b, flags)
	if flags&partCompacted != 0 {
		b = binary.AppendUvarint(b, uint64(p.clean))
		b = appendCompaction(b, p.v.cfg.Compaction)
	}
	b = binary.AppendUvarint(b, uint64(p.drop))
	b = binary.AppendUvarint(b, uint64(p.keep))
	b = binary.AppendUvarint(b, uint64(len(p.extents)))
	for _, e := range p.extents {
		kind := uint64(e.kind)
		if e.sparse {
			kind |= extentSparse
		}
		if e.stamped {
			kind |= extentStamped
		}
		b = binary.AppendUvarint(b, kind)
		b = binary.AppendUvarint(b, e.file)
		b = binary.AppendUvarint(b, uint64(e.pos))
		b = binary.AppendUvarint(b, uint64(e.size))
		b = binary.AppendUvarint(b, uint64(e.base))
		b = binary.AppendUvarint(b, uint64(e.end-e.base))
		b = binary.AppendVarint(b, e.first)
		b = binary.AppendUvarint(b, uint64(e.last-e.first))
		b = binary.AppendUvarint(b, uint64(e.bytes))
		if e.stamped {
			b = binary.AppendVarint(b, e.stamp)
		}
	}
	if p.hasAborted {
		b = binary.AppendUvarint(b, uint64(len(p.aborted)))
		for _, a := range p.aborted {
			b = binary.AppendVarint(b, a.ProducerID)
			b = binary.AppendUvarint(b, uint64(a.FirstOffset))
			b = binary.AppendUvarint(b, uint64(a.LastOffset))
		}
	}
	b = binary.AppendUvarint(b, uint64(len(p.producers)))
	for i := range p.producers {
		b = p.producers[i].append(b)
	}
	return b
}

func appendCompaction(b []byte, k log.Compaction) []byte {
	on := uint64(0)
	if k.On {
		on = 1
	}
	b = binary.AppendUvarint(b, on)
	b = binary.AppendUvarint(b, math.Float64bits(k.MinDirty))
	for _, v := range []int64{k.MinBytes, int64(k.MinWait), int64(k.MinLag), int64(k.MaxLag), int64(k.Tombstones)} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	return b
}

func (d *decoder) compaction() log.Compaction {
	return log.Compaction{
		On: d.u(1) == 1, MinDirty: math.Float64frombits(d.u(1<<64 - 1)), MinBytes: d.pos(), MinWait: time.Duration(d.pos()),
		MinLag: time.Duration(d.pos()), MaxLag: time.Duration(d.pos()), Tombstones: time.Duration(d.pos()),
	}
}

func (p *producer) append(b []byte) []byte {
	b = binary.AppendVarint(b, p.id)
	b = binary.AppendVarint(b, int64(p.epoch))
	b = binary.AppendUvarint(b, uint64(p.txnFirst+1))
	b = binary.AppendVarint(b, p.lastArrival)
	b = binary.AppendUvarint(b, uint64(p.n))
	for _, s := range p.batches[:p.n] {
		b = binary.AppendUvarint(b, uint64(s.first))
		b = binary.AppendUvarint(b, uint64(s.last))
		b = binary.AppendUvarint(b, uint64(s.base))
		b = binary.AppendVarint(b, s.arrival)
	}
	return b
}

// decoder reads varints; bad is set once something did not fit.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) u(limit uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > limit {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) s() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

const maxInt63 = 1<<63 - 1

func (d *decoder) pos() int64  { return int64(d.u(maxInt63)) }
func (d *decoder) u32() uint32 { return uint32(d.u(1<<32 - 1)) }

// count reads a length of things that take at least one byte each.
func (d *decoder) count() int { return int(d.u(uint64(len(d.b)))) }

func (d *decoder) id() log.PartitionID {
	return log.PartitionID{Stream: d.u(1<<64 - 1), Generation: d.u32(), Index: d.u32()}
}

var errBadEdit = errors.New("manifest edit is malformed")

func decodeEdit(b []byte) (*edit, error) {
	d := &decoder{b: b}
	e := &edit{
		flags: d.u(editSnapshot | editClean), checkpoint: d.u(1<<64 - 2), durable: d.u(1<<64 - 2),
		incarnation: d.u32(), leaderEpoch: int32(d.s()), nextFile: d.u(1<<64 - 1),
	}
	for range d.count() {
		e.deleted = append(e.deleted, d.id())
	}
	for range d.count() {
		e.parts = append(e.parts, d.part())
		if d.bad {
			break
		}
	}
	if d.bad || len(d.b) > 0 {
		return nil, errBadEdit
	}
	return e, nil
}

func (d *decoder) part() partEdit {
	p := partEdit{id: d.id()}
	p.v.cfg = log.Config{MaxAge: time.Duration(d.pos()), MaxBytes: d.pos(), KeyID: d.u32()}
	p.v.start, p.v.end, p.v.lastArrival = d.pos(), d.pos(), d.s()
	p.v.epoch = d.u32()
	flags := d.u(partSealed | partAborted | partCompacted)
	p.v.sealed, p.hasAborted = flags&partSealed != 0, flags&partAborted != 0
	if flags&partCompacted != 0 {
		p.clean, p.v.cfg.Compaction = d.pos(), d.compaction()
	}
	p.drop, p.keep = int(d.u(1<<31)), int(d.u(1<<31))
	for range d.count() {
		kind := d.u32()
		e := extent{kind: kind &^ (extentSparse | extentStamped), sparse: kind&extentSparse != 0, file: d.u(1<<64 - 1), pos: d.pos(), size: d.pos(), base: d.pos()}
		e.end = e.base + d.pos()
		e.first = d.s()
		e.last, e.bytes = e.first+d.pos(), d.pos()
		if e.stamped = kind&extentStamped != 0; e.stamped {
			e.stamp = d.s()
		}
		d.bad = d.bad || e.kind != kindSegment && e.kind != kindPack || e.end <= e.base || e.pos < segHeadSize || e.size <= 0
		p.extents = append(p.extents, e)
	}
	if p.hasAborted {
		for range d.count() {
			p.aborted = append(p.aborted, log.AbortedTxn{ProducerID: d.s(), FirstOffset: d.pos(), LastOffset: d.pos()})
		}
	}
	for range d.count() {
		p.producers = append(p.producers, d.producer())
	}
	d.bad = d.bad || p.v.start > p.v.end
	return p
}

func (d *decoder) producer() producer {
	p := producer{id: d.s(), epoch: int16(d.s()), txnFirst: d.pos() - 1, lastArrival: d.s(), n: int(d.u(keptBatches))}
	for i := range p.n {
		p.batches[i] = seqBatch{first: int32(d.u(1<<31 - 1)), last: int32(d.u(1<<31 - 1)), base: d.pos(), arrival: d.s()}
	}
	return p
}

// manifest is the open manifest file.
type manifest struct {
	fs       vfs.FS
	layout   layout
	history  history
	f        vfs.File
	size     int64
	number   uint64 // of the last edit
	snapshot int64  // size of the last snapshot
}

func (m *manifest) head() []byte {
	b := make([]byte, manifestHeadSize)
	le.PutUint32(b[4:], magicManifest)
	le.PutUint32(b[8:], headVersion)
	copy(b[12:], m.history.id[:])
	le.PutUint32(b, m.history.sum(b[4:]))
	return b
}

func (m *manifest) frame(number uint64, payload []byte) []byte {
	b := make([]byte, editHeadSize, editHeadSize+len(payload))
	b = append(b, payload...)
	le.PutUint32(b[4:], magicEdit)
	le.PutUint32(b[8:], uint32(len(b)))
	le.PutUint64(b[12:], number)
	le.PutUint32(b, m.history.sum(b[4:]))
	return b
}

// append makes e durable. If there is no space for it, the file is as before.
func (m *manifest) append(e *edit) error {
	b := m.frame(m.number+1, e.encode())
	if _, err := m.f.WriteAt(b, m.size); err != nil {
		if terr := m.f.Truncate(m.size); terr != nil {
			return fmt.Errorf("write manifest: %w", &syncError{errors.Join(err, terr)})
		}
		return fmt.Errorf("write manifest: %w", err)
	}
	if err := m.f.SyncData(); err != nil {
		return fmt.Errorf("write manifest: %w", &syncError{err})
	}
	m.size += int64(len(b))
	m.number++
	return nil
}

// replace makes a new file that holds e, a snapshot, and switches to it.
func (m *manifest) replace(e *edit) error {
	data := append(m.head(), m.frame(m.number+1, e.encode())...)
	tmp := m.layout.manifest() + ".tmp"
	f, err := m.fs.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		return fmt.Errorf("write manifest: %w", errors.Join(err, f.Close(), m.fs.Remove(tmp)))
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write manifest: %w", &syncError{errors.Join(err, f.Close())})
	}
	if err := m.fs.Rename(tmp, m.layout.manifest()); err != nil { // the old one stays in place
		return fmt.Errorf("write manifest: %w", errors.Join(err, f.Close(), m.fs.Remove(tmp)))
	}
	if err := m.fs.SyncDir(m.layout.dir); err != nil {
		return fmt.Errorf("write manifest: %w", &syncError{errors.Join(err, f.Close())})
	}
	if m.f != nil {
		err = m.f.Close()
	}
	m.f, m.size, m.snapshot = f, int64(len(data)), int64(len(data))
	m.number++
	return err
}

func (m *manifest) close() error {
	if m.f == nil {
		return nil
	}
	return m.f.Close()
}

// loaded is what a manifest file says.
type loaded struct {
	edit  // of the last edit, without its partitions
	parts map[log.PartitionID]*partEdit
	size  int64 // of the valid part
	total int64 // of the file
	last  uint64
	snap  int64
	// lastEdit is the last good edit, as it stands in the file.
	lastEdit []byte
	// bad tells of an edit that does not check: from size on. damaged says that
	// a later one does.
	bad, damaged bool
	badEnd       int64 // where the next valid one begins, or total
}

// load reads a manifest. It returns an error only if nothing in it can be used.
func loadManifest(b []byte, m *manifest) (*loaded, error) {
	if len(b) < manifestHeadSize || !bytes.Equal(b[:manifestHeadSize], m.head()) {
		return nil, corrupt("read manifest", "header is damaged", nil)
	}
	ld := &loaded{parts: map[log.PartitionID]*partEdit{}, size: manifestHeadSize, total: int64(len(b)), badEnd: int64(len(b))}
	for int(ld.size) < len(b) {
		e, number, size, ok := m.parse(b[ld.size:])
		if !ok || ld.last != 0 && number != ld.last+1 || ld.last == 0 && e.flags&editSnapshot == 0 || !ld.apply(e) {
			ld.bad = true
			break
		}
		if e.flags&editSnapshot != 0 {
			ld.snap = manifestHeadSize + size
		}
		ld.last = number
		ld.lastEdit = b[ld.size : ld.size+size]
		ld.size += size
	}
	if ld.bad {
		for at := int(ld.size) + 1; at+editHeadSize <= len(b); at++ {
			i := bytes.Index(b[at:], []byte("TWED"))
			if i < 0 {
				break
			}
			at += i
			if _, number, _, ok := m.parse(b[at-4:]); ok && number > ld.last {
				ld.damaged, ld.badEnd = true, int64(at-4)
				break
			}
		}
	}
	if ld.last == 0 {
		return nil, corrupt("read manifest", "first edit is damaged", nil)
	}
	return ld, nil
}

// parse reads the edit at the front of b.
func (m *manifest) parse(b []byte) (e *edit, number uint64, size int64, ok bool) {
	if len(b) < editHeadSize || le.Uint32(b[4:]) != magicEdit {
		return nil, 0, 0, false
	}
	n := int64(le.Uint32(b[8:]))
	if n < editHeadSize || n > int64(len(b)) || le.Uint32(b) != m.history.sum(b[4:n]) {
		return nil, 0, 0, false
	}
	e, err := decodeEdit(b[editHeadSize:n])
	return e, le.Uint64(b[12:]), n, err == nil && le.Uint64(b[12:]) > 0
}

// apply adds e to what is known. It reports false if e does not fit.
func (ld *loaded) apply(e *edit) bool {
	if e.flags&editSnapshot != 0 {
		clear(ld.parts)
	}
	for _, id := range e.deleted {
		delete(ld.parts, id)
	}
	for i := range e.parts {
		p := &e.parts[i]
		old := ld.parts[p.id]
		if old == nil {
			old = &partEdit{}
		}
		if p.drop+p.keep > len(old.extents) {
			return false
		}
		p.extents = append(slices.Clone(old.extents[p.drop:p.drop+p.keep]), p.extents...)
		for j := 1; j < len(p.extents); j++ {
			if p.extents[j].base < p.extents[j-1].end {
				return false
			}
		}
		if !p.hasAborted {
			p.aborted = old.aborted
		}
		p.producers = mergeProducers(old.producers, p.producers)
		p.drop, p.keep = 0, 0
		ld.parts[p.id] = p
	}
	ld.edit = *e
	ld.edit.parts, ld.edit.deleted = nil, nil
	return true
}

// mergeProducers returns old with changed added or replaced.
func mergeProducers(old, changed []producer) []producer {
	if len(old) == 0 {
		return changed
	}
	at := make(map[int64]int, len(old))
	out := slices.Clone(old)
	for i := range out {
		at[out[i].id] = i
	}
	for _, p := range changed {
		if i, ok := at[p.id]; ok {
			out[i] = p
		} else {
			out = append(out, p)
		}
	}
	return out
}
