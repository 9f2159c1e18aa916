package jq

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/itchyny/gojq"

	"thalweg/internal/delivery/scan"
)

// node is a place in records that a query of plain paths looks at: a member of the
// object above, which is a key or has such members.
type node struct {
	name   string
	below  []*node
	result int // which key it is; -1 when it has members below
}

// plainPaths reads the tree of an object whose members are paths; none for any other
// query. Names are those of the object.
func plainPaths(q *gojq.Query) (names []string, root *node) {
	t := q.Term
	if t == nil || t.Type != gojq.TermTypeObject || len(t.SuffixList) > 0 {
		return nil, nil
	}
	root = &node{result: -1}
	for i, kv := range t.Object.KeyVals {
		name := kv.Key
		if kv.KeyString != nil && kv.KeyString.Queries == nil {
			name = kv.KeyString.Str
		}
		if name == "" || name[0] == '$' || kv.KeyQuery != nil || slices.Contains(names, name) {
			return nil, nil
		}
		path := []string{name}
		if kv.Val != nil {
			if path = pathOf(kv.Val); path == nil {
				return nil, nil
			}
		}
		if !root.add(path, i) {
			return nil, nil
		}
		names = append(names, name)
	}
	return names, root
}

// pathOf is the path that a query is, nil if it is none.
func pathOf(q *gojq.Query) (path []string) {
	t := q.Term
	if t == nil || t.Type != gojq.TermTypeIndex {
		return nil
	}
	indices := []*gojq.Index{t.Index}
	for _, s := range t.SuffixList {
		if s.Index == nil || s.Iter || s.Optional {
			return nil
		}
		indices = append(indices, s.Index)
	}
	for _, i := range indices {
		switch {
		case i.Start != nil && i.End == nil && !i.IsSlice && literal(i.Start):
			path = append(path, i.Start.Term.Str.Str)
		case i.IsSlice || i.Start != nil || i.End != nil:
			return nil
		case i.Str != nil && i.Str.Queries == nil:
			path = append(path, i.Str.Str)
		case i.Str == nil && i.Name != "":
			path = append(path, i.Name)
		default:
			return nil
		}
	}
	return path
}

// add reports false where one path goes on from where another ends.
func (n *node) add(path []string, result int) bool {
	if len(path) == 0 {
		n.result = result
		return true
	}
	for _, b := range n.below {
		if b.name == path[0] {
			return b.result < 0 && len(path) > 1 && b.add(path[1:], result)
		}
	}
	b := &node{name: path[0], result: -1}
	n.below = append(n.below, b)
	return b.add(path[1:], result)
}

// fast finds the keys by the paths. It reports false, and the query is to be run,
// for all that is not plain: a record that is not JSON or has no such keys, and
// names with escapes.
func (q *Query) fast(dst map[string]string, prefix string, record []byte) bool {
	var few [8][]byte
	values := few[:]
	if len(q.names) > len(values) {
		values = make([][]byte, len(q.names))
	}
	s := scan.New(record)
	if !q.paths.walk(&s, values) || s.End() != nil {
		return false
	}
	for i, name := range q.names {
		text, ok := plainText(values[i])
		if !ok {
			return false
		}
		dst[prefix+name] = text
	}
	return true
}

// walk reads the object that comes next, and sets what it holds of the keys.
func (n *node) walk(s *scan.Scanner, values [][]byte) bool {
	if s.Open('{') != nil {
		return false
	}
	for first := true; ; first = false {
		name, more, err := s.Member(first)
		if err != nil || bytes.IndexByte(name, '\\') >= 0 {
			return false
		}
		if !more {
			return true
		}
		b := n.member(name)
		if b != nil && b.result < 0 {
			b.clear(values) // the last of members of one name counts
			if !b.walk(s, values) {
				return false
			}
			continue
		}
		value, err := s.Value()
		if err != nil {
			return false
		}
		if b != nil {
			values[b.result] = value
		}
	}
}

func (n *node) member(name []byte) *node {
	for _, b := range n.below {
		if b.name == string(name) {
			return b
		}
	}
	return nil
}

func (n *node) clear(values [][]byte) {
	for _, b := range n.below {
		if b.result >= 0 {
			values[b.result] = nil
		}
		b.clear(values)
	}
}

// plainText is the key that a value is; none for null, what is empty, and no scalar.
func plainText(value []byte) (string, bool) {
	if len(value) == 0 {
		return "", false
	}
	switch c := value[0]; {
	case c == '"':
		text := value[1 : len(value)-1]
		for _, c := range text {
			if c == '\\' || c >= 0x80 {
				text = scan.Unquote(nil, text)
				break
			}
		}
		return string(text), len(text) > 0
	case c == 't' || c == 'f':
		return string(value), true
	case c == '-' || '0' <= c && c <= '9':
		if n, err := strconv.ParseInt(string(value), 10, 64); err == nil && n != 0 && -1e15 < n && n < 1e15 {
			return string(value), true
		}
		return string(appendNumber(nil, number(value))), true
	}
	return "", false
}
