package disk

import (
	"errors"
	"io/fs"
	"math"
	"sort"
	"sync"

	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/vfs"
)

const (
	magicIndex     = 0x58495754 // "TWIX", little-endian
	indexHeadSize  = 32
	indexEntrySize = 32
	indexVersion   = 2 // 1 had no timestamps
	maxEntries     = 2048
)

// indexEntry names one frame of a segment. stamp is the highest maximum timestamp
// of the frames from there to the next entry.
type indexEntry struct{ pos, base, arrival, stamp int64 }

// noted is a frame that was written, and its size.
type noted struct {
	indexEntry
	size int
}

// stampOf is the maximum timestamp of a batch; a marker has none.
func stampOf(b []byte) int64 {
	h, err := batch.ParseHeader(b)
	if err != nil || h.Attributes&batch.Control != 0 {
		return log.NoTimestamp
	}
	return h.MaxTimestamp
}

// index is a sparse index of one segment. It only ever says where to begin to
// look, so a missing entry costs time and nothing else.
type index struct {
	mu      sync.RWMutex
	stride  int64
	covered int64 // where the last frame noted ends: of what follows nothing is known
	entries []indexEntry
}

// add notes a frame, as an entry if it is far enough from the last one.
func (ix *index) add(f noted) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	n := len(ix.entries)
	if n > 0 && f.pos != ix.covered {
		ix.entries[n-1].stamp = math.MaxInt64 // frames are between that nobody noted
	}
	ix.covered = f.pos + int64(f.size)
	if n > 0 && f.pos < ix.entries[n-1].pos+ix.stride {
		ix.entries[n-1].stamp = max(ix.entries[n-1].stamp, f.stamp)
		return
	}
	ix.entries = append(ix.entries, f.indexEntry)
	if len(ix.entries) <= maxEntries {
		return
	}
	for i := range maxEntries/2 + 1 {
		e := ix.entries[2*i]
		if 2*i+1 < len(ix.entries) {
			e.stamp = max(e.stamp, ix.entries[2*i+1].stamp)
		}
		ix.entries[i] = e
	}
	ix.entries = ix.entries[:maxEntries/2+1]
	ix.stride *= 2
}

// before returns the last entry that begins at or before offset.
func (ix *index) before(offset int64) (indexEntry, bool) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return ix.last(func(e indexEntry) bool { return e.base <= offset })
}

// beforeTime returns the last entry that arrived before t.
func (ix *index) beforeTime(t int64) (indexEntry, bool) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return ix.last(func(e indexEntry) bool { return e.arrival < t })
}

// stamped returns the first entry around or after pos, below end, that a frame
// stamped at or after t may be behind. Of what was not noted nothing is known.
func (ix *index) stamped(pos, end, t int64) (indexEntry, bool) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	i := sort.Search(len(ix.entries), func(i int) bool { return ix.entries[i].pos > pos })
	for i = max(i-1, 0); i < len(ix.entries) && ix.entries[i].pos < end; i++ {
		if e := ix.entries[i]; e.stamp >= t || i == len(ix.entries)-1 && ix.covered < end {
			return e, true
		}
	}
	return indexEntry{}, false
}

// latest returns the highest timestamp behind the entries from the one at pos on
// that lie wholly below the offset end, and the first entry that does not.
func (ix *index) latest(pos, end int64) (stamp int64, next indexEntry, ok bool) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	stamp = log.NoTimestamp
	i := sort.Search(len(ix.entries), func(i int) bool { return ix.entries[i].pos >= pos })
	if i == len(ix.entries) || ix.entries[i].pos != pos {
		return stamp, next, false
	}
	for ; i+1 < len(ix.entries) && ix.entries[i+1].base <= end && ix.entries[i].stamp != math.MaxInt64; i++ {
		stamp = max(stamp, ix.entries[i].stamp)
	}
	return stamp, ix.entries[i], true
}

// last returns the last entry for which ok holds, where it holds for a prefix;
// mu is held.
func (ix *index) last(ok func(indexEntry) bool) (indexEntry, bool) {
	i := sort.Search(len(ix.entries), func(i int) bool { return !ok(ix.entries[i]) })
	if i == 0 {
		return indexEntry{}, false
	}
	return ix.entries[i-1], true
}

