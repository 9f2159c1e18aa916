// Package batch reads and writes Kafka record batches, magic 2, as bytes.
//
// Layout and field meanings: Apache Kafka, "Implementation > Message Format >
// Record Batch" (kafka.apache.org/documentation/#recordbatch). The functions
// are pure and safe for concurrent use; slices they return point into the input.
package batch

import (
	"encoding/binary"
	"hash/crc32"

	"thalweg/internal/errs"
)

// HeaderSize is the length of a batch without its records.
const HeaderSize = 61

// Byte positions in a batch.
const (
	posBaseOffset      = 0
	posLength          = 8
	posLeaderEpoch     = 12
	posMagic           = 16
	posCRC             = 17
	posAttributes      = 21
	posLastOffsetDelta = 23
	posBaseTimestamp   = 27
	posMaxTimestamp    = 35
	posProducerID      = 43
	posProducerEpoch   = 51
	posBaseSequence    = 53
	posCount           = 57
)

// Attribute bits.
const (
	CompressionMask  = 0x07
	TimestampLogTime = 0x08
	Transactional    = 0x10
	Control          = 0x20
)

// ErrMalformed is a batch that is not one whole magic-2 batch.
var ErrMalformed error = errs.New(errs.Invalid, "record batch is malformed")

// Castagnoli is the CRC32C table.
var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header is the fixed part of a batch.
type Header struct {
	BaseOffset      int64
	Length          int32 // bytes after the length field: whole batch - 12
	LeaderEpoch     int32
	CRC             uint32
	Attributes      int16
	LastOffsetDelta int32
	BaseTimestamp   int64
	MaxTimestamp    int64
	ProducerID      int64
	ProducerEpoch   int16
	BaseSequence    int32
	Count           int32
}

// ParseHeader reads the header of the batch at the front of b, and checks that
// b holds the whole batch and the fields are in range. It does not check the CRC.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize || b[posMagic] != 2 {
		return Header{}, ErrMalformed
	}
	h := Header{
		BaseOffset:      int64(binary.BigEndian.Uint64(b[posBaseOffset:])),
		Length:          int32(binary.BigEndian.Uint32(b[posLength:])),
		LeaderEpoch:     int32(binary.BigEndian.Uint32(b[posLeaderEpoch:])),
		CRC:             binary.BigEndian.Uint32(b[posCRC:]),
		Attributes:      int16(binary.BigEndian.Uint16(b[posAttributes:])),
		LastOffsetDelta: int32(binary.BigEndian.Uint32(b[posLastOffsetDelta:])),
		BaseTimestamp:   int64(binary.BigEndian.Uint64(b[posBaseTimestamp:])),
		MaxTimestamp:    int64(binary.BigEndian.Uint64(b[posMaxTimestamp:])),
		ProducerID:      int64(binary.BigEndian.Uint64(b[posProducerID:])),
		ProducerEpoch:   int16(binary.BigEndian.Uint16(b[posProducerEpoch:])),
		BaseSequence:    int32(binary.BigEndian.Uint32(b[posBaseSequence:])),
		Count:           int32(binary.BigEndian.Uint32(b[posCount:])),
	}
	if h.Length < HeaderSize-12 || int64(h.Length)+12 > int64(len(b)) || h.LastOffsetDelta < 0 || h.Count < 0 {
		return Header{}, ErrMalformed
	}
	return h, nil
}

// Size is the length of the whole batch.
func (h Header) Size() int { return int(h.Length) + 12 }

// CheckCRC reports whether the batch at the front of b, whose header is h,
// matches its checksum.
func CheckCRC(b []byte, h Header) bool {
	return crc32.Checksum(b[posAttributes:h.Size()], Castagnoli) == h.CRC
}

// SetCRC writes the checksum that the batch in b asks for.
func SetCRC(b []byte) {
	binary.BigEndian.PutUint32(b[posCRC:], crc32.Checksum(b[posAttributes:], Castagnoli))
}

// ClearCRC writes 0 for the checksum of the batch whose header is in b.
func ClearCRC(b []byte) { binary.BigEndian.PutUint32(b[posCRC:], 0) }

// SetBase writes base offset and leader epoch, which the CRC does not cover.
func SetBase(b []byte, offset int64, leaderEpoch int32) {
	binary.BigEndian.PutUint64(b[posBaseOffset:], uint64(offset))
	binary.BigEndian.PutUint32(b[posLeaderEpoch:], uint32(leaderEpoch))
}
