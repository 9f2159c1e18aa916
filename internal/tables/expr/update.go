package expr

import (
	"slices"
	"strconv"

	"thalweg/internal/errs"
	"thalweg/internal/tables/value"
)

// Update is what an UpdateExpression does to an item. Every action sees the item
// as it was before.
type Update struct {
	Sets    []Set
	Removes []Path
	Adds    []Change
	Deletes []Change
}

// Set gives the value at Path anew.
type Set struct {
	Path  Path
	Value Term
}

// Change adds to the number or set at Path, or takes from the set.
type Change struct {
	Path  Path
	Value value.Value
}

// Term is the right side of SET: a sum or difference, or just First.
type Term struct {
	First  Source
	Op     string // "+", "-" or none
	Second Source
}

// Source is a value within a [Term].
type Source interface {
	// from returns the value, or what is wrong.
	from(it value.Item) (value.Value, error)
}

func (g Given) from(value.Item) (value.Value, error) { return g.Value, nil }

func (p Path) from(it value.Item) (value.Value, error) {
	v := p.find(it)
	if v.Kind == value.None {
		return v, errs.New(errs.Invalid, "The provided expression refers to an attribute that does not exist in the item")
	}
	return v, nil
}

// ifNotExists is the function of that name.
type ifNotExists struct {
	path Path
	or   Source
}

func (f ifNotExists) from(it value.Item) (value.Value, error) {
	if v := f.path.find(it); v.Kind != value.None {
		return v, nil
	}
	return f.or.from(it)
}

// listAppend is the function of that name.
type listAppend struct{ first, second Source }

func (f listAppend) from(it value.Item) (value.Value, error) {
	a, err := f.first.from(it)
	if err != nil {
		return a, err
	}
	b, err := f.second.from(it)
	if err != nil {
		return b, err
	}
	if a.Kind != value.List || b.Kind != value.List {
		return a, badOperand()
	}
	return value.Value{Kind: value.List, Items: slices.Concat(a.Items, b.Items)}, nil
}

func badOperand() error {
	return errs.New(errs.Invalid, "An operand in the update expression has an incorrect data type")
}

func (t Term) from(it value.Item) (value.Value, error) {
	a, err := t.First.from(it)
	if err != nil || t.Op == "" {
		return a, err
	}
	b, err := t.Second.from(it)
	if err != nil {
		return b, err
	}
	if a.Kind != value.Numeric || b.Kind != value.Numeric {
		return a, badOperand()
	}
	n := b.Num
	if t.Op == "-" {
		n = n.Neg()
	}
	sum, err := a.Num.Add(n)
	return value.Value{Kind: value.Numeric, Num: sum}, err
}

// Paths are all places that the update changes.
func (u *Update) Paths() []Path {
	var list []Path
	for _, s := range u.Sets {
		list = append(list, s.Path)
	}
	list = append(list, u.Removes...)
	for _, c := range slices.Concat(u.Adds, u.Deletes) {
		list = append(list, c.Path)
	}
	return list
}

// Apply returns the item after the update; it leaves the given one as it was.
// Errors: Invalid.
func (u *Update) Apply(old value.Item) (value.Item, error) {
	it := old.Clone()
	if it == nil {
		it = value.Item{}
	}
	for _, s := range u.Sets {
		v, err := s.Value.from(old)
		if err != nil {
			return nil, err
		}
		if err := put(it, s.Path, v.Clone()); err != nil {
			return nil, err
		}
	}
	for _, c := range u.Adds {
		v, err := c.added(c.Path.find(old))
		if err != nil {
			return nil, err
		}
		if err := put(it, c.Path, v); err != nil {
			return nil, err
		}
	}
	for _, c := range u.Deletes {
		v := c.Path.find(old)
		switch {
		case v.Kind == value.None:
			continue
		case v.Kind != c.Value.Kind:
			return nil, badOperand()
		}
		if v = v.Without(c.Value); len(v.Items) == 0 {
			v = value.Value{} // there are no empty sets
		}
		if err := put(it, c.Path, v); err != nil {
			return nil, err
		}
	}
	for _, path := range u.Removes {
		if path.find(it).Kind == value.None && (len(path) == 1 || path[:len(path)-1].find(it).Kind != value.None) {
			continue // there is nothing to remove
		}
		if err := put(it, path, value.Value{}); err != nil {
			return nil, err
		}
	}
	for _, path := range u.Paths() {
		closeUp(it, path)
	}
	return it, nil
}

// added is the number or set with the change's added.
func (c *Change) added(v value.Value) (value.Value, error) {
	switch {
	case v.Kind == value.None:
		return c.Value, nil
	case v.Kind != c.Value.Kind:
		return v, badOperand()
	case v.Kind == value.Numeric:
		sum, err := v.Num.Add(c.Value.Num)
		return value.Value{Kind: value.Numeric, Num: sum}, err
	}
	return v.Union(c.Value), nil
}

// put puts v at the path, where None stands for nothing: a list keeps the place
// until closeUp. What the path leads through must be there.
func put(it value.Item, path Path, v value.Value) error {
	first := path[0].Name
	if len(path) == 1 {
		if v.Kind == value.None {
			delete(it, first)
		} else {
			it[first] = v
		}
		return nil
	}
	parent := it[first]
	err := putWithin(&parent, path[1:], v)
	if err == nil {
		it[first] = parent
	}
	return err
}

