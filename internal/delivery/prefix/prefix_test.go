package prefix

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"thalweg/internal/errs"
)

var (
	noon   = time.Date(2026, 7, 13, 14, 5, 6, 789e6, time.UTC)
	object = Object{Stream: "game", Version: "3", UUID: "3f0c2f9e-0000-5000-8000-000000000000", Extension: ".gz"}
)

const suffix = "game-3-2026-07-13-14-05-06-3f0c2f9e-0000-5000-8000-000000000000.gz"

func TestNames(t *testing.T) {
	keys := map[string]string{FromQuery + "team": "red", FromLambda + "team": "blue", FromQuery + "empty": ""}
	for _, c := range []struct {
		name         string
		config       Config
		data, failed string // "!" in front of an error
	}{
		{"defaults", Config{},
			"2026/07/13/14/" + suffix, "processing-failed/2026/07/13/14/" + suffix},
		{"no slash is added", Config{Prefix: "legacy"},
			"legacy2026/07/13/14/" + suffix, "legacyprocessing-failed/2026/07/13/14/" + suffix},
		{"an error prefix without expressions", Config{Prefix: "a/", ErrorOutputPrefix: "bad/"},
			"a/2026/07/13/14/" + suffix, "bad/processing-failed/2026/07/13/14/" + suffix},
		{"any expression and nothing is appended", Config{
			Prefix: "!{firehose:random-string}/x/", ErrorOutputPrefix: "!{firehose:error-output-type}-!{firehose:error-output-type}/"},
			"b10d0248f69/x/" + suffix, "processing-failed-processing-failed/" + suffix},
		{"each random string is another", Config{
			Prefix: "!{firehose:random-string}/!{firehose:random-string}/", ErrorOutputPrefix: "!{firehose:error-output-type}"},
			"b10d0248f69/49ca2e6523a/" + suffix, "processing-failed" + suffix},
		{"a time zone is that of names too", Config{Prefix: "p/", CustomTimeZone: "Asia/Tokyo"},
			"p/2026/07/13/23/" + strings.ReplaceAll(suffix, "-13-14-", "-13-23-"),
			"p/processing-failed/2026/07/13/23/" + strings.ReplaceAll(suffix, "-13-14-", "-13-23-")},
		{"partition keys", Config{Dynamic: true,
			Prefix:            "q=!{partitionKeyFromQuery:team}/l=!{partitionKeyFromLambda:team}/!{timestamp:'y'=yyyy}/",
			ErrorOutputPrefix: "e/!{firehose:error-output-type}/!{timestamp:yyyy}/"},
			"q=red/l=blue/y=2026/" + suffix, "e/processing-failed/2026/" + suffix},
		{"an empty key", Config{Dynamic: true, Prefix: "!{partitionKeyFromQuery:empty}/", ErrorOutputPrefix: "!{firehose:error-output-type}"},
			"!partition key query:empty is missing or empty", "processing-failed" + suffix},
		{"a missing key", Config{Dynamic: true, Prefix: "!{partitionKeyFromQuery:none}/", ErrorOutputPrefix: "!{firehose:error-output-type}"},
			"!partition key query:none is missing or empty", "processing-failed" + suffix},
		{"a long one", Config{Prefix: "!{timestamp:yyyy}" + strings.Repeat("x", 509), ErrorOutputPrefix: "!{firehose:error-output-type}"},
			"!the evaluated prefix has 513 characters, more than 512", "processing-failed" + suffix},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, err := Compile(c.config)
			if err != nil {
				t.Fatal(err)
			}
			v := Values{Time: noon, Seed: "batch 7", Keys: keys}
			data, err := n.Key(v, object)
			if want, fails := strings.CutPrefix(c.data, "!"); fails {
				if err == nil || err.Error() != want {
					t.Errorf("error %v, want %s", err, want)
				}
			} else if err != nil || data != want {
				t.Errorf("got  %s, %v\nwant %s", data, err, want)
			}
			failed, err := n.ErrorKey(v, object, "processing-failed")
			if err != nil || failed != c.failed {
				t.Errorf("got  %s, %v\nwant %s", failed, err, c.failed)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	const errorPrefix = "!{firehose:error-output-type}/"
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Prefix: "!{timestamp:yyyy/MM/dd}"}, "ErrorOutputPrefix can't be null when Prefix contains expressions"},
		{Config{Prefix: errorPrefix, ErrorOutputPrefix: errorPrefix}, "Prefix can't contain !{firehose:error-output-type}"},
		{Config{ErrorOutputPrefix: "!{timestamp:yyyy}/"},
			"ErrorOutputPrefix must contain !{firehose:error-output-type} when it contains expressions"},
		{Config{ErrorOutputPrefix: errorPrefix + "!{partitionKeyFromQuery:a}"}, "ErrorOutputPrefix can't contain partition keys"},
		{Config{Prefix: "!{partitionKeyFromQuery:a}", ErrorOutputPrefix: errorPrefix},
			"Prefix can't contain partition keys when dynamic partitioning is not enabled"},
		{Config{Prefix: "a", ErrorOutputPrefix: errorPrefix, Dynamic: true},
			"Prefix must contain partition keys when dynamic partitioning is enabled"},
		{Config{Prefix: "!{partitionKeyFromQuery:a}", Dynamic: true}, "ErrorOutputPrefix can't be null when Prefix contains expressions"},
		{Config{Prefix: "a!{b"}, "Prefix can contain !{ in expressions of the form !{namespace:value} only"},
		{Config{Prefix: "!{timestamp}"}, "Prefix can contain !{ in expressions of the form !{namespace:value} only"},
		{Config{Prefix: "!{timestamp:}"}, "Prefix can contain !{ in expressions of the form !{namespace:value} only"},
		{Config{Prefix: "!{a!{timestamp:yyyy}}"}, "Prefix can contain !{ in expressions of the form !{namespace:value} only"},
		{Config{Prefix: "!{time:yyyy}"}, "Prefix contains !{time:yyyy}: the namespaces are timestamp, firehose, " +
			"partitionKeyFromQuery and partitionKeyFromLambda"},
		{Config{Prefix: "!{firehose:uuid}"}, "Prefix contains !{firehose:uuid}: the firehose namespace has error-output-type and random-string only"},
		{Config{Prefix: "!{timestamp:yyyy'}"}, "Prefix contains !{timestamp:yyyy'}: the pattern ends within a quotation"},
		{Config{Prefix: "!{timestamp:zz}", CustomTimeZone: "Asia/Tokyo"},
			"Prefix contains !{timestamp:zz}: names of time zones other than UTC are not supported"},
		{Config{CustomTimeZone: "Mars/Olympus"}, `CustomTimeZone "Mars/Olympus" is not a time zone`},
		{Config{CustomTimeZone: "Local"}, `CustomTimeZone "Local" is not a time zone`},
	} {
		if _, err := Compile(c.config); err == nil || err.Error() != c.want || errs.KindOf(err) != errs.Invalid {
			t.Errorf("%+v:\ngot  %v\nwant %s", c.config, err, c.want)
		}
	}
}

