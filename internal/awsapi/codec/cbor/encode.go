package cbor

import (
	"encoding/binary"
	"math"
	"strings"
	"time"

	"thalweg/internal/awsapi/codec"
)

// Encoder appends one CBOR document to a buffer. Structures are written as maps
// of indefinite length, as AWS's services do, lists and maps with their length.
// The zero Encoder is ready.
type Encoder struct{ buf []byte }

var _ codec.Encoder = (*Encoder)(nil)

// NewEncoder returns an encoder that appends to buf.
func NewEncoder(buf []byte) *Encoder { return &Encoder{buf: buf} }

// Reset makes e append to buf.
func (e *Encoder) Reset(buf []byte) { e.buf = buf }

// Bytes returns the buffer with what was appended.
func (e *Encoder) Bytes() []byte { return e.buf }

// Major types and the codes used here, RFC 8949 section 3.
const (
	majorUint   = 0 << 5
	majorNegint = 1 << 5
	majorBytes  = 2 << 5
	majorText   = 3 << 5
	majorList   = 4 << 5
	majorMap    = 5 << 5
	majorTag    = 6 << 5
	majorSimple = 7 << 5

	indefinite = 31
	codeFalse  = majorSimple | 20
	codeTrue   = majorSimple | 21
	codeNull   = majorSimple | 22
	codeUndef  = majorSimple | 23
	codeHalf   = majorSimple | 25
	codeSingle = majorSimple | 26
	codeDouble = majorSimple | 27
	codeBreak  = majorSimple | 31

	tagEpoch = 1
)

func (e *Encoder) head(major byte, n uint64) {
	switch {
	case n < 24:
		e.buf = append(e.buf, major|byte(n))
	case n <= math.MaxUint8:
		e.buf = append(e.buf, major|24, byte(n))
	case n <= math.MaxUint16:
		e.buf = binary.BigEndian.AppendUint16(append(e.buf, major|25), uint16(n))
	case n <= math.MaxUint32:
		e.buf = binary.BigEndian.AppendUint32(append(e.buf, major|26), uint32(n))
	default:
		e.buf = binary.BigEndian.AppendUint64(append(e.buf, major|27), n)
	}
}

func (e *Encoder) BeginStruct()      { e.buf = append(e.buf, majorMap|indefinite) }
func (e *Encoder) EndStruct()        { e.buf = append(e.buf, codeBreak) }
func (e *Encoder) Key(name string)   { e.text(name) }
func (e *Encoder) BeginMap(n int)    { e.head(majorMap, uint64(n)) }
func (e *Encoder) MapKey(key string) { e.String(key) }
func (e *Encoder) EndMap()           {}
func (e *Encoder) BeginList(n int)   { e.head(majorList, uint64(n)) }
func (e *Encoder) EndList()          {}

func (e *Encoder) text(s string) {
	e.head(majorText, uint64(len(s)))
	e.buf = append(e.buf, s...)
}

// String writes s, with bytes that are no UTF-8 replaced by U+FFFD.
func (e *Encoder) String(s string) { e.text(strings.ToValidUTF8(s, "\uFFFD")) }

// Int writes n.
func (e *Encoder) Int(n int64) {
	if n < 0 {
		e.head(majorNegint, uint64(-1-n))
		return
	}
	e.head(majorUint, uint64(n))
}

// Float writes f as a double.
func (e *Encoder) Float(f float64) {
	e.buf = binary.BigEndian.AppendUint64(append(e.buf, codeDouble), math.Float64bits(f))
}

// Bool writes b.
func (e *Encoder) Bool(b bool) {
	if b {
		e.buf = append(e.buf, codeTrue)
		return
	}
	e.buf = append(e.buf, codeFalse)
}

// Blob writes b as a byte string.
func (e *Encoder) Blob(b []byte) {
	e.head(majorBytes, uint64(len(b)))
	e.buf = append(e.buf, b...)
}

// Time writes t under tag 1 as integer milliseconds, which AWS's Java SDKs send
// and expect (aws-sdk-java-v2 pull request 979, issue 4661), or as text.
func (e *Encoder) Time(t time.Time, f codec.TimeFormat) {
	switch f {
	case codec.TimeISO8601:
		e.text(t.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano))
	case codec.TimeHTTPDate:
		e.text(t.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	default:
		e.head(majorTag, tagEpoch)
		e.Int(t.UnixMilli())
	}
}
