package delivery

import (
	"encoding/base64"
	"encoding/binary"

	"thalweg/internal/log"
)

// recordIDBytes is what a RecordId says: partition and offset, big-endian.
//
//	8  stream number   4  generation   4  index   8  offset
const recordIDBytes = 24

// AppendRecordID appends the id of the record at offset in p: 32 characters.
func AppendRecordID(dst []byte, p log.PartitionID, offset int64) []byte {
	var b [recordIDBytes]byte
	binary.BigEndian.PutUint64(b[:], p.Stream)
	binary.BigEndian.PutUint32(b[8:], p.Generation)
	binary.BigEndian.PutUint32(b[12:], p.Index)
	binary.BigEndian.PutUint64(b[16:], uint64(offset))
	return base64.RawURLEncoding.AppendEncode(dst, b[:])
}

// RecordID returns the id of the record at offset in p.
func RecordID(p log.PartitionID, offset int64) string { return string(AppendRecordID(nil, p, offset)) }

// ParseRecordID reads a RecordId.
func ParseRecordID(id string) (p log.PartitionID, offset int64, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil || len(b) != recordIDBytes {
		return p, 0, false
	}
	p = log.PartitionID{
		Stream: binary.BigEndian.Uint64(b), Generation: binary.BigEndian.Uint32(b[8:]), Index: binary.BigEndian.Uint32(b[12:]),
	}
	offset = int64(binary.BigEndian.Uint64(b[16:]))
	return p, offset, offset >= 0
}
