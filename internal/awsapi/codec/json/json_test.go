package json

import (
	"bytes"
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"thalweg/internal/awsapi/codec"
)

// read decodes doc as {"k": value} with the reader given.
func read[T any](t *testing.T, doc string, value func(*Decoder) T) (T, error) {
	t.Helper()
	d := NewDecoder([]byte(doc))
	var v T
	if d.BeginStruct() {
		for k := d.NextKey(); k != nil; k = d.NextKey() {
			if string(k) != "k" {
				d.Skip()
				continue
			}
			v = value(d)
		}
	}
	return v, d.Finish()
}

func message(err error) string {
	var e *codec.Error
	if errors.As(err, &e) {
		return e.Msg
	}
	return ""
}

// TestTypeMismatch holds the texts that kinesalite recorded from AWS
// (test/helpers.js).
func TestTypeMismatch(t *testing.T) {
	const (
		number = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to a"
		list   = "Start of list found where not expected"
		object = "Start of structure or map found where not expected."
	)
	for want, values := range map[string]map[string]string{
		"String": {
			`true`: "class java.lang.Boolean can not be converted to an String", `23`: number + "n String",
			`-2147483648`: number + "n String", `34.56`: number + "n String", `[]`: list, `{}`: object,
		},
		"Integer": {
			`"23"`: "class java.lang.String can not be converted to an Integer",
			`true`: "class java.lang.Boolean can not be converted to an Integer", `[]`: list, `{}`: object,
		},
		"Long": {
			`"23"`: "class java.lang.String can not be converted to an Long", `[1,{"a":[]}]`: list,
		},
		"Boolean": {
			`"23"`: "'23' can not be converted to an Boolean", `"HelloWtf"`: "'HELLOWTF' can not be converted to an Boolean",
			`23`: number + "n Boolean", `[]`: list, `{}`: object,
		},
		"Blob": {
			`true`: "class java.lang.Boolean can not be converted to a Blob", `23`: number + " Blob", `[]`: list, `{}`: object,
			`"23456"`:             "'23456' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 5",
			`"=+/="`:              "'=+/=' can not be converted to a Blob: Invalid Base64 character: '='",
			`"+/+="`:              "'+/+=' can not be converted to a Blob: Invalid last non-pad Base64 character dectected",
			`"ab!d"`:              "'ab!d' can not be converted to a Blob: Invalid Base64 character: '!'",
			`"a\"cd"`:             "'a\"cd' can not be converted to a Blob: Invalid Base64 character: '\"'",
			`"AAAA====AAAA"`:      "'AAAA====AAAA' can not be converted to a Blob: Invalid Base64 character: '='",
			`"A==="`:              "'A===' can not be converted to a Blob: Invalid Base64 character: '='",
			`"AAAAA` + `\u0041A"`: "'AAAAAAA' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 7",
		},
		"Time": {
			`true`: "class java.lang.Boolean can not be converted to milliseconds since epoch",
			`"x"`:  "class java.lang.String can not be converted to milliseconds since epoch", `[]`: list, `{}`: object,
			`1e300`:            "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to milliseconds since epoch",
			`1622282661795000`: "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to milliseconds since epoch",
		},
		"List": {
			`"23"`: "Expected list or null", `true`: "Expected list or null", `23`: "Expected list or null", `{}`: object,
		},
		"Map": {
			`"23"`: "Expected map or null", `true`: "Expected map or null", `34.56`: "Expected map or null", `[]`: list,
		},
		"Structure": {
			`"23"`: "Expected null", `true`: "Expected null", `34.56`: "Expected null", `[]`: list,
		},
	} {
		for value, text := range values {
			_, err := read(t, `{"k":`+value+`}`, func(d *Decoder) any {
				switch want {
				case "String":
					d.String()
				case "Integer":
					d.Int()
				case "Long":
					d.Long()
				case "Boolean":
					d.Bool()
				case "Blob":
					d.Blob()
				case "Time":
					d.Time(codec.TimeDefault)
				case "List":
					d.BeginList()
				case "Map":
					d.BeginMap()
				case "Structure":
					d.BeginStruct()
				}
				return nil
			})
			if got := message(err); got != text {
				t.Errorf("%s as %s: %q, want %q", value, want, got, text)
			}
		}
	}
}

