package disk

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/vfs"
)

// Report is what Verify found.
type Report struct {
	Version    int
	History    string
	Clean      bool // closed in order
	Partitions int
	Files      int // segments, packs, indexes and WAL files read
	Frames     int64
	Bytes      int64
	// Cuts are torn ends that the next open will drop: nothing acknowledged as
	// durable is in them.
	Cuts []Cut
	// Encrypted counts the frames that are, Decrypted those of them that were opened.
	Encrypted, Decrypted int64
	// Damage is everything that does not check. Offsets that it names cannot be
	// read.
	Damage []Damage
}

// OK reports whether nothing is damaged.
func (r Report) OK() bool { return len(r.Damage) == 0 }

// Verify reads everything in a data directory that no process has open, and
// checks it. It changes nothing and deletes nothing (it takes the lock, whose
// file it may make). With keys it also opens what is encrypted; without them
// (nil) only its checksums are checked. It returns an error when the directory
// cannot be read at all; damage is in the report.
func Verify(fsys vfs.FS, dir string, keys Keys) (Report, error) {
	l, err := Open(context.Background(), Options{FS: fsys, Dir: dir, Clock: clock.System(), ReadOnly: true, Manual: true, Keys: keys})
	if err != nil {
		if isCorrupt(err) {
			return Report{Damage: []Damage{{File: dir, Reason: err.Error()}}}, nil
		}
		return Report{}, err
	}
	v := &verifier{l: l}
	r := &v.report
	r.Version, r.History = l.format.Version, hex.EncodeToString(l.history.id[:])
	r.Clean, r.Cuts, r.Damage = l.recovery.Clean, l.recovery.Cuts, l.recovery.Damage
	r.Files = l.recovery.Files
	r.Frames, r.Bytes = int64(l.recovery.Frames), l.recovery.Bytes
	for _, p := range l.all() {
		r.Partitions++
		if err = v.wal(p); err != nil {
			break
		}
		for _, e := range p.allExtents() {
			if err = v.extent(p, e); err != nil {
				break
			}
		}
	}
	if err == nil {
		err = v.files()
	}
	return v.report, errors.Join(err, l.Close(context.Background()))
}

type verifier struct {
	l      *Log
	report Report
	buf    []byte
}

// wal opens the sealed frames of p that are only in the WAL, whose checksums the
// open has checked.
func (v *verifier) wal(p *partition) error {
	refs := p.dirtyRefs(p.v.end)
	for i := range refs {
		r := &refs[i]
		var err error
		if v.buf, err = v.l.appendFrame(v.buf[:0], p.id, r); err != nil {
			return err
		}
		f, _ := parseFrameHead(v.buf)
		v.open(&f, v.buf, r.damage(p.id))
	}
	return nil
}

// open opens the frame f in b if it is sealed and there are keys; d is what it is
// called should it not open.
func (v *verifier) open(f *frame, b []byte, d Damage) {
	if f.keyID == 0 {
		return
	}
	v.report.Encrypted++
	if v.l.seal.keys == nil {
		return
	}
	v.buf = append(v.buf[:0], b...)
	if _, err := v.l.seal.open(v.buf, f.keyID); err == nil {
		v.report.Decrypted++
		return
	}
	d.Reason = unopenedReason(f.keyID)
	v.report.Damage = append(v.report.Damage, d)
}

// extent checks every frame of e.
func (v *verifier) extent(p *partition, e extent) error {
	pos, next := e.pos, e.base
	var bytes int64
	first, last := int64(-1), e.first
	whole := true
	for {
		err := v.l.walkFrames(p.id, e, pos, next, func(f *frame, b []byte, at int64) bool {
			if f.base != next && !e.sparse {
				whole = false
				v.add(p.id, e, at, next, f.base, "offsets are missing before this frame")
			}
			if first < 0 {
				first = f.arrival
			}
			next, last = f.end(), f.arrival
			bytes += int64(f.size) - frameSize
			v.report.Frames++
			v.open(f, b, Damage{
				File: v.l.layout.segFile(e.file, e.kind), From: at, To: at + int64(f.size), Partition: &p.id,
				FirstOffset: f.base, EndOffset: f.end(),
			})
			return true
		})
		var d *damageError
		switch {
		case err == nil:
			v.report.Bytes += e.size
			if whole && (next != e.end || bytes != e.bytes || first != e.first || last != e.last) {
				v.add(p.id, e, e.pos, e.base, e.end, "manifest does not agree with the segment")
			}
			return nil
		case errors.As(err, &d):
			v.report.Damage = append(v.report.Damage, d.Damage)
			whole = false
			if d.To >= e.pos+e.size {
				return nil
			}
			pos, next = d.To, d.EndOffset
		case errors.Is(err, errMoved):
			return nil // a missing file: the open has reported it
		default:
			return err
		}
	}
}

func (v *verifier) add(id log.PartitionID, e extent, pos, from, to int64, why string) {
	v.report.Damage = append(v.report.Damage, Damage{
		File: v.l.layout.segFile(e.file, e.kind), From: pos, To: e.pos + e.size,
		Partition: &id, FirstOffset: from, EndOffset: to, Reason: why,
	})
}

// files checks headers and indexes.
func (v *verifier) files() error {
	ids := make([]uint64, 0, len(v.l.m.files))
	for id := range v.l.m.files {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		kind := v.l.m.files[id].kind
		path := v.l.layout.segFile(id, kind)
		b, err := readFront(v.l.o.FS, path, segHeadSize)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return errs.Wrap(errs.Internal, "read segment", err)
		}
		v.report.Files++
		if !checkSegHead(b, id, kind, v.l.history) {
			v.report.Damage = append(v.report.Damage, Damage{File: path, To: segHeadSize, Reason: "header does not match its checksum"})
		}
		if kind == kindSegment {
			if err := v.index(id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *verifier) index(id uint64) error {
	path := v.l.layout.index(id)
	b, err := vfs.ReadFile(v.l.o.FS, path, math.MaxInt64)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return errs.Wrap(errs.Internal, "read index", err)
	}
	v.report.Files++
	if _, err := parseIndex(b, id, v.l.history); err != nil && !errors.Is(err, errOldIndex) {
		v.report.Damage = append(v.report.Damage, Damage{
			File: path, To: int64(len(b)), Reason: fmt.Sprintf("%v; nothing is lost, it is derived from the segment", err),
		})
	}
	return nil
}

// readFront returns the first n bytes of a file, or fewer.
func readFront(fsys vfs.FS, path string, n int) ([]byte, error) {
	f, err := fsys.OpenFile(path, openFlag(true), 0)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	got, err := f.ReadAt(b, 0)
	cerr := f.Close()
	if got < n && err != nil {
		err = nil // shorter than a header: the caller sees that
	}
	return b[:got], errors.Join(err, cerr)
}
