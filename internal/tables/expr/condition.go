package expr

import (
	"slices"
	"strconv"
	"strings"

	"thalweg/internal/tables/value"
)

// Condition is true or false of an item, which may be nil where there is none.
// What does not apply, such as an order among values of two types, is false.
type Condition interface {
	Holds(it value.Item) bool
}

// Operand is a value in a condition: one given, one at a path, or the size of
// that.
type Operand interface {
	// of returns None for what is not there.
	of(it value.Item) value.Value
}

// Given is an operand that the request gives.
type Given struct{ Value value.Value }

func (g Given) of(value.Item) value.Value   { return g.Value }
func (p Path) of(it value.Item) value.Value { return p.find(it) }
func (s size) of(it value.Item) value.Value {
	v := s.path.find(it)
	n := 0
	switch {
	case v.Kind == value.String:
		n = len(v.Text) // bytes of UTF-8
	case v.Kind == value.Binary:
		n = len(v.Text)
	case v.Kind == value.Map:
		n = len(v.Map)
	case v.Kind == value.List || v.Kind.IsSet():
		n = len(v.Items)
	default:
		return value.Value{}
	}
	num, _ := value.ParseNumber(strconv.Itoa(n))
	return value.Value{Kind: value.Numeric, Num: num}
}

// size is the function of that name.
type size struct{ path Path }

// And holds when all of it hold; so it does when it is empty.
type And []Condition

// Holds implements [Condition].
func (c And) Holds(it value.Item) bool {
	return !slices.ContainsFunc(c, func(c Condition) bool { return !c.Holds(it) })
}

// Or holds when one of it holds.
type Or []Condition

// Holds implements [Condition].
func (c Or) Holds(it value.Item) bool {
	return slices.ContainsFunc(c, func(c Condition) bool { return c.Holds(it) })
}

// Not holds when Condition does not.
type Not struct{ Condition Condition }

// Holds implements [Condition].
func (c Not) Holds(it value.Item) bool { return !c.Condition.Holds(it) }

// Comparison is one of = <> < <= > >=.
type Comparison struct {
	Op          string
	Left, Right Operand
}