func TestMalformed(t *testing.T) {
	deep := strings.Repeat(`{"k":`, codec.MaxDepth+1) + `1` + strings.Repeat(`}`, codec.MaxDepth+1)
	for name, doc := range map[string]string{
		"empty": ``, "space": ` `, "no object": `"x"`, "number": `1`, "null": `null`, "trailing": `{} x`, "two": `{}{}`,
		"unclosed": `{"k":1`, "no colon": `{"k" 1}`, "no comma": `{"k":1 "l":2}`, "trailing comma": `{"k":1,}`,
		"bare key": `{k:1}`, "leading zero": `{"k":01}`, "plus": `{"k":+1}`, "dot": `{"k":1.}`, "bare dot": `{"k":.1}`,
		"exponent": `{"k":1e}`, "nan": `{"k":NaN}`, "infinity": `{"k":Infinity}`, "minus": `{"k":-}`, "hex": `{"k":0x1}`,
		"single quote": `{'k':1}`, "control": "{\"k\":\"a\nb\"}", "bad escape": `{"k":"\x"}`, "short u": `{"k":"\u12"}`,
		"lone high": `{"k":"\ud83d"}`, "lone low": `{"k":"\ude00"}`, "high then text": `{"k":"\ud83dx"}`,
		"invalid utf-8": "{\"k\":\"\xff\"}", "overlong": "{\"k\":\"\xc0\xaf\"}", "surrogate in utf-8": "{\"k\":\"\xed\xa0\x80\"}",
		"unclosed string": `{"k":"abc`, "literal": `{"k":tru}`, "comment": `{/**/"k":1}`, "deep": deep, "bom": "\ufeff{}",
		"nul": "{\"k\":1}\x00", "long number": `{"k":1` + strings.Repeat("0", 600) + `}`,
	} {
		for what, value := range map[string]func(*Decoder) int{
			"skip":   func(d *Decoder) int { d.Skip(); return 0 },
			"string": func(d *Decoder) int { d.String(); return 0 },
			"blob":   func(d *Decoder) int { d.Blob(); return 0 },
			"long":   func(d *Decoder) int { d.Long(); return 0 },
			"time":   func(d *Decoder) int { d.Time(0); return 0 },
			"struct": func(d *Decoder) int { d.BeginStruct(); return 0 },
		} {
			_, err := read(t, doc, value)
			if err == nil {
				t.Errorf("%s read as %s: no error", name, what)
			}
			if what == "skip" && message(err) != "" {
				t.Errorf("%s: text %q for a document that is not well-formed", name, message(err))
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "-0": 0, "1": 1, "-1": -1, "34.56": 34, "1e3": 1000, "1E+3": 1000, "9223372036854775807": math.MaxInt64,
		"9223372036854775808": math.MaxInt64, "-9223372036854775809": math.MinInt64, "1e300": math.MaxInt64, "1e999": math.MaxInt64,
		"-1e300": math.MinInt64, "0.9": 0,
	} {
		v, err := read(t, `{"k":`+text+`}`, func(d *Decoder) int64 { return d.Long().V })
		if err != nil || v != want {
			t.Errorf("%s: %d, %v; want %d", text, v, err, want)
		}
	}
	v, err := read(t, `{"k":10000000000}`, func(d *Decoder) int32 { return d.Int().V })
	if err != nil || v != math.MaxInt32 {
		t.Errorf("an integer beyond 32 bits: %d, %v", v, err)
	}
}

func TestTime(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1459799926.480": 1459799926480, "1459799926": 1459799926000, "-1.5": -1500, "-0.5": -500, "1.4597999264E9": 1459799926400,
		"946684800.0009": 946684800000, "1459799926.4809999999999": 1459799926480,
	} {
		v, err := read(t, `{"k":`+text+`}`, func(d *Decoder) time.Time { return d.Time(codec.TimeDefault).V })
		if err != nil || v.UnixMilli() != want {
			t.Errorf("%s: %d, %v; want %d", text, v.UnixMilli(), err, want)
		}
	}
	for ms, want := range map[int64]string{0: "0", 1459799926480: "1459799926.480", 1000: "1", -500: "-0.500", -1500: "-1.500", 7: "0.007"} {
		if got := string(AppendEpoch(nil, ms)); got != want {
			t.Errorf("%d: %s, want %s", ms, got, want)
		}
	}
	v, err := read(t, `{"k":"2026-01-02T03:04:05.678Z"}`, func(d *Decoder) time.Time { return d.Time(codec.TimeISO8601).V })
	if got := string(AppendISO8601(nil, v)); err != nil || got != "2026-01-02T03:04:05.678Z" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestAbsent(t *testing.T) {
	d := NewDecoder([]byte(`{"k":null}`))
	d.BeginStruct()
	d.NextKey()
	if d.String().Set || d.NextKey() != nil || d.Finish() != nil {
		t.Error("null is no absent string")
	}
	for _, doc := range []string{`{"k":[null]}`, `{"k":["a",null]}`} {
		if _, err := read(t, doc, func(d *Decoder) int {
			for d.BeginList(); d.NextItem(); {
				d.String()
			}
			return 0
		}); err == nil {
			t.Errorf("%s: a null item passed", doc)
		}
	}
	blob, err := read(t, `{"k":""}`, (*Decoder).Blob)
	if err != nil || blob == nil || len(blob) != 0 {
		t.Errorf("an empty blob is %v, %v", blob, err)
	}
}

// TestDuplicateMember pins that the last of a repeated member counts.
func TestDuplicateMember(t *testing.T) {
	v, err := read(t, `{"k":"a","k":"b"}`, func(d *Decoder) string { return d.String().V })
	if err != nil || v != "b" {
		t.Errorf("%q, %v", v, err)
	}
}

func TestBlobInPlace(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for size := range 300 {
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(rng.Uint32())
		}
		text := base64.StdEncoding.EncodeToString(want)
		for _, doc := range []string{`{"k":"` + text + `","z":1}`, `{"k":"` + strings.ReplaceAll(text, "/", `\/`) + `"}`} {
			got, err := read(t, doc, (*Decoder).Blob)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes: %v", size, err)
			}
			if cap(got) != len(got) {
				t.Fatalf("a blob's capacity reaches into the document")
			}
		}
	}
}