// encode returns the file for a segment.
func (ix *index) encode(number uint64, h history) []byte {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	b := make([]byte, indexHeadSize+len(ix.entries)*indexEntrySize)
	le.PutUint32(b[4:], magicIndex)
	le.PutUint32(b[8:], indexVersion)
	le.PutUint32(b[12:], uint32(len(ix.entries)))
	le.PutUint64(b[16:], number)
	le.PutUint64(b[24:], uint64(ix.covered))
	for i, e := range ix.entries {
		at := b[indexHeadSize+i*indexEntrySize:]
		le.PutUint64(at, uint64(e.pos))
		le.PutUint64(at[8:], uint64(e.base))
		le.PutUint64(at[16:], uint64(e.arrival))
		le.PutUint64(at[24:], uint64(e.stamp))
	}
	le.PutUint32(b, h.sum(b[4:]))
	return b
}

var (
	errBadIndex = errors.New("index does not match its checksum")
	errOldIndex = errors.New("index is of another version")
)

// parseIndex reads an index file of segment number.
func parseIndex(b []byte, number uint64, h history) (*index, error) {
	if len(b) < indexHeadSize || le.Uint32(b[4:]) != magicIndex || le.Uint32(b) != h.sum(b[4:]) {
		return nil, errBadIndex
	}
	if le.Uint32(b[8:]) != indexVersion {
		return nil, errOldIndex
	}
	if le.Uint64(b[16:]) != number || int64(le.Uint32(b[12:])) != int64(len(b)-indexHeadSize)/indexEntrySize ||
		(len(b)-indexHeadSize)%indexEntrySize != 0 {
		return nil, errBadIndex
	}
	ix := &index{entries: make([]indexEntry, le.Uint32(b[12:])), stride: 1, covered: int64(le.Uint64(b[24:]))}
	for i := range ix.entries {
		at := b[indexHeadSize+i*indexEntrySize:]
		e := indexEntry{int64(le.Uint64(at)), int64(le.Uint64(at[8:])), int64(le.Uint64(at[16:])), int64(le.Uint64(at[24:]))}
		if i > 0 && (e.pos <= ix.entries[i-1].pos || e.base <= ix.entries[i-1].base) || e.pos < segHeadSize {
			return nil, errBadIndex
		}
		ix.entries[i] = e
	}
	return ix, nil
}

// indexOf returns the index of a segment of p: the open one's, a cached one, its
// file, or one made by reading the segment.
func (l *Log) indexOf(p *partition, file uint64) (*index, error) {
	if ix := l.files.index(file); ix != nil {
		return ix, nil
	}
	b, err := vfs.ReadFile(l.o.FS, l.layout.index(file), indexHeadSize+(maxEntries+1)*indexEntrySize)
	if err == nil {
		var ix *index
		if ix, err = parseIndex(b, file, l.history); err == nil {
			l.files.keepIndex(file, ix)
			return ix, nil
		}
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errOldIndex) {
		l.damaged(Damage{File: l.layout.index(file), To: int64(len(b)), Reason: "index: " + err.Error() + "; it is made anew"})
	}
	ix, err := l.buildIndex(p, file)
	if err == nil {
		l.files.keepIndex(file, ix)
	}
	return ix, err
}

// buildIndex reads the segment.
func (l *Log) buildIndex(p *partition, file uint64) (*index, error) {
	ix := &index{stride: l.o.IndexBytes}
	p.mu.RLock()
	es := p.allExtents()
	p.mu.RUnlock()
	for _, e := range es {
		if e.file != file {
			continue
		}
		err := l.walkFrames(p.id, e, e.pos, e.base, func(f *frame, b []byte, pos int64) bool {
			ix.add(noted{indexEntry{pos, f.base, f.arrival, stampOf(b[frameSize:f.size])}, f.size})
			return true
		})
		if err != nil && !isCorrupt(err) {
			return nil, err
		}
	}
	return ix, nil
}
