package query

import (
	"encoding/base64"
	"strconv"
	"time"

	"thalweg/internal/awsapi/codec"
)

// frame is an element that is open.
type frame struct {
	name  string // its element
	list  bool   // its values are members of a list
	entry bool   // its values are entries of a map
}

// Encoder writes one result as XML elements. It implements codec.Encoder.
type Encoder struct {
	buf   []byte
	stack []frame
	name  string // of the next value's element
}

// NewEncoder returns an encoder that appends an element of that name to buf.
func NewEncoder(buf []byte, name string) *Encoder { return &Encoder{buf: buf, name: name} }

// Bytes returns what was written.
func (e *Encoder) Bytes() []byte { return e.buf }

// open begins the element of a value.
func (e *Encoder) open() string {
	name := e.name
	if n := len(e.stack); n > 0 && e.stack[n-1].list {
		name = "member"
	}
	e.buf = append(e.buf, "<"+name+">"...)
	return name
}

// shut ends the element of a value, and the map entry that it is the value of.
func (e *Encoder) shut(name string) {
	e.buf = append(e.buf, "</"+name+">"...)
	if n := len(e.stack); n > 0 && e.stack[n-1].entry {
		e.buf = append(e.buf, "</entry>"...)
	}
}

func (e *Encoder) begin(f frame) {
	f.name = e.open()
	e.stack = append(e.stack, f)
}

func (e *Encoder) end() {
	f := e.stack[len(e.stack)-1]
	e.stack = e.stack[:len(e.stack)-1]
	e.shut(f.name)
}

func (e *Encoder) scalar(text string) {
	name := e.open()
	e.buf = AppendText(e.buf, text)
	e.shut(name)
}

// BeginStruct implements codec.Encoder.
func (e *Encoder) BeginStruct() { e.begin(frame{}) }

// Key implements codec.Encoder.
func (e *Encoder) Key(name string) { e.name = name }

// EndStruct implements codec.Encoder.
func (e *Encoder) EndStruct() { e.end() }

// BeginMap implements codec.Encoder.
func (e *Encoder) BeginMap(int) { e.begin(frame{entry: true}) }

// MapKey implements codec.Encoder.
func (e *Encoder) MapKey(key string) {
	e.buf = append(e.buf, "<entry><key>"...)
	e.buf = append(AppendText(e.buf, key), "</key>"...)
	e.name = "value"
}

// EndMap implements codec.Encoder.
func (e *Encoder) EndMap() { e.end() }

// BeginList implements codec.Encoder.
func (e *Encoder) BeginList(int) { e.begin(frame{list: true}) }

// EndList implements codec.Encoder.
func (e *Encoder) EndList() { e.end() }

// String implements codec.Encoder.
func (e *Encoder) String(s string) { e.scalar(s) }

// Int implements codec.Encoder.
func (e *Encoder) Int(n int64) { e.scalar(strconv.FormatInt(n, 10)) }

// Float implements codec.Encoder.
func (e *Encoder) Float(f float64) { e.scalar(strconv.FormatFloat(f, 'g', -1, 64)) }

// Bool implements codec.Encoder.
func (e *Encoder) Bool(b bool) { e.scalar(strconv.FormatBool(b)) }

// Time implements codec.Encoder.
func (e *Encoder) Time(t time.Time, f codec.TimeFormat) {
	layout := "2006-01-02T15:04:05.999Z"
	if f == codec.TimeHTTPDate {
		layout = "Mon, 02 Jan 2006 15:04:05 GMT"
	}
	e.scalar(t.UTC().Format(layout))
}

// Blob implements codec.Encoder.
func (e *Encoder) Blob(b []byte) { e.scalar(base64.StdEncoding.EncodeToString(b)) }

// AppendText appends text as the content of an element; what XML cannot say is
// replaced.
func AppendText(b []byte, s string) []byte {
	for _, r := range s {
		switch {
		case r == '&':
			b = append(b, "&amp;"...)
		case r == '<':
			b = append(b, "&lt;"...)
		case r == '>':
			b = append(b, "&gt;"...)
		case r == '\t' || r == '\n' || r >= ' ' && r != 0xFFFE && r != 0xFFFF:
			b = append(b, string(r)...)
		case r == '\r':
			b = append(b, "&#xD;"...)
		default:
			b = append(b, "\uFFFD"...)
		}
	}
	return b
}

// AppendError appends the answer to a request that failed.
func AppendError(b []byte, namespace, fault, code, message, requestID string) []byte {
	b = append(b, `<ErrorResponse xmlns="`+namespace+`"><Error>`...)
	for _, e := range []struct{ name, text string }{{"Type", fault}, {"Code", code}, {"Message", message}} {
		if e.text != "" {
			b = append(AppendText(append(b, "<"+e.name+">"...), e.text), "</"+e.name+">"...)
		}
	}
	return append(b, "</Error><RequestId>"+requestID+"</RequestId></ErrorResponse>"...)
}

// AppendResponse appends the answer of an operation; result writes its result,
// nil where it has none.
func AppendResponse(b []byte, namespace, op, requestID string, result func(codec.Encoder)) []byte {
	b = append(b, "<"+op+`Response xmlns="`+namespace+`">`...)
	if result != nil {
		e := NewEncoder(b, op+"Result")
		result(e)
		b = e.Bytes()
	}
	return append(b, "<ResponseMetadata><RequestId>"+requestID+"</RequestId></ResponseMetadata></"+op+"Response>"...)
}
