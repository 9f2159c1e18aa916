package convert

import (
	"reflect"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"

	"thalweg/internal/errs"
)

// node is a place in the schema: a column, or a part of one.
type node struct {
	hiveType
	name   string
	key    bool           // it is a map's key
	keys   map[string]int // of a struct: which part a member of JSON is
	parts  []*node
	from   int // the leaf columns below it
	to     int
	def    int // the definition level where it has a value
	rep    int // the repetition level of its elements, of an array or map
	values [][]byte
}

// ordered is a group whose fields stand in the order of the table; parquet.Group
// sorts them.
type ordered struct {
	parquet.Group
	fields []parquet.Field
}

func (o ordered) Fields() []parquet.Field { return o.fields }

func (o ordered) GoType() reflect.Type { return reflect.TypeFor[map[string]any]() }

type field struct {
	parquet.Node
	name string
}

func (f field) Name() string { return f.name }

func (f field) Value(base reflect.Value) reflect.Value { return base.MapIndex(reflect.ValueOf(f.name)) }

// compiler gives nodes their columns and levels.
type compiler struct {
	o      *Options
	leaves []*node
}

// compile makes of columns the root of the schema, a struct that is always there.
func compile(columns []Column, o *Options) (*node, []*node, *parquet.Schema, error) {
	root := &node{hiveType: hiveType{kind: tStruct}, keys: map[string]int{}}
	c := compiler{o: o}
	var fields []parquet.Field
	for _, col := range columns {
		t, err := parseType(col.Type)
		if err != nil {
			return nil, nil, nil, errs.New(errs.Invalid, "column "+col.Name+": "+err.Error())
		}
		name := strings.ToLower(col.Name)
		if !root.addKey(o.key(name), len(root.parts)) {
			return nil, nil, nil, errs.New(errs.Invalid, "two columns are named "+name)
		}
		part, p := c.node(name, t, 0, 0)
		root.parts = append(root.parts, part)
		fields = append(fields, field{p, name})
	}
	if root.to = len(c.leaves); root.to == 0 || root.to > maxLeaves {
		return nil, nil, nil, errs.New(errs.Invalid, "a table needs 1 to 400 columns, members of structs counted")
	}
	root.values = make([][]byte, len(root.parts))
	return root, c.leaves, parquet.NewSchema("hive_schema", ordered{fields: fields}), nil
}

func (n *node) addKey(key string, part int) bool {
	_, twice := n.keys[key]
	n.keys[key] = part
	return !twice
}

// node makes an optional node below levels def and rep.
func (c *compiler) node(name string, t hiveType, def, rep int) (*node, parquet.Node) {
	n := &node{hiveType: t, name: name, def: def + 1, from: len(c.leaves)}
	var p parquet.Node
	switch t.kind {
	case tStruct:
		n.keys = map[string]int{}
		n.values = make([][]byte, len(t.parts))
		var fields []parquet.Field
		for i, part := range t.parts {
			n.keys[t.names[i]] = i
			child, q := c.node(t.names[i], part, n.def, rep)
			n.parts, fields = append(n.parts, child), append(fields, field{q, t.names[i]})
		}
		p = ordered{fields: fields}
	case tArray:
		n.rep = rep + 1
		child, q := c.node("element", t.parts[0], n.def+1, n.rep)
		n.parts, p = []*node{child}, parquet.List(q)
	case tMap:
		n.rep = rep + 1
		key := &node{hiveType: t.parts[0], name: "key", key: true, def: n.def + 1, from: len(c.leaves), to: len(c.leaves) + 1}
		c.leaves = append(c.leaves, key)
		value, q := c.node("value", t.parts[1], n.def+1, n.rep)
		n.parts, p = []*node{key, value}, parquet.Map(c.leaf(t.parts[0]), q)
	default:
		c.leaves = append(c.leaves, n)
		p = c.leaf(t)
	}
	n.to = len(c.leaves)
	return n, parquet.Optional(p)
}

// leaf is how Hive writes a type; smaller integers and texts have their logical types,
// timestamps are INT96.
func (c *compiler) leaf(t hiveType) parquet.Node {
	var p parquet.Node
	var e encoding.Encoding = &parquet.Plain
	if c.o.Dictionary {
		e = &parquet.RLEDictionary
	}
	switch t.kind {
	case tBoolean:
		return parquet.Leaf(parquet.BooleanType)
	case tTinyint:
		p = parquet.Int(8)
	case tSmallint:
		p = parquet.Int(16)
	case tInt:
		p = parquet.Leaf(parquet.Int32Type)
	case tBigint:
		p = parquet.Leaf(parquet.Int64Type)
	case tFloat:
		p = parquet.Leaf(parquet.FloatType)
	case tDouble:
		p = parquet.Leaf(parquet.DoubleType)
	case tDecimal:
		p = parquet.Decimal(t.scale, t.precision, parquet.FixedLenByteArrayType(decimalBytes(t.precision)))
	case tDate:
		p = parquet.Date()
	case tTimestamp:
		p = parquet.Leaf(parquet.Int96Type)
	case tBinary:
		p = parquet.Leaf(parquet.ByteArrayType)
	default:
		p = parquet.String()
	}
	return parquet.Encoded(p, e)
}

// decimalBytes is how many bytes hold so many digits and a sign.
func decimalBytes(digits int) int {
	return [...]int{
		1, 1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 6, 6, 6, 7, 7, 8, 8, 9, 9, 9, 10, 10, 11, 11, 11, 12, 12, 13, 13, 13, 14, 14, 15, 15, 16, 16, 16,
	}[digits]
}
