package value

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustNumber(t testing.TB, s string) Number {
	n, err := ParseNumber(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return n
}

func TestNumbersAreWrittenPlainly(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "-0": "0", "0.000": "0", "0e5": "0", "1": "1", "+1": "1", "-1.50": "-1.5", "007": "7", ".5": "0.5", "5.": "5",
		"1e3": "1000", "1E-3": "0.001", "123.456e1": "1234.56", "100": "100", "0.10": "0.1",
		"1e125": "1" + strings.Repeat("0", 125), "1e-130": "0." + strings.Repeat("0", 129) + "1",
		strings.Repeat("9", 38): strings.Repeat("9", 38), "1" + strings.Repeat("0", 60): "1" + strings.Repeat("0", 60),
	} {
		if got := mustNumber(t, in).String(); got != want {
			t.Errorf("%s is written %s", in, got)
		}
	}
}

func TestNumbersOutOfBounds(t *testing.T) {
	for in, want := range map[string]string{
		"":                                  "The parameter cannot be converted to a numeric value",
		"a":                                 "The parameter cannot be converted to a numeric value: a",
		"1e":                                "The parameter cannot be converted to a numeric value: 1e",
		"--1":                               "The parameter cannot be converted to a numeric value: --1",
		".":                                 "The parameter cannot be converted to a numeric value: .",
		"1.2.3":                             "The parameter cannot be converted to a numeric value: 1.2.3",
		" 1":                                "The parameter cannot be converted to a numeric value:  1",
		"NaN":                               "The parameter cannot be converted to a numeric value: NaN",
		"1" + strings.Repeat("0", 38) + "1": "Attempting to store more than 38 significant digits in a Number",
		"1e126":                             "Number overflow. Attempting to store a number with magnitude larger than supported range",
		"1e-131":                            "Number underflow. Attempting to store a number with magnitude smaller than supported range",
		"1e99999":                           "Number overflow. Attempting to store a number with magnitude larger than supported range",
	} {
		if _, err := ParseNumber(in); err == nil || err.Error() != want {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// numbers draws numbers of few digits near each other and of many far apart.
func numbers() *rapid.Generator[Number] {
	return rapid.Custom(func(t *rapid.T) Number {
		s := rapid.StringMatching(`-?[0-9]{1,19}(\.[0-9]{1,19})?`).Draw(t, "number")
		if rapid.Bool().Draw(t, "scaled") {
			s += "e" + rapid.StringMatching(`-?[0-9]{1,2}`).Draw(t, "power")
		}
		n, err := ParseNumber(s)
		if err != nil {
			t.Skip(err)
		}
		return n
	})
}

func rat(n Number) *big.Rat {
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		panic(n.String())
	}
	return r
}

// TestNumbersAreExact compares with rationals.
func TestNumbersAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := numbers().Draw(t, "a"), numbers().Draw(t, "b")
		if want := rat(a).Cmp(rat(b)); a.Compare(b) != want || (a == b) != (want == 0) {
			t.Fatalf("%s and %s compare %d", a, b, a.Compare(b))
		}
		if again := mustParse(t, a.String()); again != a {
			t.Fatalf("%s is read back as %s", a, again)
		}
		sum, err := a.Add(b)
		exact := new(big.Rat).Add(rat(a), rat(b))
		if err == nil && rat(sum).Cmp(exact) != 0 {
			t.Fatalf("%s + %s is %s", a, b, sum)
		}
		if diff, err := a.Add(a.Neg()); err != nil || diff != (Number{}) {
			t.Fatalf("%s - itself is %s, %v", a, diff, err)
		}
	})
}

func mustParse(t *rapid.T, s string) Number {
	n, err := ParseNumber(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// scalars draws values that keys can have.
func scalars() *rapid.Generator[Value] {
	return rapid.OneOf(
		rapid.Map(rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 'a', 'b', 0xff}), 0, 5, -1), func(s string) Value { return Value{Kind: String, Text: s} }),
		rapid.Map(numbers(), func(n Number) Value { return Value{Kind: Numeric, Num: n} }),
	)
}

