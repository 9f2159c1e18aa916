// Package query is the format of AWS's query protocol: a form goes in, XML comes
// out. A member of a structure is name=value, of one within it
// outer.inner=value; items of a list are list.member.1, list.member.2, and
// entries of a map are map.entry.1.key and map.entry.1.value.
//
// [Parse] bounds the form as package codec asks. A Decoder or Encoder is used by
// one goroutine.
package query

import (
	"encoding/base64"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"thalweg/internal/awsapi/codec"
	"thalweg/internal/opt"
)

// node is a member of the form: a value, or members of its own.
type node struct {
	value    string
	names    []string // of children, as they came
	children map[string]*node
}

// Form is a form by the structure that its names tell.
type Form struct{ root node }

// Parse reads a form. It fails with a *codec.Error.
func Parse(text string) (*Form, error) {
	f := &Form{}
	nodes := 0
	for part := range strings.SplitSeq(text, "&") {
		if part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(k)
		if err != nil {
			return nil, &codec.Error{Detail: err.Error()}
		}
		val, err := url.QueryUnescape(v)
		if err != nil {
			return nil, &codec.Error{Detail: err.Error()}
		}
		at := &f.root
		depth := 0
		for step := range strings.SplitSeq(name, ".") {
			if depth++; depth > codec.MaxDepth {
				return nil, &codec.Error{Detail: "form is nested too deeply"}
			}
			next := at.children[step]
			if next == nil {
				if nodes++; nodes > codec.MaxItems {
					return nil, &codec.Error{Detail: "form has too many members"}
				}
				next = &node{}
				if at.children == nil {
					at.children = map[string]*node{}
				}
				at.children[step] = next
				at.names = append(at.names, step)
			}
			at = next
		}
		at.value = val
	}
	return f, nil
}

// Get returns the value of a member of the form itself.
func (f *Form) Get(name string) string {
	if n := f.root.children[name]; n != nil {
		return n.value
	}
	return ""
}

// cursor is a structure, list or map that is being read.
type cursor struct {
	at   *node
	left []string
}

// Decoder reads one form. It implements codec.Decoder.
type Decoder struct {
	at    *node // what is read next
	stack []cursor
	err   error
}

// NewDecoder returns a decoder of f.
func NewDecoder(f *Form) *Decoder { return &Decoder{at: &f.root} }

// Finish returns the first error.
func (d *Decoder) Finish() error { return d.err }

func (d *Decoder) fail(msg string) {
	if d.err == nil {
		d.err = &codec.Error{Msg: msg}
	}
}

// Null implements codec.Decoder: what a form has is not null.
func (d *Decoder) Null() bool { return d.err != nil }

func (d *Decoder) begin(at *node, names []string) bool {
	if d.err != nil {
		return false
	}
	d.stack = append(d.stack, cursor{at, names})
	return true
}

// next moves to the next member, entry or item, and returns its name.
func (d *Decoder) next() (string, bool) {
	if d.err != nil {
		return "", false
	}
	top := &d.stack[len(d.stack)-1]
	if len(top.left) == 0 {
		d.stack = d.stack[:len(d.stack)-1]
		return "", false
	}
	name := top.left[0]
	top.left = top.left[1:]
	d.at = top.at.children[name]
	return name, true
}

// BeginStruct implements codec.Decoder.
func (d *Decoder) BeginStruct() bool { return d.begin(d.at, d.at.names) }

// NextKey implements codec.Decoder.
func (d *Decoder) NextKey() []byte {
	name, ok := d.next()
	if !ok {
		return nil
	}
	return []byte(name)
}

// numbered returns what holds the numbered items of a list or map, and their
// numbers in order. They stand under a name (member, entry), or, in a flattened
// list, directly.
func (d *Decoder) numbered(under string) (*node, []string) {
	at := d.at
	if inner := at.children[under]; inner != nil {
		at = inner
	}
	names := slices.Clone(at.names)
	for _, name := range names {
		if n, err := strconv.Atoi(name); err != nil || n < 1 {
			d.fail("MalformedInput")
			return at, nil
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return x - y
	})
	return at, names
}

// BeginList implements codec.Decoder.
func (d *Decoder) BeginList() bool { return d.begin(d.numbered("member")) }

// NextItem implements codec.Decoder.
func (d *Decoder) NextItem() bool {
	_, ok := d.next()
	return ok
}

// BeginMap implements codec.Decoder.
func (d *Decoder) BeginMap() bool { return d.begin(d.numbered("entry")) }

// NextEntry implements codec.Decoder.
func (d *Decoder) NextEntry() []byte {
	if _, ok := d.next(); !ok {
		return nil
	}
	key, val := d.at.children["key"], d.at.children["value"]
	if key == nil || val == nil {
		d.fail("MalformedInput")
		return nil
	}
	d.at = val
	return []byte(key.value)
}

// Skip implements codec.Decoder.
func (d *Decoder) Skip() {}

// scalar reads a value with parse.
func scalar[T any](d *Decoder, parse func(string) (T, error)) opt.V[T] {
	if d.err != nil {
		return opt.V[T]{}
	}
	v, err := parse(d.at.value)
	if err != nil {
		d.fail("MalformedInput")
		return opt.V[T]{}
	}
	return opt.Of(v)
}

// String implements codec.Decoder.
func (d *Decoder) String() opt.V[string] {
	return scalar(d, func(s string) (string, error) { return s, nil })
}

// Int implements codec.Decoder.
func (d *Decoder) Int() opt.V[int32] {
	return scalar(d, func(s string) (int32, error) {
		n, err := strconv.ParseInt(s, 10, 32)
		return int32(n), err
	})
}

// Long implements codec.Decoder.
func (d *Decoder) Long() opt.V[int64] {
	return scalar(d, func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) })
}

// Float implements codec.Decoder.
func (d *Decoder) Float() opt.V[float64] {
	return scalar(d, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
}

// Bool implements codec.Decoder.
func (d *Decoder) Bool() opt.V[bool] { return scalar(d, strconv.ParseBool) }

// Time implements codec.Decoder: text of RFC 3339, or epoch seconds.
func (d *Decoder) Time(f codec.TimeFormat) opt.V[time.Time] {
	if f == codec.TimeDefault {
		f = codec.TimeISO8601
	}
	return scalar(d, func(s string) (time.Time, error) {
		if t, ok := codec.ParseTime(s, f); ok {
			return t, nil
		}
		seconds, err := strconv.ParseFloat(s, 64)
		if err != nil || math.Abs(seconds) > codec.MaxEpochSeconds {
			return time.Time{}, strconv.ErrRange
		}
		return time.UnixMilli(int64(math.Round(seconds * 1000))).UTC(), nil
	})
}

// Blob implements codec.Decoder.
func (d *Decoder) Blob() []byte {
	return scalar(d, base64.StdEncoding.DecodeString).V
}
