// Package cbor reads and writes the older of AWS's two CBOR formats,
// application/x-amz-cbor-1.1: the shapes of JSON 1.1 in RFC 8949, blobs as byte
// strings, timestamps as tag 1 with epoch milliseconds. It reads the newer one
// too, whose timestamps are in seconds.
//
// Lengths may be definite or indefinite. Blobs alias the document, and pieces of
// an indefinite string are joined in place; a document can be decoded once.
package cbor

import (
	"math"
	"time"
	"unicode/utf8"

	"thalweg/internal/awsapi/codec"
	"thalweg/internal/opt"
)

// Decoder reads one document.
type Decoder struct {
	buf   []byte
	pos   int
	err   *codec.Error
	depth int
	items int
	// left is what remains in the container at each depth, open for one of
	// indefinite length.
	left  [codec.MaxDepth + 1]uint64
	arena codec.Arena
	// Seconds is whether timestamps are in seconds, as RFC 8949 has them and
	// Smithy's RPC v2 does, instead of milliseconds.
	Seconds bool
}

const open = math.MaxUint64

var _ codec.Decoder = (*Decoder)(nil)

// NewDecoder returns a decoder of doc, which it overwrites.
func NewDecoder(doc []byte) *Decoder { return &Decoder{buf: doc} }

// Finish returns the first error; a document with anything after its value is
// one. It is called once, after the value has been read.
func (d *Decoder) Finish() error {
	if d.err == nil && d.pos != len(d.buf) {
		d.malformed("bytes after the document")
	}
	if d.err != nil {
		return d.err
	}
	return nil
}

func (d *Decoder) malformed(detail string) { d.fail(&codec.Error{Detail: detail}) }

func (d *Decoder) fail(err *codec.Error) {
	if d.err == nil {
		d.err = err
	}
}

// peek returns the next initial byte; a break, which is no value, after an error
// or at the end.
func (d *Decoder) peek() byte {
	if d.err != nil {
		return codeBreak
	}
	if d.pos == len(d.buf) {
		d.malformed("document ends early")
		return codeBreak
	}
	return d.buf[d.pos]
}

// head consumes an initial byte and its argument; open for an indefinite one.
func (d *Decoder) head() (major byte, arg uint64) {
	c := d.peek()
	if d.err != nil {
		return majorSimple, 0
	}
	d.pos++
	major, info := c&0xE0, c&0x1F
	size := 0
	switch {
	case info < 24:
		return major, uint64(info)
	case info < 28:
		size = 1 << (info - 24)
	case info == indefinite && major != majorUint && major != majorNegint && major != majorTag:
		return major, open
	default:
		d.malformed("reserved additional information")
		return majorSimple, 0
	}
	if len(d.buf)-d.pos < size {
		d.malformed("document ends early")
		return majorSimple, 0
	}
	for _, b := range d.buf[d.pos : d.pos+size] {
		arg = arg<<8 | uint64(b)
	}
	d.pos += size
	if arg == open && major != majorUint && major != majorNegint && major != majorTag {
		d.malformed("length beyond the document")
		return majorSimple, 0
	}
	return major, arg
}

// value passes over tags that say nothing to a shape and returns the initial
// byte of the value; epoch is whether one of them was a timestamp's.
func (d *Decoder) value() (c byte, epoch bool) {
	for n := 0; ; n++ {
		c = d.peek()
		if d.err != nil || c&0xE0 != majorTag {
			return c, epoch
		}
		_, tag := d.head()
		if n == codec.MaxDepth || tag == 2 || tag == 3 {
			d.malformed("unusable tag")
			return codeBreak, false
		}
		epoch = epoch || tag == tagEpoch
	}
}

func kind(c byte) (codec.Kind, bool) {
	switch c & 0xE0 {
	case majorUint, majorNegint:
		return codec.KindNumber, true
	case majorBytes:
		return codec.KindBlob, true
	case majorText:
		return codec.KindString, true
	case majorList:
		return codec.KindList, true
	case majorMap:
		return codec.KindMap, true
	}
	switch c {
	case codeFalse, codeTrue:
		return codec.KindBool, true
	case codeHalf, codeSingle, codeDouble:
		return codec.KindNumber, true
	}
	return 0, false
}

// null consumes a null or undefined and reports whether there was one.
func (d *Decoder) null(c byte) bool {
	if d.err != nil || c != codeNull && c != codeUndef {
		return false
	}
	d.pos++
	return true
}

// Null consumes a null and reports whether there was one.
func (d *Decoder) Null() bool {
	c, _ := d.value()
	return d.null(c)
}

func (d *Decoder) mismatch(c byte, text func(codec.Kind) *codec.Error) {
	if d.err != nil {
		return
	}
	k, ok := kind(c)
	if !ok {
		d.malformed("no value")
		return
	}
	if d.Skip(); d.err == nil {
		d.fail(text(k))
	}
}

func (d *Decoder) mismatchScalar(c byte, want string) {
	d.mismatch(c, func(k codec.Kind) *codec.Error { return codec.Mismatch(k, want) })
}