func putWithin(parent *value.Value, path Path, v value.Value) error {
	step := path[0]
	switch {
	case step.Name != "" && parent.Kind == value.Map:
		return put(parent.Map, path, v)
	case step.Name != "" || parent.Kind != value.List:
		return errs.New(errs.Invalid, "The document path provided in the update expression is invalid for update")
	case len(path) > 1:
		if step.Index >= len(parent.Items) {
			return errs.New(errs.Invalid, "The document path provided in the update expression is invalid for update")
		}
		return putWithin(&parent.Items[step.Index], path[1:], v)
	case step.Index < len(parent.Items):
		parent.Items[step.Index] = v
	default: // beyond the end is at the end
		parent.Items = append(parent.Items, v)
	}
	return nil
}

// closeUp takes the places of removed members out of the lists on the path.
func closeUp(it value.Item, path Path) {
	for n := 1; n < len(path); n++ {
		if path[n].Name != "" {
			continue
		}
		v := path[:n].find(it)
		if v.Kind != value.List {
			return
		}
		v.Items = slices.DeleteFunc(v.Items, func(m value.Value) bool { return m.Kind == value.None })
		_ = put(it, path[:n], v) // the place was just found
	}
}

// Update reads an UpdateExpression.
func (x *Input) Update(text string) (*Update, error) {
	p, err := x.parser("UpdateExpression", text)
	if err != nil {
		return nil, err
	}
	u := &Update{}
	seen := map[string]bool{}
	for p.peek().kind != end {
		section := ""
		for _, s := range []string{"SET", "REMOVE", "ADD", "DELETE"} {
			if p.keyword(s) {
				section = s
				break
			}
		}
		if section == "" {
			return nil, p.unexpected()
		}
		if seen[section] {
			return nil, p.fail(`The "` + section + `" section can only be used once in an update expression;`)
		}
		seen[section] = true
		for {
			if err := p.action(u, section); err != nil {
				return nil, err
			}
			if !p.accept(",") {
				break
			}
		}
	}
	return u, p.overlapping(u.Paths())
}

// action reads one action of a section.
func (p *parser) action(u *Update, section string) error {
	path, err := p.path()
	if err != nil {
		return err
	}
	switch section {
	case "REMOVE":
		u.Removes = append(u.Removes, path)
		return nil
	case "SET":
		if err := p.expect("="); err != nil {
			return err
		}
		term, err := p.term()
		u.Sets = append(u.Sets, Set{path, term})
		return err
	}
	t := p.peek()
	if t.kind != given {
		return p.unexpected()
	}
	p.take()
	v, err := p.x.value(p, t)
	if err != nil {
		return err
	}
	if !v.Kind.IsSet() && (section == "DELETE" || v.Kind != value.Numeric) {
		return p.fail("Incorrect operand type for operator or function; operator: " + section + ", operand type: " + longName(v.Kind))
	}
	if section == "ADD" {
		u.Adds = append(u.Adds, Change{path, v})
	} else {
		u.Deletes = append(u.Deletes, Change{path, v})
	}
	return nil
}

// longName is what update expressions call a type.
func longName(k value.Kind) string {
	switch k {
	case value.String:
		return "STRING"
	case value.Numeric:
		return "NUMBER"
	case value.Binary:
		return "BINARY"
	case value.List:
		return "LIST"
	case value.Map:
		return "MAP"
	case value.Bool:
		return "BOOLEAN"
	}
	return k.String()
}

// term reads the right side of SET.
func (p *parser) term() (Term, error) {
	first, err := p.source()
	if err != nil {
		return Term{}, err
	}
	t := Term{First: first}
	for _, op := range []string{"+", "-"} {
		if !p.accept(op) {
			continue
		}
		t.Op = op
		if t.Second, err = p.source(); err != nil {
			return t, err
		}
		for _, s := range []Source{t.First, t.Second} {
			if g, ok := s.(Given); ok && g.Value.Kind != value.Numeric {
				return t, p.fail("Incorrect operand type for operator or function; operator or function: " + op + ", operand type: " + g.Value.Kind.String())
			}
		}
		break
	}
	return t, nil
}

// source reads a value, a path or a function with a value.
func (p *parser) source() (Source, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	t := p.peek()
	switch {
	case t.kind == given:
		p.take()
		v, err := p.x.value(p, t)
		return Given{v}, err
	case p.accept("("):
		s, err := p.source()
		if err != nil {
			return nil, err
		}
		return s, p.expect(")")
	case t.kind != word || p.tokens[p.next+1].text != "(":
		path, err := p.path()
		return path, err
	}
	if t.text != "if_not_exists" && t.text != "list_append" {
		if slices.Contains([]string{"attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"}, t.text) {
			return nil, p.fail("The function is not allowed in an update expression; function: " + t.text)
		}
		return nil, p.fail("Invalid function name; function: " + t.text)
	}
	p.next += 2
	var args []Source
	for {
		s, err := p.source()
		if err != nil {
			return nil, err
		}
		args = append(args, s)
		if !p.accept(",") {
			break
		}
	}
	if err := p.expect(")"); err != nil {
		return nil, err
	}
	if len(args) != 2 {
		return nil, p.fail("Incorrect number of operands for operator or function; operator or function: " + t.text +
			", number of operands: " + strconv.Itoa(len(args)))
	}
	if t.text == "list_append" {
		for _, a := range args {
			if g, ok := a.(Given); ok && g.Value.Kind != value.List {
				return nil, p.fail("Incorrect operand type for operator or function; operator or function: list_append, operand type: " + g.Value.Kind.String())
			}
		}
		return listAppend{args[0], args[1]}, nil
	}
	path, ok := args[0].(Path)
	if !ok {
		return nil, p.fail("Operator or function requires a document path; operator or function: if_not_exists")
	}
	return ifNotExists{path, args[1]}, nil
}
