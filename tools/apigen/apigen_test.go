package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"thalweg/internal/awsapi/validate"
)

// TestGeneratedIsFresh is apigen --check as a test: what is committed is what
// the models and the doors' comments give.
func TestGeneratedIsFresh(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := generate(root, true, &out); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", out.String())
}

func TestCheckFindsStale(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{"a.go": []byte("new")}
	if err := write(dir, files, true); err == nil {
		t.Error("a missing file passed")
	}
	if err := write(dir, files, false); err != nil {
		t.Fatal(err)
	}
	if err := write(dir, files, true); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := write(dir, files, true); err == nil {
		t.Error("a stale file passed")
	}
}

// TestPatterns checks, for every pattern of the models that Go's expressions can
// say, that the matcher in use agrees with regexp.
func TestPatterns(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	seen := map[string]bool{}
	for _, s := range services {
		m, err := load(root, s)
		if err != nil {
			t.Fatal(err)
		}
		for _, sh := range m.Shapes {
			if sh.Pattern == "" || seen[sh.Pattern] {
				continue
			}
			seen[sh.Pattern] = true
			if _, translated := goPatterns[sh.Pattern]; translated {
				continue
			}
			re := regexp.MustCompile(`^(?:` + sh.Pattern + `)$`)
			p := validate.Pattern{Text: sh.Pattern}
			alphabet := []rune("aZ0 :/._-\n\u00e9" + sh.Pattern)
			for range 300 {
				var b strings.Builder
				for range rng.IntN(8) {
					b.WriteRune(alphabet[rng.IntN(len(alphabet))])
				}
				if v := b.String(); p.Match(v) != re.MatchString(v) {
					t.Fatalf("%s on %q: %v", sh.Pattern, v, p.Match(v))
				}
			}
		}
	}
	if len(seen) < 70 {
		t.Errorf("%d patterns", len(seen))
	}
}

// TestTranslatedPatterns pins what the patterns with look-around mean.
func TestTranslatedPatterns(t *testing.T) {
	for text, cases := range map[string]map[string]bool{
		`^(?!\s*$).+`: {"a": true, " a ": true, "": false, "  ": false},
		`^(?!aws:)[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*$`: {"": true, "team": true, "aws:x": false, "aws": true, "AWS:x": true, "a*": false},
		`^(?=^\$)(?=^\S+$).*$`:                    {"$.a": true, "a": false, "$ a": false, "$": true},
		`[\u0001-\uFFFF]*`:                        {"": true, "a\u00e9": true, "\x00": false},
		`[^\u0000-\u001F\u007F]*`:                 {"a b": true, "a\n": false},
		`[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+`: {
			"arn:a\n\U00010348": true, "": false, "a\x00": false},
		`[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*`:     {"": true, "a\t\U00010348\u00e9": true, "a\n": false, "\x00": false},
		`[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*`: {"a\r\n\t": true, "\x1f": false},
		`jdbc:(redshift|postgresql)://((?!-)[A-Za-z0-9-]{1,63}(?<!-)\.)+(redshift(-serverless)?)\.([a-zA-Z0-9\.\-]+):\d{1,5}/[a-zA-Z0-9_$-]+`: {
			"jdbc:redshift://c.abc.us-east-1.redshift.amazonaws.com:5439/dev":  true,
			"jdbc:redshift://-c.abc.us-east-1.redshift.amazonaws.com:5439/dev": false,
			"jdbc:redshift://c-.abc.us-east-1.redshift.amazonaws.com:5439/dev": false,
			"jdbc:mysql://c.redshift.amazonaws.com:5439/dev":                   false,
		},
	} {
		g, ok := goPatterns[text]
		if !ok {
			t.Errorf("%s is not translated", text)
			continue
		}
		p := validate.Pattern{Text: text, Expr: g.Expr, Not: g.Not}
		for s, want := range cases {
			if p.Match(s) != want {
				t.Errorf("%s on %q: %v", text, s, !want)
			}
		}
	}
	if len(goPatterns) != 9 {
		t.Errorf("%d translated patterns", len(goPatterns))
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{"TRIM_HORIZON": "TrimHorizon", "IncomingBytes": "IncomingBytes", "kafka.m5.large": "KafkaM5Large", "ALL": "All"} {
		if got := constant(in); got != want {
			t.Errorf("constant %s: %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{"__listOf__string": "ListOfString", "PutRecords": "PutRecords", "channelArn": "ChannelArn"} {
		if got := exported(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"PutRecords": "put_records", "DescribeClusterV2": "describe_cluster_v2", "GetHLSStreamingSessionURL": "get_hls_streaming_session_url",
	} {
		if got := snake(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestStatus(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list_tags.go")
	src := `package msk

// ListTags lists tags.
//
// Status: done
// Status(kafkaconnect): partial: no paging
// Deviation: order is alphabetical
// Deviation(kafkaconnect): slower

type x struct{} // Status: broken
`
	if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := readStatus(path, "kafka")
	if err != nil || st.Text != "done" || len(st.Deviations) != 1 {
		t.Errorf("%+v, %v", st, err)
	}
	st, err = readStatus(path, "kafkaconnect")
	if err != nil || st.Text != "partial: no paging" || len(st.Deviations) != 2 {
		t.Errorf("%+v, %v", st, err)
	}
	if st, err := readStatus(path+".none", "kafka"); err != nil || st.Text != "" {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestMerge(t *testing.T) {
	doc := map[string]any{"a": map[string]any{"x": 1, "y": 2}, "b": 1}
	merge(doc, map[string]any{"a": map[string]any{"x": 3, "y": nil}, "c": map[string]any{"z": 1}})
	inner := doc["a"].(map[string]any)
	if _, there := inner["y"]; there || inner["x"] != 3 || doc["b"] != 1 || doc["c"] == nil {
		t.Errorf("%v", doc)
	}
}

func TestStripKeepsMembers(t *testing.T) {
	got := strip(map[string]any{"documentation": "text", "members": map[string]any{"documentation": map[string]any{"shape": "S"}}}).(map[string]any)
	if _, there := got["documentation"]; there || got["members"].(map[string]any)["documentation"] == nil {
		t.Errorf("%v", got)
	}
}