func (d *Decoder) begin(major byte, want codec.Kind, structure bool) bool {
	c, _ := d.value()
	if d.err == nil && c&0xE0 == major {
		_, n := d.head()
		return d.err == nil && d.enter(n)
	}
	if d.depth == 0 && c&0xE0 != majorList {
		d.malformed("document is no map")
		return false
	}
	if !d.null(c) {
		d.mismatch(c, func(k codec.Kind) *codec.Error { return codec.MismatchContainer(k, want, structure) })
	}
	return false
}

func (d *Decoder) enter(n uint64) bool {
	if d.depth == codec.MaxDepth {
		d.malformed("nested too deep")
		return false
	}
	d.depth++
	d.left[d.depth] = n
	return true
}

// more reports whether the container has another element, and consumes its end.
func (d *Decoder) more() bool {
	if d.err != nil {
		return false
	}
	switch left := &d.left[d.depth]; {
	case *left == 0:
		d.depth--
		return false
	case *left != open:
		*left--
	case d.peek() == codeBreak:
		if d.err == nil {
			d.pos++
			d.depth--
		}
		return false
	}
	return true
}

// BeginStruct enters a structure.
func (d *Decoder) BeginStruct() bool { return d.begin(majorMap, codec.KindMap, true) }

// BeginMap enters a map.
func (d *Decoder) BeginMap() bool { return d.begin(majorMap, codec.KindMap, false) }

// BeginList enters a list.
func (d *Decoder) BeginList() bool { return d.begin(majorList, codec.KindList, false) }

// NextKey returns the next member's name.
func (d *Decoder) NextKey() []byte {
	if !d.more() {
		return nil
	}
	c, _ := d.value()
	if d.err != nil || c&0xE0 != majorText {
		d.malformed("member name is no text")
		return nil
	}
	return d.text()
}

// NextEntry returns the next entry's key.
func (d *Decoder) NextEntry() []byte {
	key := d.NextKey()
	if key == nil || !d.count() {
		return nil
	}
	return key
}

// NextItem reports whether another item follows.
func (d *Decoder) NextItem() bool { return d.more() && d.count() }

func (d *Decoder) count() bool {
	if d.items++; d.items > codec.MaxItems {
		d.malformed("too many elements")
		return false
	}
	if c := d.peek(); c == codeNull || c == codeUndef {
		d.malformed("null element")
	}
	return d.err == nil
}

// text reads the text string at the cursor; nil only on error.
func (d *Decoder) text() []byte {
	b := d.bytes(majorText)
	if d.err == nil && !utf8.Valid(b) {
		d.malformed("text is no UTF-8")
	}
	if d.err != nil {
		return nil
	}
	return b
}

// bytes reads the string of the major type at the cursor, joining its pieces.
func (d *Decoder) bytes(major byte) []byte {
	_, n := d.head()
	if d.err != nil {
		return nil
	}
	if n != open {
		return d.take(n)
	}
	start := d.pos
	end := start
	for d.peek() != codeBreak {
		m, n := d.head()
		if m != major || n == open {
			d.malformed("piece of another type")
			return nil
		}
		end += copy(d.buf[end:], d.take(n))
	}
	if d.err != nil {
		return nil
	}
	d.pos++
	return d.buf[start:end:end]
}

func (d *Decoder) take(n uint64) []byte {
	if uint64(len(d.buf)-d.pos) < n {
		d.malformed("string beyond the document")
		return nil
	}
	b := d.buf[d.pos : d.pos+int(n) : d.pos+int(n)]
	d.pos += int(n)
	return b
}

// String reads text.
func (d *Decoder) String() opt.V[string] {
	c, _ := d.value()
	if d.err == nil && c&0xE0 == majorText {
		b := d.text()
		if d.err != nil {
			return opt.V[string]{}
		}
		return opt.Of(d.arena.String(b))
	}
	if !d.null(c) {
		d.mismatchScalar(c, "String")
	}
	return opt.V[string]{}
}

// Bool reads a Boolean, or text that AWS takes for one.
func (d *Decoder) Bool() opt.V[bool] {
	c, _ := d.value()
	switch {
	case d.err != nil:
		return opt.V[bool]{}
	case c == codeFalse || c == codeTrue:
		d.pos++
		return opt.Of(c == codeTrue)
	case c&0xE0 == majorText:
		b := d.text()
		if d.err != nil {
			return opt.V[bool]{}
		}
		v, ok := codec.ParseBool(string(b))
		if !ok {
			d.fail(codec.BadBool(string(b)))
			return opt.V[bool]{}
		}
		return opt.Of(v)
	case !d.null(c):
		d.mismatchScalar(c, "Boolean")
	}
	return opt.V[bool]{}
}

// Blob returns a byte string's bytes.
func (d *Decoder) Blob() []byte {
	c, _ := d.value()
	if d.err == nil && c&0xE0 == majorBytes {
		return d.bytes(majorBytes)
	}
	if !d.null(c) {
		d.mismatchScalar(c, "Blob")
	}
	return nil
}