func TestTooManyElements(t *testing.T) {
	doc := `{"k":[` + strings.Repeat(`1,`, codec.MaxItems) + `1]}`
	if _, err := read(t, doc, func(d *Decoder) int {
		for d.BeginList(); d.NextItem(); {
			d.Skip()
		}
		return 0
	}); err == nil {
		t.Error("no error")
	}
}

// FuzzJSON compares what is accepted with encoding/json, and text with what it
// reads.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"k":"v"}`, `{"k":[1,-2.5e3,true,null,"\ud83d\ude00\/\n"]}`, `{"a":{"b":{}}}`, " {\n\"k\" :\t\"x\" } ",
		`{"k":"\u0000"}`, `{"k":"`, `{"k":"\ud800"}`, `{"k":1.0E-2}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		d := NewDecoder(bytes.Clone(doc))
		d.Skip()
		accepted := d.Finish() == nil
		if accepted && !stdjson.Valid(doc) {
			t.Fatalf("accepted %q", doc)
		}
		var std map[string]any
		d = NewDecoder(bytes.Clone(doc))
		got := map[string]string{}
		if d.BeginStruct() {
			for k := d.NextKey(); k != nil; k = d.NextKey() {
				key := string(k)
				delete(got, key)
				if c := d.peek(); c == '"' {
					got[key] = d.String().V
				} else {
					d.Skip()
				}
			}
		}
		if err := d.Finish(); err != nil {
			return
		}
		if err := stdjson.Unmarshal(doc, &std); err != nil {
			if strings.Contains(err.Error(), "cannot unmarshal number") {
				return // beyond a float64: skipped here
			}
			t.Fatalf("%q: %v", doc, err)
		}
		for k, v := range got {
			if std[k] != v {
				t.Fatalf("%q: member %q is %q, want %q", doc, k, v, std[k])
			}
		}
	})
}

// FuzzText checks that any text survives writing and reading.
func FuzzText(f *testing.F) {
	f.Add("plain")
	f.Add("\"\\\b\f\n\r\t\x00\x1f \u2028\U0001F600")
	f.Add("\xff\xc0")
	f.Fuzz(func(t *testing.T, s string) {
		doc := append(append([]byte(`{"k":`), AppendString(nil, s)...), '}')
		if !stdjson.Valid(doc) || !utf8.Valid(doc) {
			t.Fatalf("%q becomes %q", s, doc)
		}
		var std map[string]string
		if err := stdjson.Unmarshal(doc, &std); err != nil {
			t.Fatal(err)
		}
		got, err := read(t, string(doc), func(d *Decoder) string { return d.String().V })
		if err != nil || got != std["k"] || utf8.ValidString(s) && got != s {
			t.Fatalf("%q becomes %q, %v", s, got, err)
		}
	})
}
