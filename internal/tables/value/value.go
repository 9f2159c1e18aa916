// Package value holds what tables are made of: attribute values of the ten types
// of DynamoDB, with exact numbers, their equality and order, their size as
// DynamoDB counts it, and their form on disk.
//
// A [Value] or [Item] is not changed once it is shared; [Item.Clone] makes one to
// change. Everything here is a pure function, safe for concurrent use.
package value

import (
	"maps"
	"slices"
	"strings"
)

// Kind is the type of a value. The numbers are on disk.
type Kind uint8

const (
	// None is no value at all.
	None Kind = iota
	String
	Numeric
	Binary
	StringSet
	NumberSet
	BinarySet
	Map
	List
	Bool
	Null
)

var kindNames = [...]string{"", "S", "N", "B", "SS", "NS", "BS", "M", "L", "BOOL", "NULL"}

// String is the kind's name in the API.
func (k Kind) String() string { return kindNames[k] }

// KindOf is the kind of that name; None if there is none.
func KindOf(name string) Kind { return Kind(max(slices.Index(kindNames[:], name), 0)) }

// IsSet reports whether values of the kind are sets.
func (k Kind) IsSet() bool { return k >= StringSet && k <= BinarySet }

// element is the kind of what a set of kind k holds.
func (k Kind) element() Kind { return k - StringSet + String }

// Value is one attribute value; which members mean something, Kind says. The
// zero Value is None.
type Value struct {
	Kind Kind
	Text string // String; Binary, as bytes
	Num  Number // Numeric
	Bool bool   // Bool
	// Items are the members of List, in order, and of sets.
	Items []Value
	Map   Item // Map
}

// Item is a row, or a map within one: values by name.
type Item map[string]Value

// Clone returns a copy of which every part may be changed.
func (it Item) Clone() Item {
	if it == nil {
		return nil
	}
	c := make(Item, len(it))
	for k, v := range it {
		c[k] = v.Clone()
	}
	return c
}

// Clone returns a copy of which every part may be changed.
func (v Value) Clone() Value {
	v.Map = v.Map.Clone()
	v.Items = slices.Clone(v.Items)
	for i := range v.Items {
		v.Items[i] = v.Items[i].Clone()
	}
	return v
}

// Equal reports whether the two are the same value. Sets have no order.
func (v Value) Equal(o Value) bool {
	if v.Kind != o.Kind {
		return false
	}
	switch v.Kind {
	case Map:
		return maps.EqualFunc(v.Map, o.Map, Value.Equal)
	case List:
		return slices.EqualFunc(v.Items, o.Items, Value.Equal)
	case StringSet, NumberSet, BinarySet:
		return len(v.Items) == len(o.Items) && v.containsAll(o)
	}
	return v.Text == o.Text && v.Num == o.Num && v.Bool == o.Bool
}

// Equal reports whether the two have the same attributes.
func (it Item) Equal(o Item) bool { return maps.EqualFunc(it, o, Value.Equal) }

// containsAll reports whether every member of the set o is one of the set v.
func (v Value) containsAll(o Value) bool {
	have := make(map[scalar]bool, len(v.Items))
	for _, m := range v.Items {
		have[m.scalar()] = true
	}
	return !slices.ContainsFunc(o.Items, func(m Value) bool { return !have[m.scalar()] })
}

// scalar is a member of a set as a key.
type scalar struct {
	text string
	num  Number
}

func (v Value) scalar() scalar { return scalar{v.Text, v.Num} }

// Contains reports whether the set v has the member m.
func (v Value) Contains(m Value) bool {
	return v.Kind.IsSet() && m.Kind == v.Kind.element() &&
		slices.ContainsFunc(v.Items, func(o Value) bool { return o.scalar() == m.scalar() })
}

// Union returns the set of all members of the sets v and o, which are of one
// kind.
func (v Value) Union(o Value) Value {
	out := Value{Kind: v.Kind, Items: slices.Clone(v.Items)}
	have := make(map[scalar]bool, len(v.Items))
	for _, m := range v.Items {
		have[m.scalar()] = true
	}
	for _, m := range o.Items {
		if !have[m.scalar()] {
			out.Items = append(out.Items, m)
		}
	}
	return out
}

// Without returns the set of the members of v that are not in o.
func (v Value) Without(o Value) Value {
	gone := make(map[scalar]bool, len(o.Items))
	for _, m := range o.Items {
		gone[m.scalar()] = true
	}
	out := Value{Kind: v.Kind}
	for _, m := range v.Items {
		if !gone[m.scalar()] {
			out.Items = append(out.Items, m)
		}
	}
	return out
}

// Compare orders two values of one kind that have an order: strings and binaries
// by their bytes, numbers as such. ok is false for any others.
func (v Value) Compare(o Value) (order int, ok bool) {
	if v.Kind != o.Kind {
		return 0, false
	}
	switch v.Kind {
	case String, Binary:
		return strings.Compare(v.Text, o.Text), true
	case Numeric:
		return v.Num.Compare(o.Num), true
	}
	return 0, false
}

// Duplicate returns a member that the set has twice, if there is one.
func (v Value) Duplicate() (Value, bool) {
	seen := make(map[scalar]bool, len(v.Items))
	for _, m := range v.Items {
		if seen[m.scalar()] {
			return m, true
		}
		seen[m.scalar()] = true
	}
	return Value{}, false
}

// Size is the size of an item as DynamoDB counts it, names included (developer
// guide, "DynamoDB item sizes and formats").
func (it Item) Size() int {
	n := 0
	for k, v := range it {
		n += len(k) + v.Size()
	}
	return n
}

// Size is the size of a value as DynamoDB counts it.
func (v Value) Size() int {
	switch v.Kind {
	case String, Binary:
		return len(v.Text)
	case Numeric:
		n := (len(v.Num.digits)+1)/2 + 1
		if v.Num.negative {
			n++
		}
		return n
	case StringSet, NumberSet, BinarySet:
		n := 0
		for _, m := range v.Items {
			n += m.Size()
		}
		return n
	case List:
		n := 3
		for _, m := range v.Items {
			n += 1 + m.Size()
		}
		return n
	case Map:
		return 3 + len(v.Map) + v.Map.Size()
	}
	return 1
}

// AppendOrdered appends a form of a String, Binary or Numeric value whose bytes
// sort as the values do, and of which none is the beginning of another's.
func (v Value) AppendOrdered(b []byte) []byte {
	if v.Kind == Numeric {
		return v.Num.appendOrdered(b)
	}
	for i := range len(v.Text) {
		if b = append(b, v.Text[i]); v.Text[i] == 0 {
			b = append(b, 0xff)
		}
	}
	return append(b, 0, 1)
}
