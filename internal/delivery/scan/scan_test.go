package scan

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestValid(t *testing.T) {
	for in, want := range map[string]bool{
		`{}`: true, `[]`: true, ` {"a" : [1 , 2.5e-3, -0, "x\u00e9\n", true, false, null, {"b":{}}]} `: true,
		`0`: true, `"\ud800"`: true, "\"\xff\"": true, `1e999`: true,
		``: false, ` `: false, `{`: false, `{"a"}`: false, `{"a":}`: false, `{"a":1,}`: false, `{a:1}`: false, `{,}`: false,
		`[1,]`: false, `[,1]`: false, `[1 2]`: false, `01`: false, `+1`: false, `1.`: false, `.5`: false, `1e`: false, `-`: false,
		`tru`: false, `nul`: false, `NaN`: false, `"a`: false, `"\x"`: false, `"\u12g4"`: false, "\"\n\"": false, `{} {}`: false, `'a'`: false,
		strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth):     true,
		strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1): false,
		"{}\x00": false,
	} {
		if Valid([]byte(in)) != want {
			t.Errorf("%.40q is not %v", in, want)
		}
	}
}

func TestWalk(t *testing.T) {
	s := New([]byte(` {"a":[1,"\"x",{}], "b\n":true}{"c":null} x`))
	var got []string
	for range 2 {
		if err := s.Open('{'); err != nil {
			t.Fatal(err)
		}
		for first := true; ; first = false {
			name, more, err := s.Member(first)
			if err != nil {
				t.Fatal(err)
			}
			if !more {
				break
			}
			value, err := s.Value()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(Unquote(nil, name))+"="+string(value))
		}
	}
	if want := "a=[1,\"\\\"x\",{}] b\n=true c=null"; strings.Join(got, " ") != want {
		t.Errorf("%q", got)
	}
	if s.Peek() != 'x' || s.End() == nil {
		t.Error("there is an x at the end")
	}
	if _, err := s.Value(); err == nil {
		t.Error("an x is a value")
	}
}

// FuzzValid holds the scanner against encoding/json, which knows no bound of depth
// below 10,000.
func FuzzValid(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,"x\u00e9\ud83d\ude00"],"b":null}`, `[]`, `"\ud800\u0041"`, "\"\xc3\"", `-0.0E+5`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if bytes.Count(in, []byte("["))+bytes.Count(in, []byte("{")) > MaxDepth {
			return
		}
		if got, want := Valid(in), json.Valid(in); got != want {
			t.Fatalf("%q is %v, encoding/json has %v", in, got, want)
		}
		s := New(in)
		if s.Peek() != '"' || !Valid(in) {
			return
		}
		text, err := s.String()
		if err != nil {
			t.Fatal(err)
		}
		var want string
		if err := json.Unmarshal(in, &want); err != nil {
			t.Fatal(err)
		}
		if got := string(Unquote(nil, text)); got != want {
			t.Fatalf("%q means %q, encoding/json has %q", in, got, want)
		}
	})
}

func BenchmarkValid(b *testing.B) {
	in := []byte(`{"player":"p00017","game":"g113","move":17,"score":12.25,"at":"2026-11-25T12:00:00Z","pos":{"x":12,"y":-3},"tags":["a","b"]}`)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if !Valid(in) {
			b.Fatal("not valid")
		}
	}
}
