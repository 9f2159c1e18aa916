package disk

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"time"

	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// Sizes and magics of docs/formats/wal.md and segment.md.
const (
	frameSize    = 64
	roundSize    = 40
	walHeadSize  = 64
	segHeadSize  = 64
	maxFrameSize = 1 << 30

	magicWAL   = 0x4c415754 // "TWAL", little-endian
	magicRound = 0x44525754 // "TWRD"
	magicSeg   = 0x47535754 // "TWSG"

	kindSegment = 1
	kindPack    = 2

	walZeroed = 1 // flag: bytes after the last round are zeros
)

var le = binary.LittleEndian

// frame is the header of one frame.
type frame struct {
	crc         uint32
	size        int // of the whole frame
	lsn         uint64
	id          log.PartitionID
	base        int64
	count       int32
	leaderEpoch int32
	arrival     int64
	kind        log.Kind
	keyID       uint32 // of a sealed batch
}

func (f *frame) end() int64 { return f.base + int64(f.count) }

// batchSize is the size of the batch of a Data frame, opened.
func (f *frame) batchSize() int {
	if f.keyID != 0 {
		return f.size - frameSize - sealOverhead
	}
	return f.size - frameSize
}

// putHead writes all of f's header but the checksum to the front of b, which is
// as large as the frame.
func (f *frame) putHead(b []byte) {
	f.size = len(b)
	le.PutUint32(b[4:], uint32(len(b)))
	le.PutUint64(b[8:], f.lsn)
	le.PutUint64(b[16:], f.id.Stream)
	le.PutUint32(b[24:], f.id.Generation)
	le.PutUint32(b[28:], f.id.Index)
	le.PutUint64(b[32:], uint64(f.base))
	le.PutUint32(b[40:], uint32(f.count))
	le.PutUint32(b[44:], uint32(f.leaderEpoch))
	le.PutUint64(b[48:], uint64(f.arrival))
	le.PutUint32(b[56:], uint32(f.kind))
	le.PutUint32(b[60:], f.keyID)
}

// putSum writes the checksum of b, which holds the whole frame.
func (f *frame) putSum(b []byte, seed uint32) {
	f.crc = crc32.Update(seed, batch.Castagnoli, b[4:])
	le.PutUint32(b, f.crc)
}

// parseFrameHead reads a header without checking the checksum. ok tells that
// the fields are in range, and that more bytes than b may hold follow.
func parseFrameHead(b []byte) (f frame, ok bool) {
	if len(b) < frameSize {
		return frame{}, false
	}
	size := le.Uint32(b[4:])
	tail := le.Uint32(b[56:])
	f = frame{
		crc:         le.Uint32(b),
		size:        int(size),
		lsn:         le.Uint64(b[8:]),
		id:          log.PartitionID{Stream: le.Uint64(b[16:]), Generation: le.Uint32(b[24:]), Index: le.Uint32(b[28:])},
		base:        int64(le.Uint64(b[32:])),
		count:       int32(le.Uint32(b[40:])),
		leaderEpoch: int32(le.Uint32(b[44:])),
		arrival:     int64(le.Uint64(b[48:])),
		kind:        log.Kind(tail),
		keyID:       le.Uint32(b[60:]),
	}
	ok = size >= frameSize && size <= maxFrameSize && tail <= uint32(log.Delete) && f.base >= 0 && f.count >= 0 &&
		(f.count > 0) == (f.kind == log.Data) && (f.keyID == 0 || f.kind == log.Data) && f.lsn != 0
	return f, ok
}

// parseFrame reads and checks the frame at the front of b; the payload points
// into b. That of a sealed frame begins with its batch's header all the same.
func parseFrame(b []byte, seed uint32) (f frame, payload []byte, ok bool) {
	f, ok = parseFrameHead(b)
	if !ok || f.size > len(b) || crc32.Update(seed, batch.Castagnoli, b[4:f.size]) != f.crc {
		return f, nil, false
	}
	payload = b[frameSize:f.size]
	switch f.kind {
	case log.Data:
		if h, err := batch.ParseHeader(payload); err != nil || h.Size() != f.batchSize() {
			return f, nil, false
		}
	case log.Create, log.Configure:
		if len(payload) != configSize && len(payload) != configSize+compactionSize {
			return f, nil, false
		}
	default:
		if len(payload) != 0 {
			return f, nil, false
		}
	}
	return f, payload, true
}

// configSize is the payload of a Create or Configure; that of one with compaction
// has compactionSize more.
const (
	configSize     = 20
	compactionSize = 48
)

