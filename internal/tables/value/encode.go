package value

import (
	"encoding/binary"
	"maps"
	"slices"

	"thalweg/internal/errs"
)

// MaxDepth is how deep lists and maps nest (developer guide, "Quotas").
const MaxDepth = 32

// maxDepth is how deep stored ones may, with room to spare.
const maxDepth = 2 * MaxDepth

// AppendItem appends the item's form on disk: the number of attributes, and each
// by rising name. docs/formats/metadata.md draws it.
func AppendItem(b []byte, it Item) []byte {
	b = binary.AppendUvarint(b, uint64(len(it)))
	for _, name := range slices.Sorted(maps.Keys(it)) {
		b = appendText(b, name)
		b = appendValue(b, it[name])
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendValue(b []byte, v Value) []byte {
	b = append(b, byte(v.Kind))
	switch v.Kind {
	case String, Binary:
		return appendText(b, v.Text)
	case Numeric:
		return appendText(b, v.Num.String())
	case Bool:
		if v.Bool {
			return append(b, 1)
		}
		return append(b, 0)
	case Map:
		return AppendItem(b, v.Map)
	case List, StringSet, NumberSet, BinarySet:
		b = binary.AppendUvarint(b, uint64(len(v.Items)))
		for _, m := range v.Items {
			b = appendValue(b, m)
		}
	}
	return b
}

// DecodeItem reads an item from the beginning of b and returns what follows it.
// Errors: Corrupt.
func DecodeItem(b []byte) (Item, []byte, error) {
	d := decoder{b: b}
	it := d.item(0)
	if d.bad {
		return nil, nil, errs.New(errs.Corrupt, "item cannot be read")
	}
	return it, d.b, nil
}

// decoder reads values from b; bad sticks.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() { d.bad, d.b = true, nil }

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

// count reads a length; each of what it counts has at least a byte.
func (d *decoder) count() int {
	n, size := binary.Uvarint(d.b)
	if size <= 0 || n > uint64(len(d.b)-size) {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return int(n)
}

func (d *decoder) text() string {
	n := d.count()
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) item(depth int) Item {
	if depth > maxDepth {
		d.fail()
		return nil
	}
	n := d.count()
	it := make(Item, min(n, 64))
	for range n {
		name := d.text()
		v := d.value(depth)
		if d.bad {
			return nil
		}
		it[name] = v
	}
	return it
}

func (d *decoder) value(depth int) Value {
	v := Value{Kind: Kind(d.byte())}
	switch v.Kind {
	case String, Binary:
		v.Text = d.text()
	case Numeric:
		n, err := ParseNumber(d.text())
		if err != nil {
			d.fail()
		}
		v.Num = n
	case Bool:
		v.Bool = d.byte() == 1
	case Null:
	case Map:
		v.Map = d.item(depth + 1)
	case List, StringSet, NumberSet, BinarySet:
		if depth > maxDepth {
			d.fail()
			return v
		}
		for range d.count() {
			m := d.value(depth + 1)
			if d.bad || v.Kind.IsSet() && m.Kind != v.Kind.element() {
				d.fail()
				return v
			}
			v.Items = append(v.Items, m)
		}
	default:
		d.fail()
	}
	return v
}
