package convert

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go"

	"thalweg/internal/delivery/scan"
)

// put appends a value of the JSON in raw to a node's columns, at levels of repetition
// rep and definition def, which is the one of what the node is in.
func (w *Writer) put(n *node, raw []byte, rep, def int) error {
	if w.values > maxValues {
		return errTooMany
	}
	if len(raw) == 0 || raw[0] == 'n' {
		if n.required {
			return &missing{n.name}
		}
		w.nothing(n, rep, def)
		return nil
	}
	switch n.kind {
	case tStruct:
		return w.structure(n, raw, rep)
	case tArray:
		return w.array(n, raw, rep)
	case tMap:
		return w.mapping(n, raw, rep)
	}
	v, err := w.scalar(n, raw)
	if err != nil {
		return err
	}
	w.add(n.from, v, rep, n.def)
	return nil
}

// structure takes the last of members of one name; members that the table does not
// have are passed over.
func (w *Writer) structure(n *node, raw []byte, rep int) error {
	if raw[0] != '{' {
		return fmt.Errorf("Data is not JSONObject  but %s with value %s", javaClass(raw), shortened(raw))
	}
	s := scan.New(raw)
	if err := w.members(&s, n); err != nil {
		return err
	}
	return w.putParts(n, rep)
}

// missing is a value that must be there and is not.
type missing struct{ column string }

func (m *missing) Error() string {
	return "The column " + m.column + " is required, and the record has no value for it."
}

func (w *Writer) putParts(n *node, rep int) error {
	for i, part := range n.nodes {
		if err := w.put(part, n.values[i], rep, n.def); err != nil {
			return err
		}
	}
	return nil
}

// members reads an object, and sets n.values to what it has of the parts of n.
func (w *Writer) members(s *scan.Scanner, n *node) error {
	clear(n.values)
	if err := s.Open('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		name, more, err := s.Member(first)
		if err != nil || !more {
			return err
		}
		value, err := s.Value()
		if err != nil {
			return err
		}
		if i, known := n.keys[string(w.key(name))]; known {
			n.values[i] = value
		}
	}
}

// key is a member's name as columns are looked up by: in lower case, and with dots
// replaced, where the deserializer says so.
func (w *Writer) key(name []byte) []byte {
	o := w.c.o
	plain := true
	for _, c := range name {
		if c == '\\' || c >= 0x80 || c == '.' || 'A' <= c && c <= 'Z' {
			plain = false
			break
		}
	}
	if plain {
		return name
	}
	w.name = scan.Unquote(w.name[:0], name)
	if o.DotsToUnderscores {
		w.name = bytes.ReplaceAll(w.name, []byte("."), []byte("_"))
	}
	if !o.CaseSensitive {
		return bytes.ToLower(w.name)
	}
	return w.name
}

func (w *Writer) array(n *node, raw []byte, rep int) error {
	if raw[0] != '[' {
		return fmt.Errorf("Data is not JSONArray  but %s with value %s", javaClass(raw), shortened(raw))
	}
	s := scan.New(raw)
	if err := s.Open('['); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := s.Element(first)
		if err != nil {
			return err
		}
		if !more {
			if first {
				w.nothing(n, rep, n.def)
			}
			return nil
		}
		value, err := s.Value()
		if err != nil {
			return err
		}
		if err := w.put(n.nodes[0], value, rep, n.def+1); err != nil {
			return err
		}
		rep = n.rep
	}
}

func (w *Writer) mapping(n *node, raw []byte, rep int) error {
	if raw[0] != '{' {
		return fmt.Errorf("Data is not JSONObject  but %s with value %s", javaClass(raw), shortened(raw))
	}
	s := scan.New(raw)
	if err := s.Open('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		name, more, err := s.Member(first)
		if err != nil {
			return err
		}
		if !more {
			if first {
				w.nothing(n, rep, n.def)
			}
			return nil
		}
		quoted := append(append(append(w.name[:0], '"'), name...), '"')
		w.name = quoted
		key, err := w.scalar(n.nodes[0], quoted)
		if err != nil {
			return err
		}
		w.add(n.nodes[0].from, key, rep, n.def+1)
		value, err := s.Value()
		if err != nil {
			return err
		}
		if err := w.put(n.nodes[1], value, rep, n.def+1); err != nil {
			return err
		}
		rep = n.rep
	}
}

// nothing appends to a node's columns that there is no value from a level on.
func (w *Writer) nothing(n *node, rep, def int) {
	for i := n.from; i < n.to; i++ {
		w.add(i, parquet.Value{}, rep, def)
	}
}

func (w *Writer) add(column int, v parquet.Value, rep, def int) {
	w.columns[column] = append(w.columns[column], v.Level(rep, def, column))
	w.values++
}

// javaClass names a value of JSON as AWS's messages do.
func javaClass(raw []byte) string {
	switch raw[0] {
	case '"':
		return "java.lang.String"
	case 't', 'f':
		return "java.lang.Boolean"
	case '{':
		return "JSONObject"
	case '[':
		return "JSONArray"
	}
	if bytes.ContainsAny(raw, ".eE") {
		return "java.lang.Double"
	}
	return "java.lang.Long"
}

var (
	errMalformed = errors.New("Encountered malformed JSON.")
	errTooMany   = errors.New("The record has more than 262,144 values.")
)
