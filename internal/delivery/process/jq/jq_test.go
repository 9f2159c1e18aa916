package jq

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"thalweg/internal/errs"
)

// keys shows the keys of a record, or why it has none.
func keys(q *Query, record string) string {
	got := map[string]string{}
	if err := q.Keys(got, "query:", []byte(record)); err != nil {
		return "! " + err.Error()
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(got)) {
		out = append(out, k+"="+got[k])
	}
	return strings.Join(out, " ")
}

func compiled(t testing.TB, source string) *Query {
	t.Helper()
	q, err := Compile(source)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestKeys(t *testing.T) {
	for _, c := range []struct{ query, record, want string }{
		{`{customer_id:.customer_id}`, `{"customer_id":"c1"}`, "query:customer_id=c1"},
		{`{a:.x.y, b:.z}`, ` {"z":12,"x":{"q":0,"y":true}} `, "query:a=true query:b=12"},
		{`{a:.x.y, b:.x.z}`, `{"x":{"y":"1","z":"2"},"x":{"y":"3"}}`, "! " + ErrValues.Error()},
		{`{a:.a}`, `{"a":null}`, "! " + ErrValues.Error()},
		{`{a:.a}`, `{}`, "! " + ErrValues.Error()},
		{`{a:.a}`, `{"a":""}`, "! " + ErrValues.Error()},
		{`{a:.a}`, `{"a":[1]}`, "! partition keys must be strings, numbers or booleans"},
		{`{a:.a}`, `{"a":1}x`, "! Non JSON record provided"},
		{`{a:.a}`, `hello`, "! Non JSON record provided"},
		{`{a:.a}`, ``, "! Non JSON record provided"},
		{`{a:.a}`, `{"a":12345678901234567890}`, "query:a=12345678901234567000"},
		{`{a:.a}`, `{"a":1e1000}`, "query:a=1.7976931348623157e+308"},
		{`{a:.a}`, `{"a":0.00001}`, "query:a=1e-05"},
		{`{a:.a}`, `{"a":1.50}`, "query:a=1.5"},
		{`{a:.a}`, `{"a":"\u00e9\n"}`, "query:a=\u00e9\n"},
		{`{a:.a}`, `{"\u0061":"x"}`, "query:a=x"},
		{`{a:.a.b}`, `{"a":1}`, `! expected an object but got: number (1)`},
		{`{"a b":."x y"}`, `{"x y":"1"}`, "query:a b=1"},
		{`{a}`, `{"a":"x"}`, "query:a=x"},
		{`{y:.at|strftime("%Y"), m:.at|strftime("%m")}`, `{"at":1764090000}`, "query:m=11 query:y=2025"},
		{`{a:(.a//"none")}`, `{}`, "query:a=none"},
		{`{a:"\(.x)-\(.y)"}`, `{"x":1e17,"y":{"b":1}}`, `query:a=1e+17-{"b":1}`},
		{`{a:(.a|tostring)}`, `{"a":100000}`, "query:a=100000"},
		{`{a:(.t|split(":")[0]|ascii_downcase)}`, `{"t":"Foo:bar"}`, "query:a=foo"},
		{`{a:(if .n > 3 then "big" else "small" end)}`, `{"n":4}`, "query:a=big"},
		{`.a`, `{"a":{"k":"v"}}`, "query:k=v"},
		{`.a`, `{"a":1}`, "! the query must make one object of a record"},
		{`empty`, `{}`, "! the query must make one object of a record"},
		{`{a:.l[]}`, `{"l":["x","y"]}`, "! the query must make one object of a record"},
		{`{a:.l[]}`, `{"l":["x"]}`, "query:a=x"},
		{`{a:error("no")}`, `{}`, "! error: no"},
		{`{a:(.l|join("-"))}`, `{"l":["x",1,null,true]}`, "query:a=x-1--true"},
		{`{a:(.d|strptime("%Y-%m-%d")|mktime)}`, `{"d":"2026-11-25"}`, "query:a=1795564800"},
	} {
		if got := keys(compiled(t, c.query), c.record); got != c.want {
			t.Errorf("%s over %s:\ngot  %s\nwant %s", c.query, c.record, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for query, want := range map[string]string{
		`{a:.a`:                       "unexpected EOF",
		`def f: 1; {a:f}`:             "definitions, imports and modules are not supported",
		`{a:(.a = 1)}`:                "assignments are not supported",
		`{a:(.a |= 1)}`:               "assignments are not supported",
		`{a:(.a += 1)}`:               "assignments are not supported",
		`reduce .[] as $x (0; .+$x)`:  "reduce, foreach, labels and break are not supported",
		`foreach .[] as $x (0; .+$x)`: "reduce, foreach, labels and break are not supported",
		`label $x | {a:1}`:            "reduce, foreach, labels and break are not supported",
		`{a:now}`:                     "the function now/0 is not supported",
		`{a:env}`:                     "the function env/0 is not supported",
		`{a:$ENV.PATH}`:               "$ENV is not supported",
		`{$__loc__}`:                  "$__loc__ is not supported",
		`{a:input}`:                   "the function input/0 is not supported",
		`{a:localtime}`:               "the function localtime/0 is not supported",
		`{a:del(.b)}`:                 "the function del/1 is not supported",
		`{a:_thalweg_bounded}`:        "the function _thalweg_bounded/0 is not supported",
		`{a:trim}`:                    "the function trim/0 is not supported",
		`{a:(if .a then 1 end)}`:      "if without else is not in jq 1.6",
		`{a:@urid}`:                   "the format @urid is not in jq 1.6",
		`{a: .b + 1}`:                 "operators in the value of an object's member need parentheses in jq 1.6",
		`{a:(.b|gsub("x";"\(.)"))}`:   "the replacement of gsub must be a literal",
		`.[] as [$a] ?// $a | {a:$a}`: "?// is not supported",
		strings.Repeat("(", 300) + "." + strings.Repeat(")", 300): "it is too large",
		strings.Repeat(".|", 6000) + ".":                          "it is too large",
		`{a:$x}`:                                                  "variable not defined: $x",
	} {
		_, err := Compile(query)
		if err == nil || !strings.HasSuffix(err.Error(), ": "+want) && !strings.Contains(err.Error(), want) || errs.KindOf(err) != errs.Invalid {
			t.Errorf("%.60s: %v, want %s", query, err, want)
		}
	}
}

// TestBounds has queries that would take time or memory without end.
func TestBounds(t *testing.T) {
	doubling := `"0123456789"` + strings.Repeat("|.+.", 60)
	for query, want := range map[string]error{
		`{a:last(range(1e9))}`:               errFuel,
		`{a:last(repeat(1))}`:                errFuel,
		`{a:([range(1e9)]|length)}`:          errFuel,
		`{a:(1|until(false;.+1))}`:           errFuel,
		`{a:([recurse(.)]|length)}`:          errFuel,
		`{a:(` + doubling + `)}`:             errSize,
		`{a:("x"*1e9)}`:                      errSize,
		`{a:(1e9*"x")}`:                      errSize,
		`{a:("x"*1e6|[.,.,.,.,.,.]|tojson)}`: errSize,
		`{a:("x"*60000|"\(.)\(.)"|"\(.)\(.)"|"\(.)\(.)"|"\(.)\(.)"|"\(.)\(.)"|"\(.)\(.)"|"\(.)\(.)")}`: errSize,
		`{a:("x"*100000|split(""))}`:                         errSize,
		`{a:("x"*100000/"")}`:                                errSize,
		`{a:("x"*4097|gsub("x";"yyyyyyyyyyyyyyy"))}`:         errSize,
		`{a:(("x"*5000) as $x|1|strftime($x))}`:              errSize,
		`{a:(("x"*5000) as $x|"x"|test($x))}`:                errSize,
		`{a:(("x"*60000) as $x|[range(100)]|join($x))}`:      errSize,
		`{a:(("x"*60000) as $x|[range(100)|null]|join($x))}`: errSize,
		`{a:([.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|[.,.]|tojson)}`: errSize,
	} {
		q := compiled(t, query)
		for range 2 { // it stays usable, and says the same again
			if err := q.Keys(map[string]string{}, "", []byte(`{"b":"c"}`)); !errors.Is(err, want) {
				t.Errorf("%.60s: %v, want %v", query, err, want)
			}
		}
	}
	large := []byte(`"` + strings.Repeat("x", MaxValue) + `"`)
	if err := compiled(t, `{a:"b"}`).Keys(map[string]string{}, "", large); !errors.Is(err, errSize) {
		t.Error(err)
	}
}

// The plain paths give what the query gives, for any record.
func TestFastIsTheQuery(t *testing.T) {
	sources := []string{`{a:.x}`, `{a:.x,b:.y}`, `{a:.x.y,b:.x.z,c:.y}`, `{a:.x.y.z,"b":."y"}`, `{x}`, `{a:.["x"]}`}
	var queries, plain []*Query
	for _, s := range sources {
		q := compiled(t, s)
		if q.paths == nil {
			t.Fatalf("%s has no plain paths", s)
		}
		queries = append(queries, q)
		p := compiled(t, s)
		p.paths = nil
		plain = append(plain, p)
	}
	for _, s := range []string{`{a:.x[]}`, `{a:.x[0]}`, `{a:.x?}`, `{a:.}`, `{(.a):.x}`, `{a:.x,a:.y}`, `{a:.x,b:.x.y}`, `{a:.x|tostring}`, `{"a\(1)":.x}`, `{a:.x[1:2]}`, `[.x]`, `{a:.x}.a`} {
		if q := compiled(t, s); q.paths != nil {
			t.Errorf("%s has plain paths", s)
		}
	}
	leaf := rapid.SampledFrom([]string{`1`, `-0`, `0.1e1`, `1e400`, `""`, `"v"`, `"\u0041\ud83d"`, "\"\xff\"", `null`, `true`, `[1]`, `{}`, `12345678901234567890`, `01`, `{"y":{"z":2}}`})
	name := rapid.SampledFrom([]string{`x`, `y`, `z`, `\u0078`, `w`})
	var object func(depth int) *rapid.Generator[string]
	object = func(depth int) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			var members []string
			for range rapid.IntRange(0, 4).Draw(t, "members") {
				value := leaf.Draw(t, "leaf")
				if depth > 0 && rapid.Bool().Draw(t, "nested") {
					value = object(depth-1).Draw(t, "object")
				}
				members = append(members, fmt.Sprintf(`"%s": %s`, name.Draw(t, "name"), value))
			}
			return "{" + strings.Join(members, ",") + "}"
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		record := object(3).Draw(t, "record")
		for i, q := range queries {
			if got, want := keys(q, record), keys(plain[i], record); got != want {
				t.Fatalf("%s over %s: %s, the query gives %s", sources[i], record, got, want)
			}
		}
	})
}

// Whatever the query and the record: an answer or an error, within the bounds, and
// the same one again.
func FuzzKeys(f *testing.F) {
	f.Add(`{a:.x.y}`, `{"x":{"y":1}}`)
	f.Add(`{a:(.x|tostring|split("-")[0])}`, `{"x":"a-b"}`)
	f.Add(`{a:(if .x then "a" elif .y then "b" else "c" end), b:@base64 "\(.x)"}`, `{"x":[1,{"a":null}]}`)
	f.Add(`.[] as {a:$x} | {b:$x}`, `[{"a":"1"}]`)
	f.Fuzz(func(t *testing.T, source, record string) {
		q, err := Compile(source)
		if err != nil {
			return
		}
		one := keys(q, record)
		if two := keys(q, record); one != two {
			t.Errorf("%s, then %s", one, two)
		}
	})
}

func BenchmarkKeys(b *testing.B) {
	record := []byte(`{"player":"p00017","game":"g113","move":17,"score":12.25,"at":"2026-11-25T12:00:00Z","pos":{"x":12,"y":-3},"tags":["a","b"]}`)
	for name, source := range map[string]string{
		"paths": `{player:.player, x:.pos.x}`, "query": `{player:.player, day:(.at|.[0:10])}`,
	} {
		b.Run(name, func(b *testing.B) {
			q := compiled(b, source)
			dst := map[string]string{}
			b.SetBytes(int64(len(record)))
			b.ReportAllocs()
			for b.Loop() {
				if err := q.Keys(dst, "query:", record); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
