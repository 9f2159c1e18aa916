// Package json reads and writes AWS's JSON 1.1 documents for the shapes of the
// models: RFC 8259 strictly, without reflection.
//
// Decoding works in place: base64 and escaped text are decoded over the document
// itself, blobs alias it, strings are copies. A document can therefore be
// decoded once.
//
// The texts of errors are those AWS gives, recorded by kinesalite
// (test/helpers.js).
package json

import (
	"bytes"
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
	first [codec.MaxDepth + 1]bool // the container at that depth has had no element yet
	items int
	arena codec.Arena
}

var _ codec.Decoder = (*Decoder)(nil)

// NewDecoder returns a decoder of doc, which it overwrites.
func NewDecoder(doc []byte) *Decoder { return &Decoder{buf: doc} }

// Finish returns the first error; a document with anything after its value is
// one. It is called once, after the value has been read.
func (d *Decoder) Finish() error {
	if d.err == nil {
		if d.space(); d.pos != len(d.buf) {
			d.malformed("text after the document")
		}
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

// space passes over white space.
func (d *Decoder) space() {
	for d.pos < len(d.buf) {
		switch d.buf[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

// peek returns the next significant byte, 0 at the end or after an error.
func (d *Decoder) peek() byte {
	if d.err != nil {
		return 0
	}
	d.space()
	if d.pos == len(d.buf) {
		d.malformed("document ends early")
		return 0
	}
	return d.buf[d.pos]
}

// literal consumes word, whose first byte has been seen.
func (d *Decoder) literal(word string) bool {
	if len(d.buf)-d.pos < len(word) || string(d.buf[d.pos:d.pos+len(word)]) != word {
		d.malformed("unknown literal")
		return false
	}
	d.pos += len(word)
	return true
}

func (d *Decoder) enter() bool {
	d.pos++
	d.depth++
	if d.depth > codec.MaxDepth {
		d.malformed("nested too deep")
		return false
	}
	d.first[d.depth] = true
	return true
}

func (d *Decoder) leave() {
	d.pos++
	d.depth--
}

// more reports whether the container closed by end has another element, and
// consumes the comma before it or the end.
func (d *Decoder) more(end byte) bool {
	c := d.peek()
	switch {
	case d.err != nil:
		return false
	case c == end:
		d.leave()
		return false
	case d.first[d.depth]:
		d.first[d.depth] = false
		return true
	case c != ',':
		d.malformed("no comma between elements")
		return false
	}
	d.pos++
	return true
}

// kind classifies the value at c for error texts; ok is false for what starts no
// value.
func kind(c byte) (k codec.Kind, ok bool) {
	switch {
	case c == '{':
		return codec.KindMap, true
	case c == '[':
		return codec.KindList, true
	case c == '"':
		return codec.KindString, true
	case c == 't' || c == 'f':
		return codec.KindBool, true
	case c == '-' || c >= '0' && c <= '9':
		return codec.KindNumber, true
	}
	return 0, false
}

// null consumes a null and reports whether there was one.
func (d *Decoder) null(c byte) bool { return c == 'n' && d.literal("null") }

// Null consumes a null and reports whether there was one.
func (d *Decoder) Null() bool { return d.null(d.peek()) }

// mismatch records that the value at c is not the one wanted. The value is
// checked first, so that a document that is not well-formed says so.
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

func (d *Decoder) begin(open byte, want codec.Kind, structure bool) bool {
	c := d.peek()
	if c == open {
		return d.enter()
	}
	if d.depth == 0 && c != '[' { // AWS gives no text for a document that is no object
		d.malformed("document is no object")
		return false
	}
	if !d.null(c) {
		d.mismatch(c, func(k codec.Kind) *codec.Error { return codec.MismatchContainer(k, want, structure) })
	}
	return false
}

// BeginStruct enters a structure.
func (d *Decoder) BeginStruct() bool { return d.begin('{', codec.KindMap, true) }

// BeginMap enters a map.
func (d *Decoder) BeginMap() bool { return d.begin('{', codec.KindMap, false) }

// BeginList enters a list.
func (d *Decoder) BeginList() bool { return d.begin('[', codec.KindList, false) }

// NextKey returns the next member's name.
func (d *Decoder) NextKey() []byte {
	if !d.more('}') {
		return nil
	}
	if c := d.peek(); c != '"' {
		d.malformed("member name is no string")
		return nil
	}
	key := d.text()
	if c := d.peek(); c != ':' {
		d.malformed("no colon after a member's name")
		return nil
	}
	d.pos++
	return key
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
func (d *Decoder) NextItem() bool { return d.more(']') && d.count() }

// count bounds the elements of a document and refuses null ones.
func (d *Decoder) count() bool {
	if d.items++; d.items > codec.MaxItems {
		d.malformed("too many elements")
	}
	if d.peek() == 'n' && d.literal("null") {
		d.malformed("null element")
	}
	return d.err == nil
}

// String reads text.
func (d *Decoder) String() opt.V[string] {
	c := d.peek()
	if c == '"' {
		if b := d.text(); d.err == nil {
			return opt.Of(d.arena.String(b))
		}
		return opt.V[string]{}
	}
	if !d.null(c) {
		d.mismatchScalar(c, "String")
	}
	return opt.V[string]{}
}

// Bool reads a Boolean, or text that AWS takes for one.
func (d *Decoder) Bool() opt.V[bool] {
	c := d.peek()
	switch c {
	case 't':
		return opt.V[bool]{V: true, Set: d.literal("true")}
	case 'f':
		return opt.V[bool]{Set: d.literal("false")}
	case '"':
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
	}
	if !d.null(c) {
		d.mismatchScalar(c, "Boolean")
	}
	return opt.V[bool]{}
}

// Blob decodes base64 in place.
func (d *Decoder) Blob() []byte {
	c := d.peek()
	if c != '"' {
		if !d.null(c) {
			d.mismatchScalar(c, "Blob")
		}
		return nil
	}
	start := d.pos + 1
	n := bytes.IndexByte(d.buf[start:], '"')
	if n < 0 {
		d.malformed("string does not end")
		return nil
	}
	src := d.buf[start : start+n]
	if size, ok := decodeBase64(src); ok {
		d.pos = start + n + 1
		return src[:size:size]
	}
	// Escapes, or bad base64: the careful way.
	b := d.text()
	if d.err != nil {
		return nil
	}
	size, ok := decodeBase64(b)
	if !ok {
		d.fail(blobError(b))
		return nil
	}
	return b[:size:size]
}

// Time reads seconds since 1970, or text in the format given.
func (d *Decoder) Time(f codec.TimeFormat) opt.V[time.Time] {
	c := d.peek()
	k, _ := kind(c)
	switch {
	case k == codec.KindNumber:
		num := d.number()
		if d.err != nil {
			return opt.V[time.Time]{}
		}
		if t, ok := parseEpoch(num); ok {
			return opt.Of(t)
		}
		d.fail(codec.MismatchTime(codec.KindNumber))
	case c == '"' && f != codec.TimeDefault:
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

// Skip passes over one value and checks that it is well-formed.
func (d *Decoder) Skip() {
	c := d.peek()
	switch c {
	case '{':
		if d.enter() {
			for d.NextKey() != nil {
				d.Skip()
			}
		}
	case '[':
		if d.enter() {
			for d.more(']') {
				d.Skip()
			}
		}
	case '"':
		d.skipText()
	case 't':
		d.literal("true")
	case 'f':
		d.literal("false")
	case 'n':
		d.literal("null")
	default:
		if k, ok := kind(c); ok && k == codec.KindNumber {
			d.number()
		} else {
			d.malformed("no value")
		}
	}
}

// skipText passes over a string. Unlike text it leaves the document as it is.
func (d *Decoder) skipText() {
	d.pos++
	for start := d.pos; d.pos < len(d.buf); {
		switch c := d.buf[d.pos]; {
		case c == '"':
			if !utf8.Valid(d.buf[start:d.pos]) {
				d.malformed("text is no UTF-8")
			}
			d.pos++
			return
		case c == '\\':
			_, n := unescape(d.buf[d.pos:])
			if n == 0 {
				d.malformed("bad escape")
				return
			}
			d.pos += n
		case c < 0x20:
			d.malformed("control character in a string")
			return
		default:
			d.pos++
		}
	}
	d.malformed("string does not end")
}
