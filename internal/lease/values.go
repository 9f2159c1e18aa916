package lease

import (
	"strings"

	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/opt"
	"thalweg/internal/tables/value"
)

// attributeValue is a value as the API has it.
func attributeValue(v value.Value) model.AttributeValue {
	var a model.AttributeValue
	switch v.Kind {
	case value.String:
		a.S = opt.Of(v.Text)
	case value.Numeric:
		a.N = opt.Of(v.Num.String())
	case value.Binary:
		a.B = []byte(v.Text)
	case value.Bool:
		a.BOOL = opt.Of(v.Bool)
	case value.Null:
		a.NULL = opt.Of(true)
	case value.StringSet:
		for _, m := range v.Items {
			a.SS = append(a.SS, m.Text)
		}
	case value.NumberSet:
		for _, m := range v.Items {
			a.NS = append(a.NS, m.Num.String())
		}
	case value.BinarySet:
		for _, m := range v.Items {
			a.BS = append(a.BS, []byte(m.Text))
		}
	case value.Map:
		a.M = attributes(v.Map)
	case value.List:
		a.L = make([]model.AttributeValue, len(v.Items))
		for i, m := range v.Items {
			a.L[i] = attributeValue(m)
		}
	}
	return a
}

// attributes is an item as the API has it; nil is none.
func attributes(it value.Item) map[string]model.AttributeValue {
	if it == nil {
		return nil
	}
	out := make(map[string]model.AttributeValue, len(it))
	for name, v := range it {
		out[name] = attributeValue(v)
	}
	return out
}

func items(list []value.Item) []map[string]model.AttributeValue {
	out := make([]map[string]model.AttributeValue, len(list))
	for i, it := range list {
		out[i] = attributes(it)
	}
	return out
}

// maxName bounds an attribute's name (developer guide, "Quotas").
const maxName = 64 << 10

// item reads an item of the API. nil stays nil.
func item(m map[string]model.AttributeValue) (value.Item, error) {
	return itemAt(m, 0)
}

func itemAt(m map[string]model.AttributeValue, depth int) (value.Item, error) {
	if m == nil {
		return nil, nil
	}
	it := make(value.Item, len(m))
	for name, a := range m {
		if len(name) >= maxName {
			return nil, invalid("One or more parameter values were invalid: Attribute name is too large, must be less than 64KB")
		}
		v, err := valueAt(&a, depth)
		if err != nil {
			return nil, err
		}
		it[name] = v
	}
	return it, nil
}

// valueOf reads a value of the API.
func valueOf(a *model.AttributeValue) (value.Value, error) { return valueAt(a, 0) }

// typesSet counts the types that a value is given in, of which there must be one.
func typesSet(a *model.AttributeValue) int {
	n := 0
	for _, set := range []bool{
		a.S.Set, a.N.Set, a.B != nil, a.BOOL.Set, a.NULL.Set, a.SS != nil, a.NS != nil, a.BS != nil, a.M != nil, a.L != nil,
	} {
		if set {
			n++
		}
	}
	return n
}

func valueAt(a *model.AttributeValue, depth int) (v value.Value, err error) {
	switch n := typesSet(a); {
	case n == 0:
		return v, invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	case n > 1:
		return v, invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
	case depth > value.MaxDepth:
		return v, invalid("Nesting Levels have exceeded supported limits")
	}
	switch {
	case a.S.Set:
		return value.Value{Kind: value.String, Text: a.S.V}, nil
	case a.N.Set:
		return numeric(a.N.V)
	case a.B != nil:
		return value.Value{Kind: value.Binary, Text: string(a.B)}, nil
	case a.BOOL.Set:
		return value.Value{Kind: value.Bool, Bool: a.BOOL.V}, nil
	case a.NULL.Set:
		if !a.NULL.V {
			return v, invalid("One or more parameter values were invalid: Null attribute value types must have the value of true")
		}
		return value.Value{Kind: value.Null}, nil
	case a.M != nil:
		v.Kind = value.Map
		v.Map, err = itemAt(a.M, depth+1)
		return v, err
	case a.L != nil:
		v.Kind = value.List
		for i := range a.L {
			m, err := valueAt(&a.L[i], depth+1)
			if err != nil {
				return v, err
			}
			v.Items = append(v.Items, m)
		}
		return v, nil
	}
	return setOf(a)
}

func numeric(text string) (value.Value, error) {
	n, err := value.ParseNumber(text)
	if err != nil {
		return value.Value{}, wireError(err)
	}
	return value.Value{Kind: value.Numeric, Num: n}, nil
}

// setOf reads a set: members of one type, at least one and none twice.
func setOf(a *model.AttributeValue) (v value.Value, err error) {
	switch {
	case a.SS != nil:
		v.Kind = value.StringSet
		for _, s := range a.SS {
			v.Items = append(v.Items, value.Value{Kind: value.String, Text: s})
		}
	case a.BS != nil:
		v.Kind = value.BinarySet
		for _, b := range a.BS {
			v.Items = append(v.Items, value.Value{Kind: value.Binary, Text: string(b)})
		}
	default:
		v.Kind = value.NumberSet
		for _, text := range a.NS {
			n, err := numeric(text)
			if err != nil {
				return v, err
			}
			v.Items = append(v.Items, n)
		}
	}
	if len(v.Items) == 0 {
		what := map[value.Kind]string{value.StringSet: "string set ", value.NumberSet: "number set ", value.BinarySet: "binary set "}[v.Kind]
		return v, invalid("One or more parameter values were invalid: An " + what + " may not be empty")
	}
	if _, twice := v.Duplicate(); twice {
		if v.Kind == value.StringSet {
			return v, invalid("One or more parameter values were invalid: Input collection [" + strings.Join(a.SS, ", ") + "] contains duplicates.")
		}
		return v, invalid("Input collection contains duplicates")
	}
	return v, nil
}