// TestOrderedFormsSortAsValues: the bytes order as the values do, and what
// follows one form never mixes with it.
func TestOrderedFormsSortAsValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := scalars().Draw(t, "a"), scalars().Draw(t, "b")
		order, ok := a.Compare(b)
		if !ok {
			return
		}
		x, y := a.AppendOrdered(nil), b.AppendOrdered(nil)
		if got := bytes.Compare(x, y); got != order {
			t.Fatalf("%v and %v: values %d, forms %d (%x, %x)", a, b, order, got, x, y)
		}
		if order != 0 && (bytes.HasPrefix(x, y) || bytes.HasPrefix(y, x)) {
			t.Fatalf("%x begins %x", x, y)
		}
	})
}

// values draws any value.
func values(depth int) *rapid.Generator[Value] {
	text := rapid.Map(rapid.String(), func(s string) Value { return Value{Kind: String, Text: s} })
	number := rapid.Map(numbers(), func(n Number) Value { return Value{Kind: Numeric, Num: n} })
	binary := rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) Value { return Value{Kind: Binary, Text: string(b)} })
	set := func(k Kind, g *rapid.Generator[Value]) *rapid.Generator[Value] {
		return rapid.Map(rapid.SliceOfNDistinct(g, 1, 4, Value.scalar), func(l []Value) Value { return Value{Kind: k, Items: l} })
	}
	all := []*rapid.Generator[Value]{text, number, binary, set(StringSet, text), set(NumberSet, number), set(BinarySet, binary),
		rapid.Just(Value{Kind: Null}), rapid.Map(rapid.Bool(), func(b bool) Value { return Value{Kind: Bool, Bool: b} })}
	if depth > 0 {
		all = append(all,
			rapid.Map(rapid.SliceOfN(values(depth-1), 0, 3), func(l []Value) Value { return Value{Kind: List, Items: l} }),
			rapid.Map(rapid.MapOfN(rapid.String(), values(depth-1), 0, 3), func(m map[string]Value) Value { return Value{Kind: Map, Map: m} }))
	}
	return rapid.OneOf(all...)
}

func TestItemsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		it := Item(rapid.MapOfN(rapid.String(), values(3), 0, 6).Draw(t, "item"))
		b := AppendItem([]byte{}, it)
		got, rest, err := DecodeItem(append(b, "rest"...))
		if err != nil || string(rest) != "rest" || !got.Equal(it) || !it.Clone().Equal(it) {
			t.Fatalf("%v %v %q", got, err, rest)
		}
		if again := AppendItem(nil, got); !bytes.Equal(again, b) {
			t.Fatal("another form")
		}
		if got.Size() != it.Size() || it.Size() > len(b) && len(it) > 0 && it.Size() > 2*len(b) {
			t.Fatalf("size %d, form %d", it.Size(), len(b))
		}
	})
}

// TestSizes pins what DynamoDB counts.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		v    Value
		want int
	}{
		{Value{Kind: String, Text: "caf\u00e9"}, 5}, {Value{Kind: Bool}, 1}, {Value{Kind: Null}, 1},
		{Value{Kind: Numeric, Num: mustNumber(t, "0")}, 1}, {Value{Kind: Numeric, Num: mustNumber(t, "-123")}, 4},
		{Value{Kind: List}, 3}, {Value{Kind: List, Items: []Value{{Kind: Null}}}, 5},
		{Value{Kind: Map, Map: Item{"ab": {Kind: Null}}}, 7},
		{Value{Kind: StringSet, Items: []Value{{Kind: String, Text: "a"}, {Kind: String, Text: "bc"}}}, 3},
	} {
		if got := c.v.Size(); got != c.want {
			t.Errorf("%v: %d", c.v, got)
		}
	}
}

func FuzzDecodeItem(f *testing.F) {
	f.Add(AppendItem(nil, Item{"k": {Kind: String, Text: "v"}, "n": {Kind: NumberSet, Items: []Value{{Kind: Numeric}}},
		"m": {Kind: Map, Map: Item{"l": {Kind: List, Items: []Value{{Kind: Bool, Bool: true}, {Kind: Null}}}}}}))
	f.Add([]byte{1, 1, 'a', 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		it, rest, err := DecodeItem(b)
		if err != nil {
			return
		}
		again, none, err := DecodeItem(AppendItem(nil, it))
		if err != nil || len(none) > 0 || !again.Equal(it) || len(rest) > len(b) {
			t.Fatalf("%v %v", again, err)
		}
	})
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"0", "-1.5e10", "1e-130", "00.100", "9e125"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseNumber(s)
		if err != nil {
			return
		}
		if again, err := ParseNumber(n.String()); err != nil || again != n {
			t.Fatalf("%q: %v %v", s, again, err)
		}
	})
}
