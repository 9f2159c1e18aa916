// Package partition says which partition of an Iceberg table a row is in: specs,
// transforms, and what a transform makes of a value.
//
// Values are those of package single. Transforms are identity, bucket[N], truncate[W], year,
// month, day, hour and void.
//
// Source: iceberg.apache.org/spec, "Partitioning", and appendix B for the hash, whose
// values for tests are that appendix's.
package partition

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"thalweg/internal/errs"
)

// Field is a field of a partition spec.
type Field struct {
	SourceID  int    `json:"source-id"`
	ID        int    `json:"field-id"`
	Name      string `json:"name"`
	Transform string `json:"transform"`

	source  string // the type of its source
	of      transform
	operand int64
}

// Spec is a partition spec over the fields of a schema.
type Spec struct {
	ID     int     `json:"spec-id"`
	Fields []Field `json:"fields"`
}

// Parse reads a spec; typeOf tells the type of a field of the schema by its id, "" where
// there is none of a primitive type. Errors are of kind Invalid.
func Parse(raw json.RawMessage, typeOf func(id int) string) (*Spec, error) {
	s := &Spec{}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, errs.Wrap(errs.Invalid, "read a partition spec", err)
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		f.source = typeOf(f.SourceID)
		if err := f.compile(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// SourceIDs are the ids of the fields that the partition follows from.
func (s *Spec) SourceIDs() []int {
	ids := make([]int, len(s.Fields))
	for i := range s.Fields {
		ids[i] = s.Fields[i].SourceID
	}
	return ids
}

// Tuple makes of the sources' values those of the partition.
func (s *Spec) Tuple(sources []any) []any {
	out := make([]any, len(s.Fields))
	for i := range s.Fields {
		if sources[i] != nil {
			out[i] = s.Fields[i].of(sources[i], s.Fields[i].operand)
		}
	}
	return out
}

// Key is a text that tuples share if they are the same.
func Key(tuple []any) string {
	var b strings.Builder
	for _, v := range tuple {
		text := fmt.Sprintf("%T %v", v, v)
		b.WriteString(strconv.Itoa(len(text)))
		b.WriteByte(':')
		b.WriteString(text)
	}
	return b.String()
}

// compile finds the field's transform.
func (f *Field) compile() error {
	name, argument, _ := strings.Cut(f.Transform, "[")
	bad := errs.New(errs.Invalid, "the partition field "+f.Name+": "+f.Transform+" of a column of type "+f.source+" is not supported")
	if argument != "" {
		n, err := strconv.ParseInt(strings.TrimSuffix(argument, "]"), 10, 32)
		if err != nil || n < 1 || !strings.HasSuffix(argument, "]") {
			return bad
		}
		f.operand = n
	}
	if of := transforms[name]; of != nil {
		f.of = of(kindOf(f.source))
	}
	if f.of == nil || (f.operand > 0) != (name == "bucket" || name == "truncate") {
		return bad
	}
	return nil
}

// kindOf is a type without what stands in its parentheses.
func kindOf(t string) string {
	if i := strings.IndexAny(t, "(["); i >= 0 {
		return t[:i]
	}
	return t
}

// Type is the type of the field's values.
func (f *Field) Type() string {
	name, _, _ := strings.Cut(f.Transform, "[")
	switch name {
	case "bucket", "year", "month", "hour":
		return "int"
	case "day":
		return "date"
	}
	return f.source
}
