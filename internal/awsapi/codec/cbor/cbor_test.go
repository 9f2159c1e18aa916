package cbor

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	oracle "github.com/fxamacker/cbor/v2"

	"thalweg/internal/awsapi/codec"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read decodes doc, a map, and gives the value of member k to value.
func read[T any](doc []byte, value func(*Decoder) T) (T, error) {
	d := NewDecoder(bytes.Clone(doc))
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

func TestTime(t *testing.T) {
	// A GetShardIterator of the Java SDK, as captured on the wire, has tag 1 and
	// epoch milliseconds: c1 1b 000001a013accc38.
	for doc, want := range map[string]int64{
		"a1 616b c1 1b 000001a013accc38":    1787036486712,
		"bf 616b c1 1b 000001a013accc38 ff": 1787036486712,
		"a1 616b 1b 000001a013accc38":       1787036486712,
		"a1 616b c1 fb 427a013accc38000":    0x1a013accc38,
		"a1 616b c1 00":                     0,
		"a1 616b c1 20":                     -1,
	} {
		if strings.Contains(doc, "fb") {
			doc = "a1 616b c1 fb" + hex.EncodeToString(be(math.Float64bits(1787036486712)))
			want = 1787036486712
		}
		v, err := read(unhex(t, doc), func(d *Decoder) time.Time { return d.Time(codec.TimeDefault).V })
		if err != nil || v.UnixMilli() != want {
			t.Errorf("%s: %d, %v; want %d", doc, v.UnixMilli(), err, want)
		}
	}
	e := NewEncoder(nil)
	e.Time(time.UnixMilli(1787036486712), codec.TimeDefault)
	if got := hex.EncodeToString(e.Bytes()); got != "c11b000001a013accc38" {
		t.Errorf("written as %s", got)
	}
	for _, doc := range []string{"a1 616b c1 f97e00", "a1 616b c1 f97c00", "a1 616b c1 1bffffffffffffffff", "a1 616b c1 6178", "a1 616b f5"} {
		_, err := read(unhex(t, doc), func(d *Decoder) time.Time { return d.Time(codec.TimeDefault).V })
		var e *codec.Error
		if !errors.As(err, &e) || !strings.HasSuffix(e.Msg, "can not be converted to milliseconds since epoch") {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

func be(v uint64) []byte {
	var b [8]byte
	for i := range b {
		b[i] = byte(v >> (56 - 8*i))
	}
	return b[:]
}

func TestValues(t *testing.T) {
	blob := func(d *Decoder) string { return string(d.Blob()) }
	text := func(d *Decoder) string { return d.String().V }
	for _, c := range []struct {
		doc  string
		read func(*Decoder) string
		want string
	}{
		{"a1 616b 43 010203", blob, "\x01\x02\x03"},
		{"a1 616b 5f 41 01 40 42 0203 ff", blob, "\x01\x02\x03"},
		{"bf 616b 5f ff ff", blob, ""},
		{"a1 616b 63 616263", text, "abc"},
		{"a1 616b 7f 61 61 62 6263 ff", text, "abc"},
		{"bf 7f 61 6b ff 61 78 ff", text, "x"},
		{"a1 616b d9d9f7 61 78", text, "x"}, // a tag that says nothing
	} {
		if got, err := read(unhex(t, c.doc), c.read); err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.doc, got, err, c.want)
		}
	}
	for doc, want := range map[string]float64{
		"a1 616b f93c00": 1, "a1 616b f9c000": -2, "a1 616b f90001": 5.960464477539063e-08, "a1 616b f97bff": 65504,
		"a1 616b fa47c35000": 100000, "a1 616b fb3ff199999999999a": 1.1, "a1 616b 05": 5, "a1 616b 24": -5,
	} {
		if v, err := read(unhex(t, doc), func(d *Decoder) float64 { return d.Float().V }); err != nil || v != want {
			t.Errorf("%s: %g, %v; want %g", doc, v, err, want)
		}
	}
	for doc, want := range map[string]int64{
		"a1 616b 1bffffffffffffffff": math.MaxInt64, "a1 616b 3bffffffffffffffff": math.MinInt64, "a1 616b f97c00": math.MaxInt64,
		"a1 616b fb4040a3d70a3d70a4": 33, "a1 616b 3903e7": -1000,
	} {
		if v, err := read(unhex(t, doc), func(d *Decoder) int64 { return d.Long().V }); err != nil || v != want {
			t.Errorf("%s: %d, %v; want %d", doc, v, err, want)
		}
	}
}

func TestMalformed(t *testing.T) {
	for name, doc := range map[string]string{
		"empty": "", "no map": "01", "text": "6161", "null": "f6", "trailing": "a0 00", "unclosed": "bf", "short": "a1 616b",
		"huge map": "bb ffffffffffffffff", "huge map 2": "bb fffffffffffffffe", "huge list": "a1 616b 9b fffffffffffffffe",
		"huge text": "a1 616b 7b 7fffffffffffffff", "huge bytes": "a1 616b 5b ffffffffffffffff", "reserved": "a1 616b 1c",
		"number key": "a1 01 01", "piece of another type": "a1 616b 7f 41 61 ff", "nested pieces": "a1 616b 7f 7f ff ff",
		"break": "a1 616b ff", "lone break": "ff", "bad utf-8": "a1 616b 61 ff", "bad simple": "a1 616b f8 10", "bignum": "a1 616b c2 41 01",
		"tags": "a1 616b" + strings.Repeat("c6", 100) + "00", "deep": strings.Repeat("a1616b", codec.MaxDepth+1) + "00",
		"indefinite number": "a1 616b 1f", "indefinite tag": "a1 616b df 00",
	} {
		for what, value := range map[string]func(*Decoder) int{
			"skip": func(d *Decoder) int { d.Skip(); return 0 },
			"text": func(d *Decoder) int { d.String(); return 0 },
			"list": func(d *Decoder) int {
				for d.BeginList(); d.NextItem(); {
					d.Skip()
				}
				return 0
			},
		} {
			if _, err := read(unhex(t, doc), value); err == nil {
				t.Errorf("%s read as %s: no error", name, what)
			}
		}
	}
}

func TestMismatch(t *testing.T) {
	for doc, want := range map[string]string{
		"a1 616b 01":     "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to a Blob",
		"a1 616b 6161":   "class java.lang.String can not be converted to a Blob",
		"a1 616b 80":     "Start of list found where not expected",
		"a1 616b bf ff":  "Start of structure or map found where not expected.",
		"a1 616b c1 f5 ": "class java.lang.Boolean can not be converted to a Blob",
	} {
		_, err := read(unhex(t, doc), (*Decoder).Blob)
		var e *codec.Error
		if !errors.As(err, &e) || e.Msg != want {
			t.Errorf("%s: %v, want %q", doc, err, want)
		}
	}
}

// FuzzCBOR compares what is accepted with fxamacker/cbor, and text and bytes
// with what it reads.
func FuzzCBOR(f *testing.F) {
	for _, s := range []string{
		"a0", "bfff", "a1616b01", "a1616b5f41014202 03ff", "a1616bf93c00", "a1616bc11b000001a013accc38", "bf616b9f0102ffff", "a1616bf818", "a1616bf820",
		"a2616b6161616b6162",
	} {
		f.Add(unhex(f, s))
	}
	dec, err := oracle.DecOptions{MaxNestedLevels: 256, MaxArrayElements: math.MaxInt32, MaxMapPairs: math.MaxInt32}.DecMode()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		d := NewDecoder(bytes.Clone(doc))
		d.Skip()
		accepted := d.Finish() == nil
		if err := dec.Wellformed(doc); accepted && err != nil {
			t.Fatalf("accepted %x: %v", doc, err)
		}
		got := map[string]string{}
		d = NewDecoder(bytes.Clone(doc))
		if d.BeginStruct() {
			for k := d.NextKey(); k != nil; k = d.NextKey() {
				key := string(k)
				delete(got, key)
				switch c := d.peek() & 0xE0; c {
				case majorText:
					got[key] = d.String().V
				case majorBytes:
					got[key] = string(d.Blob())
				default:
					d.Skip()
				}
			}
		}
		if d.Finish() != nil {
			return
		}
		var std map[string]oracle.RawMessage
		if err := dec.Unmarshal(doc, &std); err != nil {
			t.Fatalf("%x: %v", doc, err)
		}
		for k, v := range got {
			var s string
			var b []byte
			if dec.Unmarshal(std[k], &s) != nil && dec.Unmarshal(std[k], &b) == nil {
				s = string(b)
			}
			if s != v && utf8.ValidString(s) {
				t.Fatalf("%x: member %q is %q, want %q", doc, k, v, s)
			}
		}
	})
}
