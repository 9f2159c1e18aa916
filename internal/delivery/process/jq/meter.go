package jq

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/itchyny/gojq"
)

// meter bounds one evaluation. It is the context that gojq asks before every
// instruction, so it counts them, and the function that the restricted query calls
// with every value it makes.
type meter struct {
	fuel int
	big  bool // a value was too large
}

var spent = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (m *meter) reset() { m.fuel, m.big = Fuel, false }

func (m *meter) Done() <-chan struct{} {
	if m.fuel--; m.fuel < 0 {
		return spent
	}
	return nil
}

func (m *meter) Err() error {
	if m.fuel < 0 {
		return context.Canceled
	}
	return nil
}

func (m *meter) Deadline() (time.Time, bool) { return time.Time{}, false }
func (m *meter) Value(any) any               { return nil }

// reason is why the evaluation failed.
func (m *meter) reason(err error) error {
	switch {
	case m.big:
		return errSize
	case errors.Is(err, context.Canceled):
		return errFuel
	}
	return err
}

// charge measures a value that was made.
func (m *meter) charge(v any) any {
	left := MaxValue
	m.big = m.big || !measure(v, &left)
	m.fuel -= (MaxValue - left) / 64
	if m.big {
		return errSize
	}
	return nil
}

// measure takes about the bytes that v has as JSON from left, and reports false where
// there are not as many.
func measure(v any, left *int) bool {
	switch v := v.(type) {
	case string:
		*left -= len(v) + 2
	case []any:
		*left -= 2
		for _, e := range v {
			if *left < 0 || !measure(e, left) {
				return false
			}
		}
	case map[string]any:
		*left -= 2
		for name, e := range v {
			*left -= len(name) + 3
			if *left < 0 || !measure(e, left) {
				return false
			}
		}
	default:
		*left -= 8
	}
	return *left >= 0
}

// The functions that a restricted query calls; nobody can write their names.
const (
	bounded  = "_thalweg_bounded"
	small    = "_thalweg_small"
	multiply = "_thalweg_multiply"
	join     = "_thalweg_join"
	text     = "_thalweg_text"
	ltrimstr = "_thalweg_ltrimstr"
	rtrimstr = "_thalweg_rtrimstr"
)

const (
	// maxRepeat is how long a text may be that another is made of many times.
	maxRepeat = 4 << 10
	// maxSplit is how long a text may be of which a value is made for each character.
	maxSplit = 64 << 10
)

func (m *meter) options() []gojq.CompilerOption {
	return []gojq.CompilerOption{
		gojq.WithFunction(bounded, 0, 0, func(v any, _ []any) any {
			if m.charge(v) != nil {
				return errSize
			}
			return v
		}),
		gojq.WithFunction(small, 1, 1, func(v any, args []any) any {
			if s, ok := v.(string); ok && len(s) > args[0].(int) {
				m.big = true
				return errSize
			}
			return v
		}),
		gojq.WithFunction(multiply, 2, 2, func(_ any, args []any) any { return product(args[0], args[1]) }),
		gojq.WithFunction(join, 1, 1, func(v any, args []any) any { return joined(v, args[0]) }),
		gojq.WithFunction(ltrimstr, 1, 1, func(v any, args []any) any { return trimmed(v, args[0], strings.TrimPrefix) }),
		gojq.WithFunction(rtrimstr, 1, 1, func(v any, args []any) any { return trimmed(v, args[0], strings.TrimSuffix) }),
		gojq.WithFunction(text, 0, 0, func(v any, _ []any) any { return textOf(v) }),
		gojq.WithFunction("keys_unsorted", 0, 0, func(v any, _ []any) any {
			switch v := v.(type) {
			case map[string]any:
				out := []any{}
				for _, name := range slices.Sorted(maps.Keys(v)) {
					out = append(out, name)
				}
				return out
			case []any:
				out := make([]any, len(v))
				for i := range v {
					out[i] = i
				}
				return out
			}
			return errors.New(describe(v) + " has no keys")
		}),
	}
}

// product is the * of jq 1.6: numbers, a text so many times (less than one time is
// null), and objects merged. The text is bounded by what calls it.
func product(l, r any) any {
	if s, ok := r.(string); ok {
		if _, number := float(l); number {
			l, r = s, l
		}
	}
	f, fok := float(r)
	switch l := l.(type) {
	case map[string]any:
		if r, ok := r.(map[string]any); ok {
			return merge(l, r)
		}
	case string:
		if !fok {
			break
		}
		if f <= 0 || math.IsNaN(f) {
			return nil
		}
		if times := math.Ceil(f); times*float64(len(l)) <= MaxValue {
			return strings.Repeat(l, int(max(times, 1)))
		}
		return errSize
	default:
		if l, ok := float(l); ok && fok {
			return l * f
		}
	}
	return errors.New(describe(l) + " and " + describe(r) + " cannot be multiplied")
}

// trimmed is v as it is unless both are texts.
func trimmed(v, of any, trim func(s, of string) string) any {
	s, ok := v.(string)
	if of, also := of.(string); ok && also {
		return trim(s, of)
	}
	return v
}

// joined is jq 1.6's join: of texts, numbers and booleans, with null as nothing.
func joined(v, separator any) any {
	list, ok := v.([]any)
	if !ok {
		return errors.New("Cannot iterate over " + describe(v))
	}
	between, ok := separator.(string)
	if !ok && len(list) > 0 {
		return errors.New(describe("") + " and " + describe(separator) + " cannot be added")
	}
	size := 0
	parts := make([]string, 0, len(list))
	for _, e := range list {
		part := ""
		switch e.(type) {
		case nil:
		case []any, map[string]any:
			return errors.New(describe("") + " and " + describe(e) + " cannot be added")
		default:
			part, _ = textOf(e).(string)
		}
		if size += len(part) + len(between); size > MaxValue {
			return errSize
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, between)
}

func merge(l, r map[string]any) map[string]any {
	out := maps.Clone(l)
	for name, v := range r {
		below, ok := v.(map[string]any)
		if old, both := out[name].(map[string]any); ok && both {
			out[name] = merge(old, below)
			continue
		}
		out[name] = v
	}
	return out
}

// textOf is tostring: a text as it is, all else as JSON.
func textOf(v any) any {
	if s, ok := v.(string); ok {
		return s
	}
	return string(appendJSON(nil, v))
}

func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, e)
		}
		return append(dst, ']')
	case map[string]any:
		dst = append(dst, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendJSON(dst, name), ':')
			dst = appendJSON(dst, v[name])
		}
		return append(dst, '}')
	}
	if f, ok := float(v); ok {
		return appendNumber(dst, f)
	}
	plain, err := gojq.Marshal(v)
	if err != nil {
		return append(dst, "null"...)
	}
	return append(dst, plain...)
}

// describe names a value in a message as jq 1.6 does: its type and its beginning.
func describe(v any) string {
	kind := "number"
	switch v.(type) {
	case nil:
		return "null (null)"
	case bool:
		kind = "boolean"
	case string:
		kind = "string"
	case []any:
		kind = "array"
	case map[string]any:
		kind = "object"
	}
	shown := appendJSON(nil, v)
	if len(shown) > 11 {
		shown = append(shown[:8:8], "..."...)
	}
	return kind + " (" + string(shown) + ")"
}