func TestKeys(t *testing.T) {
	n, err := Compile(Config{Dynamic: true, ErrorOutputPrefix: "!{firehose:error-output-type}",
		Prefix: "!{partitionKeyFromQuery:a}/!{partitionKeyFromLambda:b}/!{timestamp:yyyy}/"})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(n.Keys(), " "); got != "query:a lambda:b" {
		t.Error(got)
	}
}

// unsupported are letters that java.time knows and this package refuses.
const unsupported = "BFgp"

// TestJavaTime holds the patterns against java.time; tests/java keeps the file.
func TestJavaTime(t *testing.T) {
	golden, err := os.ReadFile("testdata/java-time.txt")
	if err != nil {
		t.Fatal(err)
	}
	same, refused, ours := 0, 0, 0
	for line := range strings.Lines(string(golden)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		zone, err := zone(f[0])
		if err != nil {
			t.Fatal(err)
		}
		millis, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		got := "!"
		if p, err := compile(f[2], zone); err == nil {
			got = "=" + string(p.append(nil, time.UnixMilli(millis).In(zone)))
		}
		switch {
		case got == f[3] && got == "!":
			refused++
		case got == f[3]:
			same++
		case got == "!" && (strings.ContainsAny(f[2], unsupported) || zone != time.UTC && strings.ContainsAny(f[2], "zv")):
			ours++
		default:
			t.Errorf("%s at %s in %s: %s, java.time has %s", f[2], f[1], f[0], got, f[3])
		}
	}
	t.Logf("%d texts as java.time's, %d refused by both, %d by us alone", same, refused, ours)
	if same < 1000 || refused < 500 {
		t.Error("the golden file hardly tries")
	}
}

// Whatever a prefix is, it is refused or makes names, the same ones each time.
func FuzzCompile(f *testing.F) {
	f.Add("a/!{timestamp:yyyy/MM/dd}/", "!{firehose:error-output-type}/", "Asia/Tokyo", "")
	f.Add("!{partitionKeyFromQuery:k}!{firehose:random-string}", "!{firehose:error-output-type}", "", "v")
	f.Add("!{timestamp:''''}", "x", "UTC", "")
	f.Fuzz(func(t *testing.T, data, failed, zone, value string) {
		n, err := Compile(Config{Prefix: data, ErrorOutputPrefix: failed, CustomTimeZone: zone, Dynamic: value != ""})
		if err != nil {
			return
		}
		v := Values{Time: noon, Seed: data, Keys: map[string]string{}}
		for _, k := range n.Keys() {
			v.Keys[k] = value
		}
		one, err := n.Key(v, object)
		two, _ := n.Key(v, object)
		if one != two || err == nil && !strings.Contains(one, "game-3-") {
			t.Errorf("%q and %q", one, two)
		}
		if bad, err := n.ErrorKey(v, object, "x-failed"); err == nil && !strings.Contains(bad, "x-failed") {
			t.Errorf("%q does not tell what failed", bad)
		}
	})
}
