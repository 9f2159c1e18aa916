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
	columnType
	name   string
	key    bool           // it is a map's key
	keys   map[string]int // of a struct: which part a member of JSON is
	nodes  []*node        // of the type's parts
	from   int            // the leaf columns below it
	to     int
	def    int // the definition level where it has a value
	rep    int // the repetition level of its elements, of an array or map
	values [][]byte
	// repeated tells that it is in a list or map.
	repeated bool
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

// parseColumns makes of columns the type of a row.
func parseColumns(columns []Column) (row columnType, err error) {
	row.kind = tStruct
	for _, col := range columns {
		t, err := parseType(col.Type)
		if err != nil {
			return row, errs.New(errs.Invalid, "column "+col.Name+": "+err.Error())
		}
		row.names, row.parts = append(row.names, strings.ToLower(col.Name)), append(row.parts, t)
	}
	return row, nil
}

// compile makes of a row's type the root of the schema, a struct that is always there.
func compile(row columnType, o *Options) (*node, []*node, *parquet.Schema, error) {
	root := &node{columnType: row, keys: map[string]int{}}
	c := compiler{o: o}
	var fields []parquet.Field
	for i, name := range row.names {
		if !root.addKey(o.key(name), i) {
			return nil, nil, nil, errs.New(errs.Invalid, "two columns are named "+name)
		}
		part, p := c.node(name, row.parts[i], 0, 0)
		root.nodes = append(root.nodes, part)
		fields = append(fields, field{p, name})
	}
	if root.to = len(c.leaves); root.to == 0 || root.to > maxLeaves {
		return nil, nil, nil, errs.New(errs.Invalid, "a table needs 1 to 400 columns, members of structs counted")
	}
	root.values = make([][]byte, len(root.nodes))
	return root, c.leaves, parquet.NewSchema(o.schemaName(), ordered{fields: fields}), nil
}

func (n *node) addKey(key string, part int) bool {
	_, twice := n.keys[key]
	n.keys[key] = part
	return !twice
}

// node makes a node below levels def and rep.
func (c *compiler) node(name string, t columnType, def, rep int) (*node, parquet.Node) {
	n := &node{columnType: t, name: name, def: def, from: len(c.leaves), repeated: rep > 0}
	if !t.required {
		n.def++
	}
	var p parquet.Node
	switch t.kind {
	case tStruct:
		n.keys = map[string]int{}
		n.values = make([][]byte, len(t.parts))
		var fields []parquet.Field
		for i, part := range t.parts {
			n.keys[t.names[i]] = i
			child, q := c.node(t.names[i], part, n.def, rep)
			n.nodes, fields = append(n.nodes, child), append(fields, field{q, t.names[i]})
		}
		p = ordered{fields: fields}
	case tArray:
		n.rep = rep + 1
		child, q := c.node("element", t.parts[0], n.def+1, n.rep)
		n.nodes, p = []*node{child}, parquet.List(q)
	case tMap:
		n.rep = rep + 1
		key := &node{columnType: t.parts[0], name: "key", key: true, repeated: true, def: n.def + 1, from: len(c.leaves), to: len(c.leaves) + 1}
		c.leaves = append(c.leaves, key)
		value, q := c.node("value", t.parts[1], n.def+1, n.rep)
		n.nodes, p = []*node{key, value}, parquet.Map(parquet.FieldID(c.leaf(t.parts[0]), t.parts[0].id), q)
	default:
		c.leaves = append(c.leaves, n)
		p = c.leaf(t)
	}
	n.to = len(c.leaves)
	if !t.required {
		p = parquet.Optional(p)
	}
	return n, parquet.FieldID(p, t.id)
}

// leaf is how a type is written. As Hive does it, smaller integers and texts have their
// logical types, and timestamps are INT96.
func (c *compiler) leaf(t columnType) parquet.Node {
	if c.o.iceberg {
		return c.icebergLeaf(t)
	}
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
