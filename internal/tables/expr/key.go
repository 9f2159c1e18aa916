package expr

import (
	"thalweg/internal/errs"
	"thalweg/internal/tables/value"
)

// KeyCondition is what a query asks of keys: Hash, the value of the partition
// key, and of the sort key nothing or Range, one of Comparison, Between and
// BeginsWith with given operands.
type KeyCondition struct {
	Hash  value.Value
	Range Condition
}

// KeyCondition reads a KeyConditionExpression for a key of the two names; sort
// is "" where there is none. Errors: Invalid.
func (x *Input) KeyCondition(text, partition, sort string) (KeyCondition, error) {
	var k KeyCondition
	p, err := x.parser("KeyConditionExpression", text)
	if err != nil {
		return k, err
	}
	c, err := p.or()
	if err != nil {
		return k, err
	}
	if err := p.expectEnd(); err != nil {
		return k, err
	}
	return KeyConditionOf(c, p.what, partition, sort)
}

// KeyConditionOf makes a key condition of one that may say anything. what names
// the parameter in texts.
func KeyConditionOf(c Condition, what, partition, sort string) (KeyCondition, error) {
	var k KeyCondition
	fail := func(text string) (KeyCondition, error) {
		return k, errs.New(errs.Invalid, text)
	}
	all := flatten(c)
	if len(all) > 2 {
		return fail("Invalid " + what + ": Too many conditions; number of conditions: 3 or more")
	}
	seen := map[string]bool{}
	for _, c := range all {
		name, ok := subject(c)
		if !ok {
			return fail("Invalid " + what + ": Invalid operator used in KeyConditionExpression: only comparisons of a key with a value, BETWEEN and begins_with")
		}
		if seen[name] {
			return fail(what + "s must only contain one condition per key")
		}
		seen[name] = true
		eq, isComparison := c.(Comparison)
		switch {
		case name == partition && isComparison && eq.Op == "=":
			k.Hash = eq.Right.(Given).Value
		case name == partition || isComparison && eq.Op == "<>":
			return fail("Query key condition not supported")
		case name == sort && sort != "":
			k.Range = c
		case !seen[partition] && len(all) < 2:
			return fail("Query condition missed key schema element: " + partition)
		case sort != "":
			return fail("Query condition missed key schema element: " + sort)
		default:
			return fail("Query key condition not supported")
		}
	}
	if k.Hash.Kind == value.None {
		return fail("Query condition missed key schema element: " + partition)
	}
	return k, nil
}

func flatten(c Condition) []Condition {
	and, ok := c.(And)
	if !ok {
		return []Condition{c}
	}
	var list []Condition
	for _, c := range and {
		list = append(list, flatten(c)...)
	}
	return list
}

// subject is the attribute that a condition compares with given values.
func subject(c Condition) (string, bool) {
	var left Operand
	var rest []Operand
	switch c := c.(type) {
	case Comparison:
		left, rest = c.Left, []Operand{c.Right}
	case Between:
		left, rest = c.Operand, []Operand{c.Low, c.High}
	case BeginsWith:
		left, rest = c.Operand, []Operand{c.Prefix}
	}
	path, ok := left.(Path)
	if !ok || len(path) != 1 {
		return "", false
	}
	for _, o := range rest {
		if _, ok := o.(Given); !ok {
			return "", false
		}
	}
	return path[0].Name, true
}
