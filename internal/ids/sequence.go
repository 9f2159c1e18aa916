package ids

import (
	"thalweg/internal/errs"
)

// A sequence number is one integer of 47 hexadecimal digits, printed in decimal
// (always 56 digits). This is the layout AWS itself uses, "version 2":
//
//	2 | shard created 9 | shard 1 | index 16 | 00 | time 9 | shard 8 | 2
//
// Created and time are Unix seconds; the single digit is the last of the shard's
// number. Index is the record's offset in the partition plus one, so that a
// shard's own starting number, index 0, stands below its first record. Time is
// the record's arrival, never below the shard's creation. Because the index
// stands above the time, numbers of a shard rise with its offsets, as integers
// and as text, and an offset is read out of a number without looking anywhere.
//
// docs/formats/sequence-numbers.md has the golden vectors.

const (
	// SequenceDigits is the length of every sequence number made here.
	SequenceDigits = 56
	// MaxSequenceIndex is the index in a closed shard's ending number.
	MaxSequenceIndex = 1<<63 - 1

	sequenceLead  = 2
	maxSeconds    = 1<<36 - 1
	maxShardIndex = 1<<31 - 1
	// maxCreated0 bounds the creation second of version-0 numbers, as AWS does.
	maxCreated0 = 16025175000
)

// ErrSequence is text that is no sequence number of any version.
var ErrSequence error = errs.New(errs.Invalid, "sequence number is not valid")

// Sequence is what a sequence number says.
type Sequence struct {
	// Version is 2 for every number made here. 0 and 1 are AWS's older layouts:
	// read, so that the answer can say that they come from elsewhere.
	Version int
	// Created is the shard's creation, Unix seconds.
	Created int64
	// Shard is the shard's number.
	Shard uint32
	// Index is the record's offset plus one; 0 for the shard's start.
	Index uint64
	// Time is the record's arrival, Unix seconds, at least Created.
	Time int64
}

// Offset is the offset of the first record at or after s.
func (s Sequence) Offset() int64 {
	if s.Index == 0 {
		return 0
	}
	return int64(s.Index - 1)
}

// OffsetAfter is the offset of the first record after s.
func (s Sequence) OffsetAfter() int64 {
	if s.Index > MaxSequenceIndex {
		return MaxSequenceIndex
	}
	return int64(s.Index)
}

// Append appends s as version 2, whatever s.Version.
func (s Sequence) Append(dst []byte) []byte {
	created, at := uint64(s.Created)&maxSeconds, uint64(max(s.Time, s.Created))&maxSeconds
	u := u192{
		sequenceLead<<56 | created<<20 | uint64(s.Shard&15)<<16 | s.Index>>48,
		s.Index<<16 | at>>28,
		at<<36 | uint64(s.Shard)<<4 | 2,
	}
	g0 := u.divmod19()
	g1 := u.divmod19()
	n := len(dst)
	dst = append(append(append(dst, zeros[:18]...), zeros...), zeros...)
	putDigits(dst[n:n+18], u[2])
	putDigits(dst[n+18:n+37], g1)
	putDigits(dst[n+37:n+56], g0)
	return dst
}

func (s Sequence) String() string {
	var buf [SequenceDigits]byte
	return string(s.Append(buf[:0]))
}

// ParseSequence reads a number of version 0, 1 or 2. A number below 2^124 means
// the same as that number plus 2^124 (version 0), as on AWS. canonical is the
// text to show of it. The error is ErrSequence.
func ParseSequence(text string) (s Sequence, canonical string, err error) {
	u, ok := parseDecimal(text)
	if !ok {
		return s, text, ErrSequence
	}
	switch {
	case u[0] == 0:
		return parseVersion0(u)
	case u[0]>>56 != sequenceLead:
		return s, text, ErrSequence
	}
	s = Sequence{
		Version: int(u[2] & 15),
		Created: int64(u[0] >> 20 & maxSeconds),
		Shard:   uint32(u[2] >> 4),
	}
	switch s.Version {
	case 1:
		return s, text, nil
	case 2:
		s.Index = u[0]<<48 | u[1]>>16
		s.Time = int64(u[1]&0xff<<28 | u[2]>>36)
		if s.Index > MaxSequenceIndex || s.Shard > maxShardIndex {
			return s, text, ErrSequence
		}
		return s, text, nil
	}
	return s, text, ErrSequence
}

// parseVersion0 reads 1 | created 9 | 2 | 16 | shard 4, 32 digits.
func parseVersion0(u u192) (s Sequence, canonical string, err error) {
	if u[1] < 1<<60 {
		u[1] += 1 << 60
	}
	s = Sequence{Created: int64(u[1] >> 24 & maxSeconds), Shard: uint32(u[2] & 0xffff)}
	u[1] = u[1]&(1<<60-1) | 1<<60
	canonical = string(u.appendDecimal(nil))
	if s.Created >= maxCreated0 {
		return s, canonical, ErrSequence
	}
	return s, canonical, nil
}
