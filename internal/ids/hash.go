package ids

import (
	"crypto/md5"
	"encoding/binary"
	"math/bits"

	"thalweg/internal/errs"
)

// ErrHash is text that is no hash key.
var ErrHash error = errs.New(errs.Invalid, "hash key is not valid")

// Hash is a place in the hash key space of a stream: an unsigned 128-bit integer.
type Hash struct{ Hi, Lo uint64 }

// MaxHash is 2^128 - 1.
var MaxHash = Hash{^uint64(0), ^uint64(0)}

// HashOf is where a record with this partition key belongs: the MD5 digest of
// its UTF-8 bytes, big-endian.
// Source: docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecord.html.
func HashOf(partitionKey []byte) Hash {
	sum := md5.Sum(partitionKey)
	return Hash{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])}
}

// ParseHash reads a hash key in decimal. It reports false for anything but
// digits without a needless leading zero, and for 2^128 and above.
func ParseHash[T string | []byte](s T) (Hash, bool) {
	u, ok := parseDecimal(s)
	return Hash{u[1], u[2]}, ok && u[0] == 0
}

// Compare orders hashes as integers.
func (h Hash) Compare(o Hash) int {
	switch {
	case h == o:
		return 0
	case h.Hi < o.Hi || h.Hi == o.Hi && h.Lo < o.Lo:
		return -1
	}
	return 1
}

// Append appends h in decimal.
func (h Hash) Append(dst []byte) []byte { return u192{0, h.Hi, h.Lo}.appendDecimal(dst) }

func (h Hash) String() string { return string(h.Append(nil)) }

// MarshalText is the decimal form.
func (h Hash) MarshalText() ([]byte, error) { return h.Append(nil), nil }

// UnmarshalText reads the decimal form.
func (h *Hash) UnmarshalText(p []byte) error {
	v, ok := ParseHash(p)
	if !ok {
		return ErrHash
	}
	*h = v
	return nil
}

// Range is a closed interval of hashes.
type Range struct{ Start, End Hash }

// Contains reports whether h lies in r.
func (r Range) Contains(h Hash) bool { return r.Start.Compare(h) <= 0 && h.Compare(r.End) <= 0 }

// Next is h + 1. It is 0 after MaxHash.
func (h Hash) Next() Hash {
	lo, carry := bits.Add64(h.Lo, 1, 0)
	return Hash{h.Hi + carry, lo}
}

// Prev is h - 1. It is MaxHash before 0.
func (h Hash) Prev() Hash {
	lo, borrow := bits.Sub64(h.Lo, 1, 0)
	return Hash{h.Hi - borrow, lo}
}

// Middle is where the upper half of r begins; a range of one hash has none, and
// Middle is then its start.
func (r Range) Middle() Hash {
	lo, borrow := bits.Sub64(r.End.Lo, r.Start.Lo, 0)
	hi, _ := bits.Sub64(r.End.Hi, r.Start.Hi, borrow)
	half := Hash{hi >> 1, hi<<63 | lo>>1} // of the width less one
	lo, carry := bits.Add64(r.Start.Lo, half.Lo, 0)
	mid := Hash{r.Start.Hi + half.Hi + carry, lo}
	if r.Start == r.End {
		return mid
	}
	return mid.Next()
}

// UniformRanges divides the whole key space as CreateStream does: each range is
// floor(2^128/n) wide, the last takes the rest. n is at least 1.
func UniformRanges(n int) []Range {
	out := make([]Range, n)
	out[n-1].End = MaxHash
	if n == 1 {
		return out
	}
	var step Hash
	var rem uint64
	step.Hi, rem = bits.Div64(1, 0, uint64(n))
	step.Lo, _ = bits.Div64(rem, 0, uint64(n))
	for i := 1; i < n; i++ {
		prev := out[i-1].Start
		lo, carry := bits.Add64(prev.Lo, step.Lo, 0)
		out[i].Start = Hash{prev.Hi + step.Hi + carry, lo}
		out[i-1].End = out[i].Start.Prev()
	}
	return out
}
