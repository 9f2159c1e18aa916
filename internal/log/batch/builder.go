package batch

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// Record is one record of a batch. A nil Key or Value is Kafka's null, which is
// not the empty one. On reading, the slices point into the batch.
type Record struct {
	// Offset is the record's place in the partition. A Builder ignores it: it
	// numbers records from 0, and the log sets the base.
	Offset int64
	// Timestamp is in Unix milliseconds.
	Timestamp int64
	Key       []byte
	Value     []byte
	Headers   Headers
}

// maxVarint is the longest varint, in bytes.
const maxVarint = 10

// Builder writes records into one batch, magic 2, uncompressed, without an
// allocation per record. The zero Builder is empty and ready; Reset makes it so
// again and keeps the buffer. It is not safe for concurrent use.
type Builder struct {
	buf      []byte
	count    int32
	baseTime int64
	maxTime  int64
}

// Reset empties the builder.
func (b *Builder) Reset() {
	b.buf = b.buf[:0]
	b.count, b.baseTime, b.maxTime = 0, 0, 0
}

// Grow makes room for n more bytes.
func (b *Builder) Grow(n int) {
	if cap(b.buf)-len(b.buf) < n {
		b.buf = append(make([]byte, 0, len(b.buf)+n), b.buf...)
	}
}

// Count is the number of records so far.
func (b *Builder) Count() int { return int(b.count) }

// Cap is the size of the buffer that Reset would keep.
func (b *Builder) Cap() int { return cap(b.buf) }

// Size is the length of the batch that Finish would return now: 0 while it holds
// no records.
func (b *Builder) Size() int { return len(b.buf) }

// SizeWith is Size after an Append of r with a value of valueLen bytes (negative
// for null), exactly. r.Value is not looked at.
func (b *Builder) SizeWith(r Record, valueLen int) int {
	size := len(b.buf)
	delta := int64(0)
	if b.count == 0 {
		size = HeaderSize
	} else {
		delta = r.Timestamp - b.baseTime
	}
	body := bodySize(r, valueLen, delta, b.count)
	return size + varintLen(int64(body)) + body
}

// Append adds r.
func (b *Builder) Append(r Record) {
	n := len(r.Value)
	if r.Value == nil {
		n = -1
	}
	copy(b.Reserve(r, n), r.Value)
}

// Reserve adds r with a value of valueLen bytes (negative for null) that the
// caller writes into the returned slice before the next call on the builder.
// r.Value is not looked at.
func (b *Builder) Reserve(r Record, valueLen int) []byte {
	delta := int64(0)
	if b.count == 0 {
		b.Grow(HeaderSize)
		b.buf = b.buf[:HeaderSize]
		b.baseTime, b.maxTime = r.Timestamp, r.Timestamp
	} else {
		delta = r.Timestamp - b.baseTime
		b.maxTime = max(b.maxTime, r.Timestamp)
	}
	buf := binary.AppendVarint(b.buf, int64(bodySize(r, valueLen, delta, b.count)))
	buf = append(buf, 0) // attributes: unused
	buf = binary.AppendVarint(buf, delta)
	buf = binary.AppendVarint(buf, int64(b.count))
	buf = appendBytes(buf, r.Key)
	start := len(buf)
	if valueLen < 0 {
		buf = binary.AppendVarint(buf, -1)
		start = len(buf)
		valueLen = 0
	} else {
		buf = binary.AppendVarint(buf, int64(valueLen))
		start = len(buf)
		buf = extend(buf, valueLen)
	}
	buf = binary.AppendVarint(buf, int64(r.Headers.n))
	b.buf = append(buf, r.Headers.raw...)
	b.count++
	return b.buf[start : start+valueLen : start+valueLen]
}

// Finish writes the header and returns the batch, whose base offset is 0 and
// which names no producer. The batch is the builder's own buffer: it is valid
// until Reset or the next Append. A builder without records returns nil.
func (b *Builder) Finish() []byte {
	if b.count == 0 {
		return nil
	}
	h := b.buf
	be := binary.BigEndian
	be.PutUint64(h[posBaseOffset:], 0)
	be.PutUint32(h[posLength:], uint32(len(h)-12))
	be.PutUint32(h[posLeaderEpoch:], 0)
	h[posMagic] = 2
	be.PutUint16(h[posAttributes:], 0)
	be.PutUint32(h[posLastOffsetDelta:], uint32(b.count-1))
	be.PutUint64(h[posBaseTimestamp:], uint64(b.baseTime))
	be.PutUint64(h[posMaxTimestamp:], uint64(b.maxTime))
	be.PutUint64(h[posProducerID:], ^uint64(0))
	be.PutUint16(h[posProducerEpoch:], ^uint16(0))
	be.PutUint32(h[posBaseSequence:], ^uint32(0))
	be.PutUint32(h[posCount:], uint32(b.count))
	be.PutUint32(h[posCRC:], crc32.Checksum(h[posAttributes:], Castagnoli))
	return h
}

// bodySize is the length of a record after its length field.
func bodySize(r Record, valueLen int, timeDelta int64, offsetDelta int32) int {
	n := 1 + varintLen(timeDelta) + varintLen(int64(offsetDelta)) + bytesLen(r.Key)
	if valueLen < 0 {
		n++
	} else {
		n += varintLen(int64(valueLen)) + valueLen
	}
	return n + varintLen(int64(r.Headers.n)) + len(r.Headers.raw)
}

func bytesLen(p []byte) int {
	if p == nil {
		return 1
	}
	return varintLen(int64(len(p))) + len(p)
}

func appendBytes(buf, p []byte) []byte {
	if p == nil {
		return binary.AppendVarint(buf, -1)
	}
	buf = binary.AppendVarint(buf, int64(len(p)))
	return append(buf, p...)
}

// varintLen is the length of v as a zigzag varint.
func varintLen(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	return (bits.Len64(u|1) + 6) / 7
}

// extend lengthens buf by n bytes of no particular content.
func extend(buf []byte, n int) []byte {
	if cap(buf)-len(buf) >= n {
		return buf[:len(buf)+n]
	}
	grown := make([]byte, len(buf)+n, 2*cap(buf)+n+maxVarint)
	copy(grown, buf)
	return grown
}
