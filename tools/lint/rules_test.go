package lint_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"thalweg/tools/lint"
)

// sources are files by path.
type sources map[string]string

// a Go file of package p that holds body, formatted.
func goFile(body string) string { return "// Package p is p.\npackage p\n\n" + body }

func importing(path string) string { return goFile("import _ \"" + path + "\"\n") }

var cases = []struct {
	rule  string
	name  string
	files sources
	want  []string // path:line
}{
	{"imports", "a door imports a door", sources{"internal/kinesis/a.go": importing("thalweg/internal/firehose")}, []string{"internal/kinesis/a.go:4"}},
	{"imports", "a door imports the kafka door", sources{"internal/msk/a.go": importing("thalweg/internal/kafka")}, []string{"internal/msk/a.go:4"}},
	{"imports", "a door imports storage", sources{"internal/kinesis/a.go": importing("thalweg/internal/log")}, []string{"internal/kinesis/a.go:4"}},
	{"imports", "a door imports vfs", sources{"internal/kinesis/a.go": importing("thalweg/internal/vfs")}, []string{"internal/kinesis/a.go:4"}},
	{"imports", "what a door may", sources{
		"internal/kinesis/a.go": importing("thalweg/internal/awsapi/model/kinesis"),
		"internal/kinesis/b.go": importing("thalweg/internal/streams"),
		"internal/kinesis/c.go": importing("thalweg/internal/errs"),
		"internal/kinesis/d.go": importing("thalweg/internal/identity"),
		"internal/kinesis/e.go": importing("net/http"),
		"internal/kafka/f.go":   importing("thalweg/internal/log/batch"),
	}, nil},
	{"imports", "the kafka door speaks HTTP", sources{"internal/kafka/a.go": importing("net/http")}, []string{"internal/kafka/a.go:4"}},
	{"imports", "the domain imports the wire", sources{"internal/streams/a.go": importing("thalweg/internal/awsapi")}, []string{"internal/streams/a.go:4"}},
	{"imports", "the domain imports a door", sources{"internal/streams/a.go": importing("thalweg/internal/kinesis")}, []string{"internal/streams/a.go:4"}},
	{"imports", "the domain imports an implementation", sources{"internal/streams/a.go": importing("thalweg/internal/log/disk")}, []string{"internal/streams/a.go:4"}},
	{"imports", "an unlisted domain edge", sources{"internal/streams/a.go": importing("thalweg/internal/brokers")}, []string{"internal/streams/a.go:4"}},
	{"imports", "the advisor imports the catalog", sources{"internal/catalog/a.go": importing("thalweg/internal/advise")}, []string{"internal/catalog/a.go:4"}},
	{"imports", "listed domain edges", sources{
		"internal/streams/a.go":       importing("thalweg/internal/catalog"),
		"internal/brokers/a.go":       importing("thalweg/internal/streams"),
		"internal/delivery/a.go":      importing("thalweg/internal/brokers"),
		"internal/sql/connect/a.go":   importing("thalweg/internal/delivery"),
		"internal/jobs/a.go":          importing("thalweg/internal/sql/plan"),
		"internal/jobs/b.go":          importing("net/http"),
		"internal/delivery/dest/x.go": importing("net/http"),
		"internal/streams/b.go":       importing("thalweg/internal/log"),
	}, nil},
	{"imports", "the domain speaks HTTP", sources{"internal/streams/a.go": importing("net/http")}, []string{"internal/streams/a.go:4"}},
	{"imports", "the log imports its implementation", sources{"internal/log/a.go": importing("thalweg/internal/log/kafkalog")}, []string{"internal/log/a.go:4"}},
	{"imports", "storage imports the domain", sources{"internal/log/disk/a.go": importing("thalweg/internal/catalog")}, []string{"internal/log/disk/a.go:4"}},
	{"imports", "one implementation imports another", sources{"internal/log/kafkalog/a.go": importing("thalweg/internal/log/disk")}, []string{"internal/log/kafkalog/a.go:4"}},
	{"imports", "storage as it should be", sources{
		"internal/log/disk/a.go":    importing("thalweg/internal/vfs"),
		"internal/log/disk/b.go":    importing("thalweg/internal/log/batch"),
		"internal/objstore/s3/a.go": importing("net/http"),
		"internal/objstore/fs/a.go": importing("thalweg/internal/objstore"),
		"internal/meta/a.go":        importing("thalweg/internal/log"),
	}, nil},
	{"imports", "ground imports more than ground", sources{
		"internal/ids/a.go":   importing("thalweg/internal/log"),
		"internal/ids/b.go":   importing("thalweg/internal/errs"),
		"internal/clock/a.go": importing("net/http"),
	}, []string{"internal/clock/a.go:4", "internal/ids/a.go:4"}},
	{"imports", "who chooses the log", sources{
		"internal/app/a.go":      importing("thalweg/internal/log/disk"),
		"internal/cli/a.go":      importing("thalweg/internal/log/disk"),
		"internal/cli/b.go":      importing("thalweg/internal/log/kafkalog"),
		"internal/demo/a.go":     importing("thalweg/internal/log/disk"),
		"internal/kinesis/a.go":  importing("thalweg/internal/objstore/fs"),
		"internal/kinesis/_t.go": importing("thalweg/internal/errs"),
	}, []string{"internal/cli/b.go:4", "internal/demo/a.go:4", "internal/kinesis/a.go:4"}},
	{"imports", "models import each other", sources{
		"internal/awsapi/model/kinesis/a.go": importing("thalweg/internal/awsapi/model/firehose")},
		[]string{"internal/awsapi/model/kinesis/a.go:4"}},
	{"imports", "a command does more than start", sources{"cmd/thalweg/main.go": importing("thalweg/internal/streams")}, []string{"cmd/thalweg/main.go:4"}},
	{"imports", "a package nobody placed", sources{"internal/novel/a.go": importing("fmt")}, []string{"internal/novel/a.go:1"}},
	{"imports", "tests put together what they like", sources{
		"internal/streams/a_test.go": importing("thalweg/internal/log/disk"),
		"tests/go/a.go":              importing("thalweg/internal/log/disk"),
	}, nil},

	{"dependencies", "an unknown module", sources{"internal/app/a.go": importing("example.com/x/y")}, []string{"internal/app/a.go:4"}},
	{"dependencies", "the SDK in the server", sources{
		"internal/kinesis/a.go":     importing("github.com/aws/aws-sdk-go-v2/service/kinesis"),
		"internal/app/a.go":         importing("github.com/aws/aws-sdk-go-v2/aws"),
		"internal/demo/a.go":        importing("github.com/aws/aws-sdk-go-v2/aws"),
		"internal/sigv4/a_test.go":  importing("github.com/aws/aws-sdk-go-v2/aws"),
		"tests/go/a.go":             importing("github.com/aws/aws-sdk-go-v2/aws"),
		"internal/kinesis/other.go": importing("encoding/json"),
	}, []string{"internal/app/a.go:4", "internal/kinesis/a.go:4"}},
	{"dependencies", "a test library in the program", sources{
		"internal/ids/a.go":      importing("pgregory.net/rapid"),
		"internal/ids/a_test.go": importing("pgregory.net/rapid"),
	}, []string{"internal/ids/a.go:4"}},

	{"dependencies", "one that its page does not name", sources{
		"docs/dependencies.md": "github.com/spf13/cobra",
		"internal/cli/a.go":    importing("github.com/spf13/cobra"),
		"internal/cli/b.go":    importing("golang.org/x/term"),
	}, []string{"internal/cli/b.go:4"}},

	{"package-comment", "none", sources{"internal/ids/a.go": "package ids\n", "internal/ids/b.go": "package ids\n"}, []string{"internal/ids/a.go:1"}},
	{"package-comment", "two", sources{
		"internal/ids/a.go": "// Package ids is ids.\npackage ids\n",
		"internal/ids/b.go": "\n// Package ids is ids.\npackage ids\n",
	}, []string{"internal/ids/b.go:2"}},
	{"package-comment", "a licence", sources{"internal/ids/a.go": "// Copyright by somebody.\npackage ids\n"}, []string{"internal/ids/a.go:1"}},
	{"package-comment", "a command and a package of tests", sources{
		"cmd/thalweg/main.go":       "// Command thalweg serves.\npackage main\n",
		"tests/crash/a_test.go":     "// Package crash tests.\npackage crash\n",
		"internal/ids/a.go":         "// Package ids is ids.\npackage ids\n",
		"internal/ids/a_test.go":    "package ids_test\n",
		"internal/ids/b_test.go":    "package ids\n",
		"tests/other/other_test.go": "package other\n",
	}, []string{"tests/other/other_test.go:1"}},

	{"file-size", "801 lines", sources{
		"internal/ids/a.go": strings.Repeat("\n", 801), "internal/ids/b.go": strings.Repeat("\n", 800), "tests/a.py": strings.Repeat("\n", 900),
		"api/models/x.json": strings.Repeat("\n", 900),
	}, []string{"internal/ids/a.go:801", "tests/a.py:801"}},
	{"function-length", "121 lines", sources{
		"internal/ids/a.go": goFile("func f() {\n" + strings.Repeat("\n", 119) + "}\n\nfunc g() {\n" + strings.Repeat("\n", 118) + "}\n"),
	}, []string{"internal/ids/a.go:4"}},

	{"generated", "hand-written model, generated elsewhere", sources{
		"internal/awsapi/model/kinesis/a.go": goFile(""),
		"internal/awsapi/model/kinesis/b.go": "// Code generated by apigen. DO NOT EDIT.\n\npackage p\n",
		"internal/ids/a.go":                  "// Code generated by x. DO NOT EDIT.\n\npackage p\n",
	}, []string{"internal/awsapi/model/kinesis/a.go:1", "internal/ids/a.go:1"}},

	{"calls", "the time", sources{
		"internal/ids/a.go":      goFile("import \"time\"\n\nvar T = time.Now\n\nfunc f() { <-time.After(time.Second) }\n"),
		"internal/ids/b.go":      goFile("import t \"time\"\n\nfunc g() { t.NewTimer(t.Second) }\n"),
		"internal/ids/a_test.go": goFile("import \"time\"\n\nfunc f() { time.Now(); time.After(1) }\n"),
		"internal/clock/a.go":    goFile("import \"time\"\n\nvar T = time.Now()\n"),
		"internal/ids/c.go":      goFile("type x struct{}\n\nfunc (x) Now() {}\n\nfunc h(time x) { time.Now() }\n"),
	}, []string{"internal/ids/a.go:6", "internal/ids/a.go:8", "internal/ids/b.go:6"}},
	{"calls", "sleep, even in tests", sources{
		"internal/ids/a_test.go": goFile("import \"time\"\n\nfunc f() { time.Sleep(1) }\n"),
		"internal/clock/a.go":    goFile("import \"time\"\n\nfunc f() { time.Sleep(1) }\n"),
	}, []string{"internal/clock/a.go:6", "internal/ids/a_test.go:6"}},
	{"calls", "files", sources{
		"internal/log/disk/a.go":      goFile("import \"os\"\n\nvar flag = os.O_CREATE\n\nfunc f() { os.Open(\"x\") }\n"),
		"internal/log/disk/a_test.go": goFile("import \"os\"\n\nfunc f() { os.Open(\"x\") }\n"),
		"internal/vfs/a.go":           goFile("import \"os\"\n\nfunc f() { os.Open(\"x\") }\n"),
		"tools/x/a.go":                goFile("import \"os\"\n\nfunc f() { os.ReadFile(\"x\") }\n"),
	}, []string{"internal/log/disk/a.go:8"}},
	{"calls", "environment, exit, panic, print, log", sources{
		"internal/app/a.go":    goFile("import (\n\t\"log\"\n\t\"os\"\n)\n\nfunc f() {\n\tos.Getenv(\"X\")\n\tos.Exit(1)\n\tlog.Print()\n\tpanic(1)\n}\n"),
		"internal/app/b.go":    goFile("func panics(panic func()) { panic() }\n"),
		"internal/config/a.go": goFile("import \"os\"\n\nvar X = os.Getenv(\"X\")\n"),
		"internal/app/c.go":    goFile("import \"thalweg/internal/log\"\n\nvar _ = log.Do\n\nfunc g() { println() }\n"),
	}, []string{"internal/app/a.go:10", "internal/app/a.go:11", "internal/app/a.go:12", "internal/app/a.go:13", "internal/app/c.go:8"}},
	{"calls", "randomness without a seed", sources{
		"internal/streams/a.go": goFile("import \"math/rand/v2\"\n\nfunc f() { rand.IntN(2) }\n\nvar r = rand.New(rand.NewPCG(1, 2))\n"),
		"internal/streams/b.go": goFile("import \"crypto/rand\"\n\nvar R = rand.Reader\n"),
	}, []string{"internal/streams/a.go:6"}},

	{"goroutines", "a naked go", sources{
		"internal/streams/a.go":      goFile("func f() {\n\tgo f()\n}\n"),
		"internal/streams/a_test.go": goFile("func f() {\n\tgo f()\n}\n"),
		"internal/lifecycle/a.go":    goFile("func f() {\n\tgo f()\n}\n"),
	}, []string{"internal/streams/a.go:5"}},

	{"globals", "variables that change", sources{
		"internal/streams/a.go": goFile("import \"sync\"\n\nvar (\n\tcount int\n\tmu    sync.Mutex\n\tcache = map[string]int{}\n\tbig   = make([]int, 3)\n" +
			"\tone   = &T{}\n\tmode  = \"a\"\n)\n\ntype T struct{}\n"),
		"internal/streams/b.go": goFile("func f() {\n\tcache[\"x\"] = 1\n\tmode = \"b\"\n}\n\nfunc g(mode string) {\n\tmode = \"c\"\n\t_ = mode\n}\n"),
	}, []string{"internal/streams/a.go:7", "internal/streams/a.go:8", "internal/streams/a.go:10", "internal/streams/a.go:11",
		"internal/streams/b.go:5", "internal/streams/b.go:6"}},
	{"globals", "tables, errors, pools", sources{
		"internal/streams/a.go": goFile("import (\n\t\"errors\"\n\t\"sync\"\n)\n\nvar (\n\tErrX  = errors.New(\"x\")\n\tnames = map[int]string{1: \"a\"}\n" +
			"\tpool  = sync.Pool{}\n\tpool2 sync.Pool\n\tzero  [64]byte\n\t_     = names\n)\n\nfunc f() {\n\tnames := []int{1}\n\tnames[0] = 2\n}\n"),
		"internal/streams/a_test.go": goFile("var count int\n"),
	}, nil},

	{"init", "an init", sources{
		"internal/streams/a.go": goFile("func init() {}\n\ntype t struct{}\n\nfunc (t) init() {}\n"),
	}, []string{"internal/streams/a.go:4"}},

	{"gofmt", "spaces", sources{
		"internal/ids/a.go": goFile("func f() {\n  return\n}\n"),
		"internal/ids/b.go": goFile("func f() {\n\treturn\n}\n"),
	}, []string{"internal/ids/a.go:5"}},

	{"ascii", "quotes, boxes, data", sources{
		"internal/ids/a.go":       goFile("// caf\u00e9\nvar x = 1\n"),
		"docs/a.md":               "# fine\n\u250c\u2500\u2510\n\u2192 no\n",
		"README.md":               "\u250c\n",
		"Makefile":                "all:\n\techo \u201cno\u201d\n",
		"internal/ids/testdata/x": "\u00e9",
		"api/models/x.json":       "\u00e9",
	}, []string{"Makefile:2", "Makefile:2", "README.md:1", "docs/a.md:3", "internal/ids/a.go:4"}},

	{"words", "of elsewhere", sources{
		"README.md": "see /wo" + "rk/main\nplat" + "form-independent\nthe fa" + "rm-7 machine\n",
		"a.bin":     "\x00/wo" + "rk/",
	}, []string{"README.md:1", "README.md:3"}},

	{"unfinished", "notes", sources{
		"internal/ids/a.go": goFile("// TO" + "DO: more\n\nvar x = 1 // FIX" + "ME\n"),
		"README.md":         "ToDo lists are fine, TO" + "DO is not\nTO" + "DOS neither here nor there\n",
	}, []string{"README.md:1", "internal/ids/a.go:4", "internal/ids/a.go:6"}},
}