// appendConfig appends the payload that says c.
func appendConfig(b []byte, c log.Config) []byte {
	b = le.AppendUint64(b, uint64(c.MaxAge))
	b = le.AppendUint64(b, uint64(c.MaxBytes))
	b = le.AppendUint32(b, c.KeyID)
	if !c.Compaction.On {
		return b
	}
	k := c.Compaction
	b = le.AppendUint64(b, math.Float64bits(k.MinDirty))
	for _, v := range []int64{k.MinBytes, int64(k.MinWait), int64(k.MinLag), int64(k.MaxLag), int64(k.Tombstones)} {
		b = le.AppendUint64(b, uint64(v))
	}
	return b
}

func parseConfig(b []byte) log.Config {
	c := log.Config{
		MaxAge:   time.Duration(le.Uint64(b)),
		MaxBytes: int64(le.Uint64(b[8:])),
		KeyID:    le.Uint32(b[16:]),
	}
	if b = b[configSize:]; len(b) > 0 {
		c.Compaction = log.Compaction{
			On: true, MinDirty: math.Float64frombits(le.Uint64(b)), MinBytes: int64(le.Uint64(b[8:])),
			MinWait: time.Duration(le.Uint64(b[16:])), MinLag: time.Duration(le.Uint64(b[24:])),
			MaxLag: time.Duration(le.Uint64(b[32:])), Tombstones: time.Duration(le.Uint64(b[40:])),
		}
	}
	return c
}

// round is the header of one round.
type round struct {
	first       uint64 // LSN
	frames      uint32
	length      uint32
	durable     uint64
	incarnation uint32
	bodyCRC     uint32
}

func (r *round) last() uint64 { return r.first + uint64(r.frames) - 1 }

func (r *round) put(b []byte, h history) {
	le.PutUint32(b[4:], magicRound)
	le.PutUint64(b[8:], r.first)
	le.PutUint32(b[16:], r.frames)
	le.PutUint32(b[20:], r.length)
	le.PutUint64(b[24:], r.durable)
	le.PutUint32(b[32:], r.incarnation)
	le.PutUint32(b[36:], r.bodyCRC)
	le.PutUint32(b, h.sum(b[4:roundSize]))
}

func parseRound(b []byte, h history) (r round, ok bool) {
	if len(b) < roundSize || le.Uint32(b[4:]) != magicRound || le.Uint32(b) != h.sum(b[4:roundSize]) {
		return round{}, false
	}
	r = round{
		first:       le.Uint64(b[8:]),
		frames:      le.Uint32(b[16:]),
		length:      le.Uint32(b[20:]),
		durable:     le.Uint64(b[24:]),
		incarnation: le.Uint32(b[32:]),
		bodyCRC:     le.Uint32(b[36:]),
	}
	return r, r.frames > 0 && r.length >= frameSize && r.first > 0
}

// walHead is the header of a WAL file.
type walHead struct {
	incarnation uint32
	number      uint64
	first       uint64 // LSN
	durable     uint64
	leaderEpoch int32
	flags       uint32
}

func (w *walHead) encode(h history) []byte {
	b := make([]byte, walHeadSize)
	le.PutUint32(b[4:], magicWAL)
	le.PutUint32(b[8:], headVersion)
	le.PutUint32(b[12:], w.incarnation)
	le.PutUint64(b[16:], w.number)
	le.PutUint64(b[24:], w.first)
	le.PutUint64(b[32:], w.durable)
	copy(b[40:], h.id[:])
	le.PutUint32(b[56:], uint32(w.leaderEpoch))
	le.PutUint32(b[60:], w.flags)
	le.PutUint32(b, h.sum(b[4:]))
	return b
}

func parseWALHead(b []byte, h history) (w walHead, ok bool) {
	if len(b) < walHeadSize || le.Uint32(b[4:]) != magicWAL || le.Uint32(b) != h.sum(b[4:walHeadSize]) {
		return walHead{}, false
	}
	w = walHead{
		incarnation: le.Uint32(b[12:]),
		number:      le.Uint64(b[16:]),
		first:       le.Uint64(b[24:]),
		durable:     le.Uint64(b[32:]),
		leaderEpoch: int32(le.Uint32(b[56:])),
		flags:       le.Uint32(b[60:]),
	}
	return w, w.first > 0
}

// encodeSegHead is the header of a segment or pack.
func encodeSegHead(number uint64, kind uint32, h history) []byte {
	b := make([]byte, segHeadSize)
	le.PutUint32(b[4:], magicSeg)
	le.PutUint32(b[8:], headVersion)
	le.PutUint32(b[12:], kind)
	le.PutUint64(b[16:], number)
	copy(b[24:], h.id[:])
	le.PutUint32(b, h.sum(b[4:]))
	return b
}

func checkSegHead(b []byte, number uint64, kind uint32, h history) bool {
	return len(b) >= segHeadSize && le.Uint32(b[4:]) == magicSeg && le.Uint32(b) == h.sum(b[4:segHeadSize]) &&
		le.Uint32(b[12:]) == kind && le.Uint64(b[16:]) == number
}
