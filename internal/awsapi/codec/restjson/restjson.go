// Package restjson is the part of AWS's REST-JSON protocol around the JSON body:
// path templates, and members bound to the path, the query and headers. Bodies
// are read and written by codec/json.
package restjson

import (
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"thalweg/internal/awsapi/codec"
	"thalweg/internal/opt"
)

// Template is the path of an operation, such as /v1/clusters/{clusterArn}.
type Template struct{ segments []string }

// ParseTemplate reads an operation's path. A segment in braces is a label.
func ParseTemplate(path string) Template {
	return Template{segments: strings.Split(strings.TrimPrefix(path, "/"), "/")}
}

// Match reports whether the escaped path of a request fits, and returns its
// labels, unescaped. A label is one segment: a slash in it is sent as %2F.
func (t Template) Match(escapedPath string) ([]Label, bool) {
	rest := strings.TrimPrefix(escapedPath, "/")
	var labels []Label
	for i, want := range t.segments {
		seg, tail, more := strings.Cut(rest, "/")
		if more != (i < len(t.segments)-1) {
			return nil, false
		}
		rest = tail
		if !strings.HasPrefix(want, "{") {
			if seg != want {
				return nil, false
			}
			continue
		}
		v, err := url.PathUnescape(seg)
		if err != nil || v == "" {
			return nil, false
		}
		labels = append(labels, Label{Name: want[1 : len(want)-1], Value: v})
	}
	return labels, true
}

// Label is a part of the path bound to a member.
type Label struct{ Name, Value string }

// Request is what an input's members outside the body are read from. The first
// value that does not fit its member is kept as Err.
type Request struct {
	Labels []Label
	Query  url.Values
	Err    *codec.Error
}

// Label returns the part of the path with the name.
func (r *Request) Label(name string) Text {
	for _, l := range r.Labels {
		if l.Name == name {
			return Text{values: []string{l.Value}, req: r}
		}
	}
	return Text{req: r}
}

// Param returns the values of a query parameter.
func (r *Request) Param(name string) Text { return Text{values: r.Query[name], req: r} }

// Text is the text of one member; its methods read it as the member's type and
// give nothing when it is absent.
type Text struct {
	values []string
	req    *Request
}

func (t Text) fail(want string) {
	if t.req.Err == nil {
		t.req.Err = codec.Mismatch(codec.KindString, want)
	}
}

// String returns the text.
func (t Text) String() opt.V[string] {
	if len(t.values) == 0 {
		return opt.V[string]{}
	}
	return opt.Of(t.values[0])
}

// Strings returns every value, nil when there is none.
func (t Text) Strings() []string { return t.values }

// Int reads a 32-bit integer.
func (t Text) Int() opt.V[int32] {
	v := t.integer("Integer", math.MinInt32, math.MaxInt32)
	return opt.V[int32]{V: int32(v.V), Set: v.Set}
}

// Long reads a 64-bit integer.
func (t Text) Long() opt.V[int64] { return t.integer("Long", math.MinInt64, math.MaxInt64) }

func (t Text) integer(want string, low, high int64) opt.V[int64] {
	s := t.String()
	if !s.Set {
		return opt.V[int64]{}
	}
	v, err := strconv.ParseInt(s.V, 10, 64)
	if err != nil || v < low || v > high {
		t.fail(want)
		return opt.V[int64]{}
	}
	return opt.Of(v)
}

// Bool reads a Boolean.
func (t Text) Bool() opt.V[bool] {
	s := t.String()
	if !s.Set {
		return opt.V[bool]{}
	}
	v, ok := codec.ParseBool(s.V)
	if !ok {
		if t.req.Err == nil {
			t.req.Err = codec.BadBool(s.V)
		}
		return opt.V[bool]{}
	}
	return opt.Of(v)
}

// Time reads a timestamp.
func (t Text) Time(f codec.TimeFormat) opt.V[time.Time] {
	s := t.String()
	if !s.Set {
		return opt.V[time.Time]{}
	}
	if v, ok := codec.ParseTime(s.V, f); ok {
		return opt.Of(v)
	}
	if t.req.Err == nil {
		t.req.Err = codec.MismatchTime(codec.KindString)
	}
	return opt.V[time.Time]{}
}

// Enum reads text as an enumeration's type.
func Enum[T ~string](t Text) opt.V[T] {
	s := t.String()
	return opt.V[T]{V: T(s.V), Set: s.Set}
}

// Response is where an output's members outside the body go.
type Response struct {
	Header http.Header
	// Payload is a body that is a stream instead of a document; the server
	// copies and closes it.
	Payload io.ReadCloser
}

// SetHeader sets a header to a member's text, if it has one.
func (w *Response) SetHeader(name string, v opt.V[string]) {
	if v.Set {
		w.Header.Set(name, v.V)
	}
}
