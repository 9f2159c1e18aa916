package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"thalweg/internal/errs"
)

// Tables of Iceberg have types of their own, fields with ids, and values that may be
// required. A file's columns carry the ids, and stand in the order of the schema.
//
// Members are columns by their exact names. A value must be of its column's type: no text
// is a number, and no number a text. Besides, what JSON has no value for is
//
//	date          "2026-11-25", or days since 1970
//	time          "10:15:00.000001", or microseconds of the day
//	timestamp     "2026-11-25T10:15:00.000001", or microseconds since 1970
//	timestamptz   the same, with Z or an offset
//	decimal       a number, or a text of one
//	uuid          its text
//	binary, fixed a text of Base64, MIME's and that of URLs too, or else hexadecimal
//
// as Iceberg itself writes them into JSON (iceberg.apache.org/spec, appendix D), and as the
// developer guide on Iceberg tables has it: times in microseconds, those encodings.
//
//	Iceberg.MissingColumnWithinRecord  no value for a column that is required, or for none at all
//	Iceberg.SchemaTypeMismatch         a value that its column cannot hold
//	Iceberg.MalformedRecord            not one JSON object

// Field is a field of a schema as Iceberg's metadata has it.
type Field struct {
	ID       int             `json:"id"`
	Name     string          `json:"name"`
	Required bool            `json:"required"`
	Type     json.RawMessage `json:"type"`
}

// NewIceberg makes a converter to the fields of a table; its errors are of kind Invalid.
// Compression is SNAPPY, GZIP or UNCOMPRESSED.
func NewIceberg(fields []Field, compression string) (*Converter, error) {
	row, err := structOf(fields, maxTypeDepth)
	if err != nil {
		return nil, errs.New(errs.Invalid, "the table's schema: "+err.Error())
	}
	return newConverter(Options{iceberg: true, CaseSensitive: true, Compression: compression}, row)
}

var icebergKinds = map[string]kind{
	"boolean": tBoolean, "int": tInt, "long": tBigint, "float": tFloat, "double": tDouble, "string": tString, "binary": tBinary,
	"date": tDate, "time": tTime, "timestamp": tMicros, "timestamptz": tMicrosUTC, "uuid": tUUID,
}

func structOf(fields []Field, depth int) (t columnType, err error) {
	t.kind = tStruct
	for _, f := range fields {
		part, err := icebergType(f.Type, f.ID, f.Required, depth)
		if err != nil {
			return t, fmt.Errorf("column %s: %w", f.Name, err)
		}
		t.names, t.parts = append(t.names, f.Name), append(t.parts, part)
	}
	return t, nil
}

// icebergType reads a type: a word, or an object for one that has others in it.
func icebergType(raw json.RawMessage, id int, required bool, depth int) (t columnType, err error) {
	var word string
	if json.Unmarshal(raw, &word) == nil {
		t, err = primitive(word)
	} else {
		t, err = nestedType(raw, depth-1)
	}
	t.id, t.required = id, required
	return t, err
}

func primitive(word string) (t columnType, err error) {
	p := typeParser{in: strings.Join(strings.Fields(word), "")}
	name := p.until("([")
	switch name {
	case "decimal":
		t.kind = tDecimal
		return p.decimal(t)
	case "fixed":
		t.kind = tFixed
		t.length, err = strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(p.in, "["), "]"))
		if err != nil || t.length < 1 || t.length > 1<<20 {
			err = errors.New("the type " + word + " is not supported")
		}
		return t, err
	}
	var known bool
	if t.kind, known = icebergKinds[name]; !known || p.in != "" {
		return t, errors.New("the type " + word + " is not supported")
	}
	return t, nil
}

func nestedType(raw json.RawMessage, depth int) (t columnType, err error) {
	if depth == 0 {
		return t, errors.New("it is nested too deep")
	}
	var d struct {
		Type            string          `json:"type"`
		Fields          []Field         `json:"fields"`
		ElementID       int             `json:"element-id"`
		Element         json.RawMessage `json:"element"`
		ElementRequired bool            `json:"element-required"`
		KeyID           int             `json:"key-id"`
		Key             json.RawMessage `json:"key"`
		ValueID         int             `json:"value-id"`
		Value           json.RawMessage `json:"value"`
		ValueRequired   bool            `json:"value-required"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return t, err
	}
	switch d.Type {
	case "struct":
		if len(d.Fields) == 0 {
			return t, errors.New("a struct has no fields")
		}
		return structOf(d.Fields, depth)
	case "list":
		element, err := icebergType(d.Element, d.ElementID, d.ElementRequired, depth)
		return columnType{kind: tArray, parts: []columnType{element}}, err
	case "map":
		key, err := icebergType(d.Key, d.KeyID, true, depth)
		if err == nil && key.kind >= tArray {
			err = errors.New("a key of a map is no nested type")
		}
		if err != nil {
			return t, err
		}
		value, err := icebergType(d.Value, d.ValueID, d.ValueRequired, depth)
		return columnType{kind: tMap, parts: []columnType{key, value}}, err
	}
	return t, errors.New("the type " + d.Type + " is not supported")
}

// schemaName is what the root of a file's schema is called.
func (o *Options) schemaName() string {
	if o.iceberg {
		return "table"
	}
	return "hive_schema"
}

// icebergLeaf is how Iceberg has a type in Parquet (appendix A of its specification).
func (c *compiler) icebergLeaf(t columnType) parquet.Node {
	var p parquet.Node
	switch t.kind {
	case tBoolean:
		return parquet.Leaf(parquet.BooleanType)
	case tInt:
		p = parquet.Leaf(parquet.Int32Type)
	case tBigint:
		p = parquet.Leaf(parquet.Int64Type)
	case tFloat:
		p = parquet.Leaf(parquet.FloatType)
	case tDouble:
		p = parquet.Leaf(parquet.DoubleType)
	case tDecimal:
		switch {
		case t.precision <= 9:
			p = parquet.Decimal(t.scale, t.precision, parquet.Int32Type)
		case t.precision <= 18:
			p = parquet.Decimal(t.scale, t.precision, parquet.Int64Type)
		default:
			p = parquet.Decimal(t.scale, t.precision, parquet.FixedLenByteArrayType(decimalBytes(t.precision)))
		}
	case tDate:
		p = parquet.Date()
	case tTime:
		p = parquet.TimeAdjusted(parquet.Microsecond, false)
	case tMicros, tMicrosUTC:
		p = parquet.TimestampAdjusted(parquet.Microsecond, t.kind == tMicrosUTC)
	case tUUID:
		p = parquet.UUID()
	case tFixed:
		p = parquet.Leaf(parquet.FixedLenByteArrayType(t.length))
	case tBinary:
		p = parquet.Leaf(parquet.ByteArrayType)
	default:
		p = parquet.String()
	}
	return parquet.Encoded(p, &parquet.Plain)
}
