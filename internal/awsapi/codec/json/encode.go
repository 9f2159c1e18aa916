package json

import (
	"encoding/base64"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	asm "github.com/segmentio/asm/base64"

	"thalweg/internal/awsapi/codec"
)

// Encoder appends one JSON document to a buffer. The zero Encoder is ready.
type Encoder struct {
	buf   []byte
	comma bool
}

var _ codec.Encoder = (*Encoder)(nil)

// NewEncoder returns an encoder that appends to buf.
func NewEncoder(buf []byte) *Encoder { return &Encoder{buf: buf} }

// Reset makes e append to buf.
func (e *Encoder) Reset(buf []byte) { e.buf, e.comma = buf, false }

// Bytes returns the buffer with what was appended.
func (e *Encoder) Bytes() []byte { return e.buf }

func (e *Encoder) sep() {
	if e.comma {
		e.buf = append(e.buf, ',')
	}
	e.comma = true
}

func (e *Encoder) open(c byte) {
	e.sep()
	e.buf = append(e.buf, c)
	e.comma = false
}

func (e *Encoder) end(c byte) {
	e.buf = append(e.buf, c)
	e.comma = true
}

func (e *Encoder) BeginStruct()  { e.open('{') }
func (e *Encoder) EndStruct()    { e.end('}') }
func (e *Encoder) BeginMap(int)  { e.open('{') }
func (e *Encoder) EndMap()       { e.end('}') }
func (e *Encoder) BeginList(int) { e.open('[') }
func (e *Encoder) EndList()      { e.end(']') }

// Key writes a member's name.
func (e *Encoder) Key(name string) {
	if e.comma {
		e.buf = append(e.buf, ',')
	}
	e.buf = append(e.buf, '"')
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, '"', ':')
	e.comma = false
}

// MapKey writes an entry's key.
func (e *Encoder) MapKey(key string) {
	e.String(key)
	e.buf = append(e.buf, ':')
	e.comma = false
}

// String writes s, with bytes that are no UTF-8 replaced by U+FFFD.
func (e *Encoder) String(s string) {
	e.sep()
	e.buf = AppendString(e.buf, s)
}

// Int writes n.
func (e *Encoder) Int(n int64) {
	e.sep()
	e.buf = strconv.AppendInt(e.buf, n, 10)
}

// Float writes f; what JSON cannot hold becomes 0.
func (e *Encoder) Float(f float64) {
	e.sep()
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	e.buf = strconv.AppendFloat(e.buf, f, format, -1, 64)
}

// Bool writes b.
func (e *Encoder) Bool(b bool) {
	e.sep()
	e.buf = strconv.AppendBool(e.buf, b)
}

// Blob writes b in base64.
func (e *Encoder) Blob(b []byte) {
	e.sep()
	e.buf = append(e.buf, '"')
	e.buf = AppendBase64(e.buf, b)
	e.buf = append(e.buf, '"')
}

// Time writes t.
func (e *Encoder) Time(t time.Time, f codec.TimeFormat) {
	e.sep()
	switch f {
	case codec.TimeISO8601:
		e.buf = append(e.buf, '"')
		e.buf = AppendISO8601(e.buf, t)
		e.buf = append(e.buf, '"')
	case codec.TimeHTTPDate:
		e.buf = append(e.buf, '"')
		e.buf = t.UTC().AppendFormat(e.buf, httpDate)
		e.buf = append(e.buf, '"')
	default:
		e.buf = AppendEpoch(e.buf, t.UnixMilli())
	}
}

const httpDate = "Mon, 02 Jan 2006 15:04:05 GMT"

// AppendEpoch appends milliseconds since 1970 as seconds, with a fraction of
// three digits unless it is zero.
func AppendEpoch(b []byte, ms int64) []byte {
	sec, frac := ms/1000, ms%1000
	if frac < 0 {
		frac = -frac
		if sec == 0 {
			b = append(b, '-')
		}
	}
	b = strconv.AppendInt(b, sec, 10)
	if frac == 0 {
		return b
	}
	return append(b, '.', byte('0'+frac/100), byte('0'+frac/10%10), byte('0'+frac%10))
}

// AppendISO8601 appends t in UTC, with milliseconds unless they are zero.
func AppendISO8601(b []byte, t time.Time) []byte {
	t = t.UTC().Truncate(time.Millisecond)
	if t.Nanosecond() == 0 {
		return t.AppendFormat(b, "2006-01-02T15:04:05Z")
	}
	return t.AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// AppendBase64 appends the standard padded base64 of b.
func AppendBase64(dst, b []byte) []byte {
	n := base64.StdEncoding.EncodedLen(len(b))
	start := len(dst)
	dst = grow(dst, n)
	asm.StdEncoding.Encode(dst[start:], b)
	return dst
}

func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b[:len(b)+n]
	}
	bigger := make([]byte, len(b)+n, 2*cap(b)+n)
	copy(bigger, b)
	return bigger
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if plain[c] {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			b = appendEscape(b, c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(b, s[start:i]...)
			b = append(b, "\uFFFD"...)
			i++
			start = i
			continue
		}
		i += size
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// plain is the ASCII that stands for itself inside a JSON string.
var plain = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()
