// Package jq finds the partition keys of records with a query in the language of jq
// 1.6, as a stream's MetadataExtraction processor does.
//
// The query makes one object of each record; its members are the keys, strings that
// are not empty, numbers and booleans. Numbers are doubles and are written as jq 1.6
// writes them.
//
// The language is that of github.com/itchyny/gojq, less what a query over one record
// has no use for, or what could take memory or time without bound, or would not be
// the same when a delivery is repeated: definitions, reduce, foreach, labels, imports,
// assignment, path expressions, now and local time, input, the environment. What is
// left out is refused when the query is compiled (see functions, and docs/firehose-jq.md
// for how what is left differs from jq 1.6).
//
// An evaluation takes at most [Fuel] steps, and no value that it makes is larger than
// [MaxValue]; both are counted, not timed, so that they fail for the same records each
// time. A query of plain paths, {a: .x.y, b: .z}, is read off the record without any
// of this.
package jq

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/itchyny/gojq"

	"thalweg/internal/delivery/scan"
	"thalweg/internal/errs"
)

const (
	// Fuel is how many steps an evaluation may take: instructions, and every 64 bytes of
	// the values it makes.
	Fuel = 200_000
	// MaxValue is about how many bytes of JSON a value may have, the record included.
	MaxValue = 2 << 20
)

// Why a record has no keys. The first two are AWS's words.
var (
	ErrNotJSON = errors.New("Non JSON record provided")
	ErrValues  = errors.New("partitionKeys values must not be null or empty")
	errObject  = errors.New("the query must make one object of a record")
	errFuel    = errors.New("the query takes too many steps for this record")
	errSize    = errors.New("the query makes a value that is too large")
	errScalar  = errors.New("partition keys must be strings, numbers or booleans")
)

// Query is a compiled query. It is safe for concurrent use.
type Query struct {
	source   string
	paths    *node // of a query of plain paths
	names    []string
	machines sync.Pool
}

// machine is what one evaluation at a time uses.
type machine struct {
	code  *gojq.Code
	meter *meter
}

// Compile compiles a query; its errors are of kind Invalid.
func Compile(source string) (*Query, error) {
	m, ast, err := build(source)
	if err != nil {
		return nil, &errs.Error{Kind: errs.Invalid, Msg: "the query " + strconv.Quote(source) + " is invalid: " + err.Error()}
	}
	q := &Query{source: source}
	q.names, q.paths = plainPaths(ast)
	q.machines.Put(m)
	return q, nil
}

func build(source string) (*machine, *gojq.Query, error) {
	ast, err := gojq.Parse(source)
	if err != nil {
		return nil, nil, err
	}
	plain, err := gojq.Parse(source) // the one to show: the other is changed
	if err != nil {
		return nil, nil, err
	}
	if ast, err = restrict(ast); err != nil {
		return nil, nil, err
	}
	m := &machine{meter: &meter{}}
	m.code, err = gojq.Compile(ast, m.meter.options()...)
	return m, plain, err
}

// Keys finds the keys of a record and sets them in dst under prefix and their name.
// After an error dst may hold some.
func (q *Query) Keys(dst map[string]string, prefix string, record []byte) error {
	if q.paths != nil && q.fast(dst, prefix, record) {
		return nil
	}
	if len(record) > MaxValue {
		return errSize
	}
	in, err := decode(record)
	if err != nil {
		return ErrNotJSON
	}
	return q.run(in, func(out any) error { return keysOf(dst, prefix, out) })
}

// run evaluates the query; use sees what it made, which must be one value.
func (q *Query) run(in any, use func(any) error) error {
	m, _ := q.machines.Get().(*machine)
	if m == nil {
		var err error
		if m, _, err = build(q.source); err != nil {
			return err // it was compiled before
		}
	}
	defer q.machines.Put(m)
	m.meter.reset()
	if m.meter.charge(in) != nil {
		return errSize
	}
	results := m.code.RunWithContext(m.meter, in)
	out, ok := results.Next()
	if !ok {
		return errObject
	}
	if err, failed := out.(error); failed {
		return m.meter.reason(err)
	}
	if err := use(out); err != nil {
		return err
	}
	if more, ok := results.Next(); ok {
		if err, failed := more.(error); failed {
			return m.meter.reason(err)
		}
		return errObject
	}
	return nil
}

func keysOf(dst map[string]string, prefix string, out any) error {
	object, ok := out.(map[string]any)
	if !ok {
		return errObject
	}
	for _, name := range slices.Sorted(maps.Keys(object)) { // in order, so that the error is the same each time
		text := ""
		switch value := object[name].(type) {
		case nil:
			return ErrValues
		case string:
			text = value
		case bool:
			text = strconv.FormatBool(value)
		default:
			number, ok := float(value)
			if !ok {
				return errScalar
			}
			text = string(appendNumber(nil, number))
		}
		if text == "" {
			return ErrValues
		}
		dst[prefix+name] = text
	}
	return nil
}

// decode reads a record as jq does: numbers are doubles, and the last of members of
// one name counts.
func decode(record []byte) (any, error) {
	s := scan.New(record)
	v, err := value(&s, scan.MaxDepth)
	if err != nil {
		return nil, err
	}
	return v, s.End()
}

func value(s *scan.Scanner, depth int) (any, error) {
	switch s.Peek() {
	case '{', '[':
		if depth == 0 {
			return nil, scan.ErrSyntax
		}
		return container(s, depth-1)
	case '"':
		text, err := s.String()
		if err != nil {
			return nil, err
		}
		return string(scan.Unquote(nil, text)), nil
	}
	raw, err := s.Value()
	if err != nil {
		return nil, err
	}
	switch raw[0] {
	case 't', 'f':
		return raw[0] == 't', nil
	case 'n':
		return nil, nil
	}
	return number(raw), nil
}

func container(s *scan.Scanner, depth int) (any, error) {
	if s.Peek() == '[' {
		array := []any{}
		err := s.Open('[')
		for first := true; err == nil; first = false {
			var more bool
			if more, err = s.Element(first); err != nil || !more {
				break
			}
			var v any
			if v, err = value(s, depth); err == nil {
				array = append(array, v)
			}
		}
		return array, err
	}
	object := map[string]any{}
	err := s.Open('{')
	for first := true; err == nil; first = false {
		name, more, e := s.Member(first)
		if err = e; err != nil || !more {
			break
		}
		var v any
		if v, err = value(s, depth); err == nil {
			object[string(scan.Unquote(nil, name))] = v
		}
	}
	return object, err
}

// number reads a number; what is too large for a double is as large as one can be.
func number(raw []byte) float64 {
	f, _ := strconv.ParseFloat(string(raw), 64)
	return finite(f)
}
