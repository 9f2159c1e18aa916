// Package kwire is the framing of Kafka's wire protocol: request and response
// headers, and the two messages that carry record batches, which are not copied
// on their way. Every other message goes through kmsg.
//
// Sources: Apache Kafka's protocol guide (kafka.apache.org/protocol) and the
// message definitions that it is generated from. The functions are pure and safe
// for concurrent use; what they return points into their input.
package kwire

import (
	"encoding/binary"

	"thalweg/internal/errs"
)

// Keys of the messages that are framed here, and of those that come before a
// client is known.
const (
	Produce          int16 = 0
	Fetch            int16 = 1
	SASLHandshake    int16 = 17
	APIVersions      int16 = 18
	SASLAuthenticate int16 = 36
)

// SizeLen is the length of the size that precedes every frame.
const SizeLen = 4

// HeadLen is how much of a frame tells its key, version and correlation.
const HeadLen = 8

// ErrMalformed is a frame that is not what its header says.
var ErrMalformed error = errs.New(errs.Invalid, "request is malformed")

// Header precedes a request's body.
type Header struct {
	Key, Version int16
	Correlation  int32
	ClientID     string
}

// ParseHeader reads a frame's header up to the client id and returns what
// follows: tagged fields where the version is flexible, then the body.
func ParseHeader(frame []byte) (h Header, rest []byte, err error) {
	r := reader{b: frame}
	h = Header{Key: r.int16(), Version: r.int16(), Correlation: r.int32()}
	id := r.nullableString()
	if r.bad {
		return h, nil, ErrMalformed
	}
	h.ClientID = string(id)
	return h, r.b, nil
}

// SkipTags returns what follows the tagged fields at the front of b.
func SkipTags(b []byte) ([]byte, error) {
	r := reader{b: b}
	r.tags()
	if r.bad {
		return nil, ErrMalformed
	}
	return r.b, nil
}

// AppendResponseHeader begins a response: room for its size, the correlation and,
// where the response is flexible, no tagged fields. ApiVersions never has any, so
// that a client of any age can read it.
func AppendResponseHeader(dst []byte, key int16, correlation int32, flexible bool) []byte {
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlation))
	if flexible && key != APIVersions {
		dst = append(dst, 0)
	}
	return dst
}

// PutSize writes the size of a frame of n bytes beside the size itself.
func PutSize(frame []byte, n int) { binary.BigEndian.PutUint32(frame, uint32(n)) }

// reader takes fields off the front of b; a field that is not there sets bad.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) int16() int16 {
	if p := r.take(2); p != nil {
		return int16(binary.BigEndian.Uint16(p))
	}
	return 0
}

func (r *reader) int32() int32 {
	if p := r.take(4); p != nil {
		return int32(binary.BigEndian.Uint32(p))
	}
	return 0
}

func (r *reader) uvarint() uint32 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 5 || v > 1<<32-1 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return uint32(v)
}

// nullableString reads a string with a length of two bytes; null is nil.
func (r *reader) nullableString() []byte {
	n := r.int16()
	if n == -1 {
		return nil
	}
	return r.take(int(n))
}

// compact reads a string or bytes with a varint length; null is nil.
func (r *reader) compact() []byte {
	n := r.uvarint()
	if n == 0 {
		return nil
	}
	return r.take(int(n - 1))
}

// tags skips tagged fields.
func (r *reader) tags() {
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		r.uvarint()
		r.take(int(r.uvarint()))
	}
}