// Holds implements [Condition].
func (c Comparison) Holds(it value.Item) bool {
	l, r := c.Left.of(it), c.Right.of(it)
	if l.Kind == value.None || r.Kind == value.None {
		return c.Op == "<>" // what is not there differs from everything
	}
	switch c.Op {
	case "=":
		return l.Equal(r)
	case "<>":
		return !l.Equal(r)
	}
	order, ok := l.Compare(r)
	if !ok {
		return false
	}
	switch c.Op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// Between holds when Low <= Operand <= High.
type Between struct{ Operand, Low, High Operand }

// Holds implements [Condition].
func (c Between) Holds(it value.Item) bool {
	v := c.Operand.of(it)
	low, ok := c.Low.of(it).Compare(v)
	if !ok || low > 0 {
		return false
	}
	high, ok := v.Compare(c.High.of(it))
	return ok && high <= 0
}

// In holds when Operand equals one of List.
type In struct {
	Operand Operand
	List    []Operand
}

// Holds implements [Condition].
func (c In) Holds(it value.Item) bool {
	v := c.Operand.of(it)
	return v.Kind != value.None && slices.ContainsFunc(c.List, func(o Operand) bool { return v.Equal(o.of(it)) })
}

// Exists is attribute_exists.
type Exists struct{ Path Path }

// Holds implements [Condition].
func (c Exists) Holds(it value.Item) bool { return c.Path.find(it).Kind != value.None }

// HasType is attribute_type.
type HasType struct {
	Path Path
	Kind value.Kind
}

// Holds implements [Condition].
func (c HasType) Holds(it value.Item) bool { return c.Path.find(it).Kind == c.Kind }

// BeginsWith is begins_with, of strings or binaries.
type BeginsWith struct{ Operand, Prefix Operand }

// Holds implements [Condition].
func (c BeginsWith) Holds(it value.Item) bool {
	v, prefix := c.Operand.of(it), c.Prefix.of(it)
	return v.Kind == prefix.Kind && (v.Kind == value.String || v.Kind == value.Binary) && strings.HasPrefix(v.Text, prefix.Text)
}

// Contains is contains: a part of a string or binary, or a member of a set or
// list.
type Contains struct{ Operand, Part Operand }

// Holds implements [Condition].
func (c Contains) Holds(it value.Item) bool {
	v, part := c.Operand.of(it), c.Part.of(it)
	switch {
	case v.Kind == value.String || v.Kind == value.Binary:
		return part.Kind == v.Kind && strings.Contains(v.Text, part.Text)
	case v.Kind == value.List:
		return part.Kind != value.None && slices.ContainsFunc(v.Items, part.Equal)
	}
	return v.Contains(part)
}

// Condition reads a condition; what is ConditionExpression or FilterExpression.
func (x *Input) Condition(what, text string) (Condition, error) {
	p, err := x.parser(what, text)
	if err != nil {
		return nil, err
	}
	c, err := p.or()
	if err != nil {
		return nil, err
	}
	return c, p.expectEnd()
}

func (p *parser) or() (Condition, error) {
	first, err := p.and()
	if err != nil || !p.atKeyword("OR") {
		return first, err
	}
	list := Or{first}
	for p.keyword("OR") {
		c, err := p.and()
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func (p *parser) and() (Condition, error) {
	first, err := p.not()
	if err != nil || !p.atKeyword("AND") {
		return first, err
	}
	list := And{first}
	for p.keyword("AND") {
		c, err := p.not()
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func (p *parser) not() (Condition, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	if p.keyword("NOT") {
		c, err := p.not()
		return Not{c}, err
	}
	if p.accept("(") {
		c, err := p.or()
		if err != nil {
			return nil, err
		}
		return c, p.expect(")")
	}
	return p.simple()
}

// simple reads a comparison or a function.
func (p *parser) simple() (Condition, error) {
	if t := p.peek(); t.kind == word && p.tokens[p.next+1].text == "(" && t.text != "size" {
		return p.function()
	}
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	switch {
	case p.keyword("BETWEEN"):
		return p.between(left)
	case p.keyword("IN"):
		return p.in(left)
	}
	op := p.peek()
	if op.kind != symbol || !slices.Contains([]string{"=", "<>", "<", "<=", ">", ">="}, op.text) {
		return nil, p.unexpected()
	}
	p.take()
	right, err := p.operand()
	if err != nil {
		return nil, err
	}
	if op.text != "=" && op.text != "<>" {
		if err := p.ordered(op.text, left, right); err != nil {
			return nil, err
		}
	}
	return Comparison{op.text, left, right}, nil
}

// ordered checks that given operands are of a type with an order.
func (p *parser) ordered(op string, operands ...Operand) error {
	for _, o := range operands {
		g, given := o.(Given)
		if given && g.Value.Kind != value.String && g.Value.Kind != value.Numeric && g.Value.Kind != value.Binary {
			return p.fail("Incorrect operand type for operator or function; operator or function: " + op + ", operand type: " + g.Value.Kind.String())
		}
	}
	return nil
}

func (p *parser) between(v Operand) (Condition, error) {
	low, err := p.operand()
	if err != nil {
		return nil, err
	}
	if !p.keyword("AND") {
		return nil, p.unexpected()
	}
	high, err := p.operand()
	if err != nil {
		return nil, err
	}
	if err := p.ordered("BETWEEN", v, low, high); err != nil {
		return nil, err
	}
	l, lowGiven := low.(Given)
	h, highGiven := high.(Given)
	if lowGiven && highGiven {
		order, ok := l.Value.Compare(h.Value)
		bounds := "; lower bound operand: AttributeValue: " + shown(l.Value) + ", upper bound operand: AttributeValue: " + shown(h.Value)
		switch {
		case !ok:
			return nil, p.fail("The BETWEEN operator requires same data type for lower and upper bounds" + bounds)
		case order > 0:
			return nil, p.fail("The BETWEEN operator requires upper bound to be greater than or equal to lower bound" + bounds)
		}
	}
	return Between{v, low, high}, nil
}

// shown is a scalar as texts show it.
func shown(v value.Value) string {
	text := v.Text
	if v.Kind == value.Numeric {
		text = v.Num.String()
	}
	return "{" + v.Kind.String() + ":" + text + "}"
}

// maxIn is how many operands IN takes (developer guide).
const maxIn = 100

func (p *parser) in(v Operand) (Condition, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	list, err := p.operands()
	if err != nil {
		return nil, err
	}
	if len(list) > maxIn {
		return nil, p.fail("The IN operator is provided with too many operands; number of operands: " + strconv.Itoa(len(list)))
	}
	return In{v, list}, nil
}

// operands reads a list of operands up to and with its closing parenthesis.
func (p *parser) operands() ([]Operand, error) {
	var list []Operand
	for {
		o, err := p.operand()
		if err != nil {
			return nil, err
		}
		list = append(list, o)
		if !p.accept(",") {
			return list, p.expect(")")
		}
	}
}

// operand reads a value, a path, or the size of one.
func (p *parser) operand() (Operand, error) {
	switch t := p.peek(); {
	case t.kind == given:
		p.take()
		v, err := p.x.value(p, t)
		return Given{v}, err
	case t.kind == word && t.text == "size" && p.tokens[p.next+1].text == "(":
		p.next += 2
		path, err := p.path()
		if err != nil {
			return nil, err
		}
		return size{path}, p.expect(")")
	}
	path, err := p.path()
	return path, err
}

// function reads a function that is true or false.
func (p *parser) function() (Condition, error) {
	fn := p.take().text
	arity, known := map[string]int{
		"attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2, "begins_with": 2, "contains": 2,
	}[fn]
	if !known {
		return nil, p.fail("Invalid function name; function: " + fn)
	}
	p.take() // the parenthesis
	args, err := p.operands()
	if err != nil {
		return nil, err
	}
	if len(args) != arity {
		return nil, p.fail("Incorrect number of operands for operator or function; operator or function: " + fn +
			", number of operands: " + strconv.Itoa(len(args)))
	}
	path, isPath := args[0].(Path)
	if arity == 1 || fn == "attribute_type" {
		if !isPath {
			return nil, p.fail("Operator or function requires a document path; operator or function: " + fn)
		}
	}
	var second value.Value
	given := false
	if arity == 2 {
		var g Given
		if g, given = args[1].(Given); given {
			second = g.Value
		}
	}
	wrongType := func() error {
		return p.fail("Incorrect operand type for operator or function; operator or function: " + fn + ", operand type: " + second.Kind.String())
	}
	switch fn {
	case "attribute_exists":
		return Exists{path}, nil
	case "attribute_not_exists":
		return Not{Exists{path}}, nil
	case "attribute_type":
		if !given || second.Kind != value.String {
			return nil, wrongType()
		}
		kind := value.KindOf(second.Text)
		if kind == value.None {
			return nil, p.fail("Invalid attribute type name found; type: " + second.Text +
				", valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}")
		}
		return HasType{path, kind}, nil
	case "begins_with":
		if given && second.Kind != value.String && second.Kind != value.Binary {
			return nil, wrongType()
		}
		return BeginsWith{args[0], args[1]}, nil
	}
	return Contains{args[0], args[1]}, nil
}
