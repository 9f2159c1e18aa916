package partition

import (
	"encoding/json"
	"fmt"
	"math/big"
	"testing"
)

// TestHash has the values of appendix B of the specification.
func TestHash(t *testing.T) {
	for _, c := range []struct {
		v    any
		want int32
	}{
		{int32(34), 2017239379}, {int64(34), 2017239379}, {big.NewInt(1420), -500754589}, {int32(17486), -653330422},
		{int64(81068000000), -662762989}, {int64(1510871468000000), -2047944441}, {int64(1510871468000001), -1207196810},
		{"iceberg", 1210000089},
		{[]byte{0xf7, 0x9c, 0x3e, 0x09, 0x67, 0x7c, 0x4b, 0xbd, 0xa4, 0x79, 0x3f, 0x34, 0x9c, 0xb7, 0x85, 0xe7}, 1488055340},
		{[]byte{0, 1, 2, 3}, -188683207},
	} {
		if got := int32(hash(c.v)); got != c.want {
			t.Errorf("%v: %d, want %d", c.v, got, c.want)
		}
	}
}

func TestTransforms(t *testing.T) {
	for _, c := range []struct {
		transform, source string
		v                 any
		want, kind        string
	}{
		{"identity", "string", "x", "x", "string"},
		{"identity", "decimal(9,2)", big.NewInt(-7), "-7", "decimal(9,2)"},
		{"identity", "string", nil, "<nil>", "string"},
		{"void", "string", "x", "<nil>", "string"},
		{"bucket[16]", "string", "iceberg", fmt.Sprint(1210000089 % 16), "int"},
		{"bucket[10]", "date", int32(17486), fmt.Sprint((-653330422 & 0x7fffffff) % 10), "int"},
		{"truncate[10]", "int", int32(-1), "-10", "int"},
		{"truncate[10]", "long", int64(19), "10", "long"},
		{"truncate[50]", "decimal(9,2)", big.NewInt(1065), "1050", "decimal(9,2)"},
		{"truncate[50]", "decimal(9,2)", big.NewInt(-1), "-50", "decimal(9,2)"},
		{"truncate[3]", "string", "ic\u00e9berg", "ic\u00e9", "string"},
		{"truncate[3]", "string", "ic", "ic", "string"},
		{"truncate[2]", "binary", []byte{1, 2, 3}, "[1 2]", "binary"},
		{"year", "date", int32(-1), "-1", "int"},
		{"month", "date", int32(-1), "-1", "int"},
		{"day", "date", int32(-1), "-1", "date"},
		{"year", "timestamp", int64(1510871468000001), "47", "int"},
		{"month", "timestamptz", int64(1510871468000001), "574", "int"},
		{"day", "timestamp", int64(1510871468000001), "17486", "date"},
		{"day", "timestamp", int64(-1), "-1", "date"},
		{"hour", "timestamp", int64(1510871468000001), "419686", "int"},
		{"hour", "timestamp", int64(-1), "-1", "int"},
	} {
		raw, err := json.Marshal(map[string]any{"spec-id": 3, "fields": []any{map[string]any{"source-id": 1, "field-id": 1000, "name": "p", "transform": c.transform}}})
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(raw, func(int) string { return c.source })
		if err != nil {
			t.Error(err)
			continue
		}
		if got := fmt.Sprint(s.Tuple([]any{c.v})[0]); got != c.want || s.Fields[0].Type() != c.kind || s.ID != 3 {
			t.Errorf("%s of %s %v: %s %s, want %s %s", c.transform, c.source, c.v, got, s.Fields[0].Type(), c.want, c.kind)
		}
	}
	for _, c := range [][2]string{
		{"bucket[0]", "int"}, {"bucket", "int"}, {"bucket[x]", "int"}, {"bucket[3", "int"}, {"bucket[3]", "double"}, {"truncate[3]", "date"}, {"hour", "date"},
		{"year", "string"}, {"identity", ""}, {"identity[3]", "int"}, {"median", "int"},
	} {
		raw := json.RawMessage(`{"fields":[{"source-id":1,"field-id":1000,"name":"p","transform":"` + c[0] + `"}]}`)
		if _, err := Parse(raw, func(int) string { return c[1] }); err == nil {
			t.Errorf("%s of %s was taken", c[0], c[1])
		}
	}
}

func TestKeys(t *testing.T) {
	keys := map[string]bool{}
	for _, tuple := range [][]any{{nil}, {"<nil>"}, {""}, {int32(1)}, {int64(1)}, {"1"}, {"a", "b"}, {"a:b", ""}, {"", "a:b"}, {nil, nil}} {
		keys[Key(tuple)] = true
	}
	if len(keys) != 10 {
		t.Errorf("%d keys of 10 tuples", len(keys))
	}
}
