// Package expr reads and evaluates the expressions of DynamoDB: conditions and
// filters, updates, projections and key conditions, with its own texts for what
// is wrong with them (developer guide, "Expressions in DynamoDB"; texts as
// recorded by dynalite's tests).
//
// Expressions are bounded in length and depth. The conditions and updates that
// the older parameters Expected and AttributeUpdates stand for are built by
// package tables' callers out of the same parts. What has been parsed is not
// changed any more and may be evaluated by many goroutines; an [Input] belongs
// to one.
package expr

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"thalweg/internal/errs"
	"thalweg/internal/tables/value"
)

// Input is what the expressions of one request refer to, and what of it they
// have used.
type Input struct {
	Names  map[string]string
	Values value.Item

	usedNames, usedValues map[string]bool
}

// Unused is the error for names and values that no expression has referred to.
func (x *Input) Unused() error {
	for _, set := range []struct {
		parameter string
		keys      []string
		used      map[string]bool
	}{
		{"ExpressionAttributeNames", slices.Sorted(maps.Keys(x.Names)), x.usedNames},
		{"ExpressionAttributeValues", slices.Sorted(maps.Keys(x.Values)), x.usedValues},
	} {
		left := slices.DeleteFunc(set.keys, func(k string) bool { return set.used[k] })
		if len(left) > 0 {
			return errs.New(errs.Invalid, "Value provided in "+set.parameter+" unused in expressions: keys: {"+strings.Join(left, ", ")+"}")
		}
	}
	return nil
}

func (x *Input) name(p *parser, t token) (string, error) {
	n, ok := x.Names[t.text]
	if !ok {
		return "", p.fail("An expression attribute name used in the document path is not defined; attribute name: " + t.text)
	}
	if x.usedNames == nil {
		x.usedNames = map[string]bool{}
	}
	x.usedNames[t.text] = true
	return n, nil
}

func (x *Input) value(p *parser, t token) (value.Value, error) {
	v, ok := x.Values[t.text]
	if !ok {
		return v, p.fail("An expression attribute value used in expression is not defined; attribute value: " + t.text)
	}
	if x.usedValues == nil {
		x.usedValues = map[string]bool{}
	}
	x.usedValues[t.text] = true
	return v, nil
}

// Step is one level of a path: a name, or with Name "" a place in a list.
type Step struct {
	Name  string
	Index int
}

// Path leads to a value in an item. It begins with a name.
type Path []Step

// Attribute is the path of a whole attribute.
func Attribute(name string) Path { return Path{{Name: name}} }

// find returns the value at the path, None if there is none.
func (p Path) find(it value.Item) value.Value {
	v := it[p[0].Name]
	for _, s := range p[1:] {
		switch {
		case s.Name != "" && v.Kind == value.Map:
			v = v.Map[s.Name]
		case s.Name == "" && v.Kind == value.List && s.Index < len(v.Items):
			v = v.Items[s.Index]
		default:
			return value.Value{}
		}
	}
	return v
}

// String is the path as texts show it: [a, b, [1]].
func (p Path) String() string {
	parts := make([]string, len(p))
	for i, s := range p {
		if parts[i] = s.Name; s.Name == "" {
			parts[i] = "[" + strconv.Itoa(s.Index) + "]"
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// path reads a document path.
func (p *parser) path() (Path, error) {
	var path Path
	for {
		var n string
		switch t := p.peek(); t.kind {
		case word:
			if reserved(t.text) {
				return nil, p.fail("Attribute name is a reserved keyword; reserved keyword: " + t.text)
			}
			n = t.text
		case alias:
			var err error
			if n, err = p.x.name(p, t); err != nil {
				return nil, err
			}
		default:
			return nil, p.unexpected()
		}
		p.take()
		path = append(path, Step{Name: n})
		for p.accept("[") {
			t := p.peek()
			i, err := strconv.ParseUint(t.text, 10, 31)
			if t.kind != number || err != nil {
				return nil, p.unexpected()
			}
			p.take()
			if err := p.expect("]"); err != nil {
				return nil, err
			}
			path = append(path, Step{Index: int(i)})
		}
		if len(path) > value.MaxDepth {
			return nil, p.fail("The document path has too many nesting elements; nesting levels: " + strconv.Itoa(len(path)))
		}
		if !p.accept(".") {
			return path, nil
		}
	}
}

// overlapping returns the error for two paths of which one leads through the
// other, or which use one value as a map and as a list.
func (p *parser) overlapping(paths []Path) error {
	for i, a := range paths {
		for _, b := range paths[:i] {
			n := min(len(a), len(b))
			same := 0
			for same < n && a[same] == b[same] {
				same++
			}
			switch {
			case same == n:
				return p.fail("Two document paths overlap with each other; must remove or rewrite one of these paths; path one: " +
					b.String() + ", path two: " + a.String())
			case (a[same].Name == "") != (b[same].Name == ""):
				return p.fail("Two document paths conflict with each other; must remove or rewrite one of these paths; path one: " +
					b.String() + ", path two: " + a.String())
			}
		}
	}
	return nil
}

// Projection selects parts of items.
type Projection []Path

// Projection reads a ProjectionExpression.
func (x *Input) Projection(text string) (Projection, error) {
	p, err := x.parser("ProjectionExpression", text)
	if err != nil {
		return nil, err
	}
	var out Projection
	for {
		path, err := p.path()
		if err != nil {
			return nil, err
		}
		out = append(out, path)
		if !p.accept(",") {
			break
		}
	}
	if err := p.expectEnd(); err != nil {
		return nil, err
	}
	return out, p.overlapping(out)
}

// Of returns the selected parts of the item, in the places that they have there;
// members of a list close up. The result shares values with the item.
func (s Projection) Of(it value.Item) value.Item {
	tree := branch{}
	for _, path := range s {
		at := tree
		for i, step := range path {
			if i == len(path)-1 {
				at[step] = nil
				break
			}
			if at[step] == nil {
				at[step] = branch{}
			}
			at = at[step]
		}
	}
	return tree.item(it)
}

// branch is the paths of a projection by their first steps; nil is the whole.
type branch map[Step]branch

func (b branch) item(it value.Item) value.Item {
	out := value.Item{}
	for step, rest := range b {
		if v := rest.of(it[step.Name]); v.Kind != value.None {
			out[step.Name] = v
		}
	}
	return out
}

func (b branch) of(v value.Value) value.Value {
	if b == nil {
		return v
	}
	switch v.Kind {
	case value.Map:
		if v.Map = b.item(v.Map); len(v.Map) == 0 {
			return value.Value{}
		}
		return v
	case value.List:
		steps := slices.SortedFunc(maps.Keys(b), func(x, y Step) int { return x.Index - y.Index })
		var kept []value.Value
		for _, s := range steps {
			if s.Name != "" || s.Index >= len(v.Items) {
				continue
			}
			if m := b[s].of(v.Items[s.Index]); m.Kind != value.None {
				kept = append(kept, m)
			}
		}
		if kept == nil {
			return value.Value{}
		}
		v.Items = kept
		return v
	}
	return value.Value{}
}
