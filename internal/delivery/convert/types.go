package convert

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Column is a column of a table, with its type in Hive's words as the catalog has it.
type Column struct{ Name, Type string }

// kind is a type of Hive's or Iceberg's.
type kind uint8

const (
	tBoolean kind = iota
	tTinyint
	tSmallint
	tInt
	tBigint
	tFloat
	tDouble
	tDecimal
	tString
	tChar
	tVarchar
	tBinary
	tDate
	tTimestamp
	tTime      // this and those up to tArray are Iceberg's alone
	tMicros    // a timestamp without a zone
	tMicrosUTC // one with a zone
	tUUID
	tFixed
	tArray
	tMap
	tStruct
)

var kinds = map[string]kind{
	"boolean": tBoolean, "tinyint": tTinyint, "smallint": tSmallint, "int": tInt, "integer": tInt, "bigint": tBigint, "float": tFloat,
	"double": tDouble, "decimal": tDecimal, "string": tString, "char": tChar, "varchar": tVarchar, "binary": tBinary, "date": tDate,
	"timestamp": tTimestamp, "array": tArray, "map": tMap, "struct": tStruct,
}

// columnType is a type, read.
type columnType struct {
	kind             kind
	precision, scale int // of a decimal
	length           int // of char, varchar and fixed
	names            []string
	parts            []columnType // element; key and value; members
	// id and required are of a field of Iceberg's; 0 is none.
	id       int
	required bool
}

const (
	maxTypeDepth = 16
	maxLeaves    = 400
)

// parseType reads a type: TYPE, decimal(P,S), varchar(N), array<T>, map<K,V>,
// struct<NAME:T,...>. Case and space do not count.
func parseType(text string) (columnType, error) {
	p := typeParser{in: strings.ToLower(strings.Join(strings.Fields(text), ""))}
	t, err := p.next(maxTypeDepth)
	if err == nil && p.in != "" {
		err = errors.New("unexpected " + strconv.Quote(p.in))
	}
	if err != nil {
		return columnType{}, fmt.Errorf("the type %s is not supported: %w", text, err)
	}
	return t, nil
}

type typeParser struct{ in string }

func (p *typeParser) take(s string) bool {
	rest, ok := strings.CutPrefix(p.in, s)
	if ok {
		p.in = rest
	}
	return ok
}

// until takes what stands before any of the characters.
func (p *typeParser) until(chars string) (word string) {
	at := strings.IndexAny(p.in, chars)
	if at < 0 {
		at = len(p.in)
	}
	word, p.in = p.in[:at], p.in[at:]
	return word
}

func (p *typeParser) next(depth int) (t columnType, err error) {
	if depth == 0 {
		return t, errors.New("it is nested too deep")
	}
	word := p.until("(<>,:)")
	k, known := kinds[word]
	if !known {
		return t, errors.New("there is no type " + strconv.Quote(word))
	}
	t.kind = k
	switch k {
	case tDecimal:
		return p.decimal(t)
	case tChar, tVarchar:
		numbers, err := p.numbers(1)
		if err != nil || numbers[0] < 1 || numbers[0] > 65535 {
			return t, errors.New(word + " needs a length of 1 to 65535")
		}
		t.length = numbers[0]
	case tArray, tMap, tStruct:
		return p.nested(t, depth-1)
	}
	return t, nil
}

func (p *typeParser) decimal(t columnType) (columnType, error) {
	t.precision = 10
	if strings.HasPrefix(p.in, "(") {
		numbers, err := p.numbers(2)
		if err != nil {
			return t, err
		}
		t.precision, t.scale = numbers[0], numbers[1]
	}
	if t.precision < 1 || t.precision > 38 || t.scale < 0 || t.scale > t.precision {
		return t, errors.New("decimal needs a precision of 1 to 38, and a scale that is not larger")
	}
	return t, nil
}

// numbers takes at most so many numbers in parentheses; those that are not there are 0.
func (p *typeParser) numbers(most int) ([]int, error) {
	out := make([]int, most)
	if !p.take("(") {
		return nil, errors.New("a ( is missing")
	}
	for i := range out {
		n, err := strconv.Atoi(p.until(",)"))
		if err != nil {
			return nil, errors.New("a number is missing")
		}
		out[i] = n
		if !p.take(",") {
			break
		}
	}
	if !p.take(")") {
		return nil, errors.New("a ) is missing")
	}
	return out, nil
}

func (p *typeParser) nested(t columnType, depth int) (columnType, error) {
	if !p.take("<") {
		return t, errors.New("a < is missing")
	}
	for {
		if t.kind == tStruct {
			name := p.until(":<>,()")
			if name == "" || !p.take(":") {
				return t, errors.New("a member of a struct is NAME:TYPE")
			}
			for _, other := range t.names {
				if other == name {
					return t, errors.New("a struct has two members " + name)
				}
			}
			t.names = append(t.names, name)
		}
		part, err := p.next(depth)
		if err != nil {
			return t, err
		}
		t.parts = append(t.parts, part)
		if len(t.parts) > maxLeaves {
			return t, errors.New("it has too many members")
		}
		if !p.take(",") {
			break
		}
	}
	want := map[kind]int{tArray: 1, tMap: 2, tStruct: len(t.parts)}[t.kind]
	switch {
	case !p.take(">"):
		return t, errors.New("a > is missing")
	case len(t.parts) != want:
		return t, fmt.Errorf("it has %d parts, not %d", len(t.parts), want)
	case t.kind == tMap && t.parts[0].kind >= tArray:
		return t, errors.New("a key of a map is no nested type")
	}
	return t, nil
}
