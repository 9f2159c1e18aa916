package prefix

import (
	"strings"
	"testing"
	"time"

	"thalweg/internal/errs"
)

func TestTemplate(t *testing.T) {
	slot := Slot{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Made: time.UnixMilli(1767323045678), Nth: 2,
		Partition: 7, Offset: 42, Unique: "u", Extension: ".gz",
	}
	for text, want := range map[string]string{
		"c/!{yyyy}/!{MM}/!{dd}/!{HH}/n-!{YY}-!{mm}!{extension}": "c/2026/01/02/03/n-26-04-u.gz",
		"plain":                                "plain-u",
		"x!{extension}/y":                      "x.gz/y-u",
		"!{partition-id}+!{kafka-offset}":      "7+000000000000000042-u",
		"!{sequence-number}!{sequence-number}": "0176732304567800000201767323045678000002-u",
	} {
		c, err := CompileTemplate(text)
		if err != nil {
			t.Fatal(text, err)
		}
		if got, err := c.Key(slot); got != want || err != nil {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"!{badvar}", "!{yyyy", "a/!{}", "!{!{yyyy}}"} {
		if _, err := CompileTemplate(text); errs.KindOf(err) != errs.Invalid {
			t.Errorf("%s: %v", text, err)
		}
	}
	long, err := CompileTemplate(strings.Repeat("!{kafka-offset}", 60))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := long.Key(slot); errs.KindOf(err) != errs.Invalid {
		t.Errorf("a key of 1,082 bytes: %v", err)
	}
}

func TestTemplateSequence(t *testing.T) {
	c, err := CompileTemplate("!{sequence-number}")
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	for _, s := range []Slot{{Made: time.UnixMilli(9)}, {Made: time.UnixMilli(9), Nth: 10}, {Made: time.UnixMilli(10)}, {Made: time.UnixMilli(1e12)}} {
		key, err := c.Key(s)
		if err != nil || key <= last {
			t.Errorf("%v: %s after %s, %v", s, key, last, err)
		}
		last = key
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add("a/!{yyyy}/!{partition-id}!{extension}")
	f.Add("!{")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := CompileTemplate(text)
		if err != nil {
			return
		}
		a, _ := c.Key(Slot{Unique: "u"})
		b, _ := c.Key(Slot{Unique: "u"})
		if a != b {
			t.Errorf("%q: %q and %q", text, a, b)
		}
	})
}