func TestRulesFlagWhatTheyMust(t *testing.T) {
	rules := map[string]lint.Rule{}
	for _, r := range lint.Rules {
		rules[r.Name] = r
	}
	tested := map[string]bool{}
	for _, c := range cases {
		t.Run(c.rule+"/"+c.name, func(t *testing.T) {
			var files []*lint.File
			for _, p := range slices.Sorted(maps.Keys(c.files)) {
				f, err := lint.NewFile(p, []byte(c.files[p]))
				if err != nil && c.rule != "file-size" {
					t.Fatal(err)
				}
				files = append(files, f)
			}
			var got []string
			rules[c.rule].Check(files, func(f *lint.File, line int, reason string) {
				got = append(got, fmt.Sprintf("%s:%d", f.Path, line))
				if len(reason) < 20 {
					t.Errorf("reason %q explains nothing", reason)
				}
			})
			slices.Sort(got)
			want := slices.Sorted(slices.Values(c.want))
			if !slices.Equal(got, want) {
				t.Errorf("flagged %v\nwant    %v", got, want)
			}
		})
		tested[c.rule] = tested[c.rule] || len(c.want) > 0
	}
	for name := range rules {
		if !tested[name] {
			t.Errorf("rule %s has no source that it must flag", name)
		}
	}
}