// integer reads a number as AWS does: cut to its whole part, and to the nearest
// end of [low, high] when it lies beyond.
func (d *Decoder) integer(low, high int64, want string) (int64, bool) {
	c, _ := d.value()
	if k, ok := kind(c); d.err != nil || !ok || k != codec.KindNumber {
		if !d.null(c) {
			d.mismatchScalar(c, want)
		}
		return 0, false
	}
	n, f, isFloat := d.number()
	if d.err != nil {
		return 0, false
	}
	if isFloat {
		if math.IsNaN(f) {
			d.fail(codec.Mismatch(codec.KindNumber, want))
			return 0, false
		}
		n = codec.Truncate(f)
	}
	return min(max(n, low), high), true
}

// number reads the number at the cursor, integers beyond 64 bits as the nearest.
func (d *Decoder) number() (n int64, f float64, isFloat bool) {
	c := d.peek()
	major, arg := d.head()
	if d.err != nil {
		return 0, 0, false
	}
	switch {
	case major == majorUint:
		return int64(min(arg, math.MaxInt64)), 0, false
	case major == majorNegint:
		return -1 - int64(min(arg, math.MaxInt64)), 0, false
	case c == codeHalf:
		return 0, half(uint16(arg)), true
	case c == codeSingle:
		return 0, float64(math.Float32frombits(uint32(arg))), true
	}
	return 0, math.Float64frombits(arg), true
}

// half widens a half-precision float, RFC 8949 appendix D.
func half(h uint16) float64 {
	exp, mant := int(h>>10&0x1F), float64(h&0x3FF)
	var v float64
	switch exp {
	case 0:
		v = math.Ldexp(mant, -24)
	case 31:
		v = math.Inf(1)
		if mant != 0 {
			v = math.NaN()
		}
	default:
		v = math.Ldexp(mant+1024, exp-25)
	}
	if h&0x8000 != 0 {
		return -v
	}
	return v
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

// Float reads a finite number.
func (d *Decoder) Float() opt.V[float64] {
	c, _ := d.value()
	if k, ok := kind(c); d.err != nil || !ok || k != codec.KindNumber {
		if !d.null(c) {
			d.mismatchScalar(c, "Double")
		}
		return opt.V[float64]{}
	}
	n, f, isFloat := d.number()
	if !isFloat {
		f = float64(n)
	}
	if d.err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
		d.fail(codec.Mismatch(codec.KindNumber, "Double"))
	}
	return opt.V[float64]{V: f, Set: d.err == nil}
}

// Time reads milliseconds since 1970, tagged or not, or text in the format given.
func (d *Decoder) Time(f codec.TimeFormat) opt.V[time.Time] {
	c, epoch := d.value()
	k, ok := kind(c)
	switch {
	case d.err != nil:
	case ok && k == codec.KindNumber:
		if t, ok := d.millis(); ok {
			return opt.Of(t)
		}
		d.fail(codec.MismatchTime(codec.KindNumber))
	case ok && k == codec.KindString && f != codec.TimeDefault && !epoch:
		b := d.text()
		if d.err != nil {
			return opt.V[time.Time]{}
		}
		if t, ok := codec.ParseTime(string(b), f); ok {
			return opt.Of(t)
		}
		d.fail(codec.MismatchTime(codec.KindString))
	case !d.null(c):
		d.mismatch(c, codec.MismatchTime)
	}
	return opt.V[time.Time]{}
}

func (d *Decoder) millis() (time.Time, bool) {
	n, f, isFloat := d.number()
	if d.Seconds && isFloat {
		f *= 1000
	} else if d.Seconds && max(n, -n) <= codec.MaxEpochSeconds {
		n *= 1000
	}
	if isFloat {
		if math.IsNaN(f) {
			return time.Time{}, false
		}
		n = codec.Truncate(math.Round(f))
	}
	if d.err != nil || n > codec.MaxEpochSeconds*1000 || n < -codec.MaxEpochSeconds*1000 {
		return time.Time{}, false
	}
	return codec.CheckTime(time.UnixMilli(n).UTC())
}

// Skip passes over one value and checks that it is well-formed.
func (d *Decoder) Skip() {
	c, _ := d.value()
	if d.err != nil {
		return
	}
	switch c & 0xE0 {
	case majorText:
		d.text()
	case majorBytes:
		d.bytes(majorBytes)
	case majorList, majorMap:
		_, n := d.head()
		if d.err != nil || !d.enter(n) {
			return
		}
		for d.more() {
			if c&0xE0 == majorMap {
				d.Skip()
			}
			d.Skip()
		}
	default:
		if c == codeBreak {
			d.malformed("break outside an indefinite value")
			return
		}
		if c&0xE0 == majorSimple && c&0x1F == 24 {
			d.simple()
			return
		}
		d.head()
	}
}

// simple passes over a simple value of two bytes, whose value is 32 or more.
func (d *Decoder) simple() {
	if _, v := d.head(); d.err == nil && v < 32 {
		d.malformed("bad simple value")
	}
}
