package json

import (
	"math"
	"strconv"
	"time"

	"thalweg/internal/awsapi/codec"
	"thalweg/internal/opt"
)

// maxNumber is how many characters a number may have; the longest any shape can
// use is far below.
const maxNumber = 512

// num is a number's text, split at its point and exponent.
type num struct {
	text    []byte
	whole   bool // neither fraction nor exponent
	decimal bool // no exponent
}

// number reads the number at the cursor.
func (d *Decoder) number() num {
	start, b := d.pos, d.buf
	n := num{whole: true, decimal: true}
	i := start
	digits := func() bool {
		from := i
		for i < len(b) && b[i] >= '0' && b[i] <= '9' {
			i++
		}
		return i > from
	}
	if i < len(b) && b[i] == '-' {
		i++
	}
	zero := i < len(b) && b[i] == '0'
	from := i
	if !digits() || zero && i-from > 1 {
		d.malformed("bad number")
		return num{}
	}
	if i < len(b) && b[i] == '.' {
		i++
		n.whole = false
		if !digits() {
			d.malformed("bad number")
			return num{}
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		n.whole, n.decimal = false, false
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			d.malformed("bad number")
			return num{}
		}
	}
	if i-start > maxNumber {
		d.malformed("number too long")
		return num{}
	}
	n.text = b[start:i]
	d.pos = i
	return n
}

// isNumber reports whether a number stands at the cursor; null is consumed and
// anything else is an error.
func (d *Decoder) isNumber(want string) bool {
	c := d.peek()
	if k, ok := kind(c); ok && k == codec.KindNumber {
		return true
	}
	if !d.null(c) {
		d.mismatchScalar(c, want)
	}
	return false
}

// integer reads a number as AWS does: cut to its whole part, and to the nearest
// end of [low, high] when it lies beyond.
func (d *Decoder) integer(low, high int64, want string) (int64, bool) {
	if !d.isNumber(want) {
		return 0, false
	}
	n := d.number()
	if d.err != nil {
		return 0, false
	}
	return min(max(n.int64(), low), high), true
}

// int64 returns the nearest integer towards zero. The error of strconv is
// always its range, at which it has returned the bound.
func (n num) int64() int64 {
	if n.whole {
		v, _ := strconv.ParseInt(string(n.text), 10, 64)
		return v
	}
	f, _ := strconv.ParseFloat(string(n.text), 64)
	return codec.Truncate(f)
}

// Int reads a 32-bit integer.
func (d *Decoder) Int() opt.V[int32] {
	v, ok := d.integer(math.MinInt32, math.MaxInt32, "Integer")
	return opt.V[int32]{V: int32(v), Set: ok}
}

// Long reads a 64-bit integer.
func (d *Decoder) Long() opt.V[int64] {
	v, ok := d.integer(math.MinInt64, math.MaxInt64, "Long")
	return opt.V[int64]{V: v, Set: ok}
}

// Float reads a number.
func (d *Decoder) Float() opt.V[float64] {
	if !d.isNumber("Double") {
		return opt.V[float64]{}
	}
	n := d.number()
	if d.err != nil {
		return opt.V[float64]{}
	}
	f, err := strconv.ParseFloat(string(n.text), 64)
	if err != nil {
		d.fail(codec.Mismatch(codec.KindNumber, "Double"))
		return opt.V[float64]{}
	}
	return opt.Of(f)
}

// parseEpoch reads seconds since 1970 exactly, to the nanosecond.
func parseEpoch(n num) (time.Time, bool) {
	if !n.decimal {
		f, err := strconv.ParseFloat(string(n.text), 64)
		if err != nil || math.Abs(f) > codec.MaxEpochSeconds {
			return time.Time{}, false
		}
		return codec.CheckTime(time.UnixMilli(int64(math.Round(f * 1000))).UTC())
	}
	text, negative := n.text, false
	if text[0] == '-' {
		text, negative = text[1:], true
	}
	var sec, nanos int64
	i := 0
	for ; i < len(text) && text[i] != '.'; i++ {
		if sec = sec*10 + int64(text[i]-'0'); sec > codec.MaxEpochSeconds {
			return time.Time{}, false
		}
	}
	scale := int64(time.Second)
	for i++; i < len(text) && scale > 1; i++ {
		scale /= 10
		nanos += int64(text[i]-'0') * scale
	}
	if negative {
		sec, nanos = -sec, -nanos
	}
	return codec.CheckTime(time.Unix(sec, nanos).UTC())
}
