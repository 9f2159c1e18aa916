package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"thalweg/internal/clock"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"thalweg": func() { os.Exit(Main()) }})
}

// The scripts run the whole program, as a process of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exitcode":   exitCode,
			"waitready":  waitReady,
			"countlines": countLines,
		},
	})
}

// exitCode runs a command and wants its exit code: exitcode 2 thalweg ...
func exitCode(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// waitReady waits for a server's ready file and sets $HTTP, $HTTPS and $KAFKA from it.
func waitReady(ts *testscript.TestScript, _ bool, args []string) {
	clk := clock.System()
	for end := clk.Now().Add(20 * time.Second); clk.Now().Before(end); <-clk.NewTimer(5 * time.Millisecond).C() {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		if err != nil {
			continue
		}
		for _, kv := range [][2]string{{"http", "HTTP"}, {"https", "HTTPS"}, {"kafka", "KAFKA"}} {
			_, rest, _ := strings.Cut(string(b), `"`+kv[0]+`":"`)
			value, _, _ := strings.Cut(rest, `"`)
			ts.Setenv(kv[1], value)
		}
		return
	}
	ts.Fatalf("%s did not appear", args[0])
}

// countLines wants a number of lines in a file: countlines 3 stdout.
func countLines(ts *testscript.TestScript, _ bool, args []string) {
	if n := strings.Count(ts.ReadFile(args[1]), "\n"); args[0] != itoa(n) {
		ts.Fatalf("%s has %d lines, want %s", args[1], n, args[0])
	}
}

func itoa(n int) string { return grouped(int64(n)) }

func testEnv(vars ...string) (Env, *bytes.Buffer, *bytes.Buffer) {
	m := map[string]string{"HOME": "/nonexistent"}
	for i := 0; i+1 < len(vars); i += 2 {
		m[vars[i]] = vars[i+1]
	}
	var out, errOut bytes.Buffer
	return Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errOut, Clock: clock.System(),
		Lookup: func(k string) (string, bool) { v, ok := m[k]; return v, ok }}, &out, &errOut
}

// Every command says what it is for, with an example that begins with itself.
func TestEveryCommandHasHelp(t *testing.T) {
	env, out, _ := testEnv()
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Name() == "help" {
			return
		}
		if c.Short == "" || !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s: short %q, example %q", c.CommandPath(), c.Short, c.Example)
		}
		out.Reset()
		if code := Run(context.Background(), append(strings.Fields(c.CommandPath())[1:], "--help"), env); code != 0 || !strings.Contains(out.String(), "Examples:") {
			t.Errorf("%s --help: exit %d\n%s", c.CommandPath(), code, out)
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(newRoot(env))
}

func TestTargetPrecedence(t *testing.T) {
	for _, tc := range []struct {
		flag string
		vars []string
		want string
	}{
		{"", nil, defaultEndpoint},
		{"", []string{"THALWEG_ENDPOINT", "http://t:1"}, "http://t:1"},
		{"", []string{"THALWEG_ENDPOINT", "http://t:1", "AWS_ENDPOINT_URL", "http://a:1"}, "http://a:1"},
		{"", []string{"AWS_ENDPOINT_URL", "http://a:1", "AWS_ENDPOINT_URL_KINESIS", "http://k:1"}, "http://k:1"},
		{"https://f:1", []string{"AWS_ENDPOINT_URL_KINESIS", "http://k:1"}, "https://f:1"},
	} {
		env, _, _ := testEnv(tc.vars...)
		tgt := target{env: env}
		tgt.opts.Endpoint = tc.flag
		if err := tgt.resolve(); err != nil || tgt.opts.Endpoint != tc.want {
			t.Errorf("%+v: %s, %v", tc, tgt.opts.Endpoint, err)
		}
	}
	env, _, _ := testEnv("AWS_DEFAULT_REGION", "eu-west-1", "AWS_ACCESS_KEY_ID", "id", "AWS_SECRET_ACCESS_KEY", "sec", "AWS_SESSION_TOKEN", "tok")
	tgt := target{env: env}
	if err := tgt.resolve(); err != nil || tgt.opts.Region != "eu-west-1" || tgt.opts.AccessKeyID != "id" || tgt.opts.SecretAccessKey != "sec" || tgt.opts.SessionToken != "tok" {
		t.Errorf("%+v, %v", tgt.opts, err)
	}
}

func TestParseStart(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for from, want := range map[string]string{
		"trim-horizon": "TRIM_HORIZON  0001", "LATEST": "LATEST  0001",
		"2026-01-31T11:00:00Z": "AT_TIMESTAMP  2026-01-31T11:00:00Z", "-5m": "AT_TIMESTAMP  2026-01-31T11:55:00Z",
		"1769860800": "AT_TIMESTAMP  2026-01-31T12:00:00Z",
		"49680482501331123411436224906255236080944969229872922642": "AT_SEQUENCE_NUMBER shardId-000000000001 0001",
	} {
		s, shard, err := parseStart(from, now)
		got := string(s.Type) + " " + shard + " " + s.Time.UTC().Format(time.RFC3339)
		if err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, %v", from, got, err)
		}
	}
	for _, from := range []string{"", "yesterday", "5m", "0", strings.Repeat("9", 80)} {
		if _, _, err := parseStart(from, now); err == nil {
			t.Errorf("%q was accepted", from)
		}
	}
}

func TestDataLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "with newline\n": "with newline", "tab\tis fine": "tab\tis fine", "gr\u00fc\u00df": "gr\u00fc\u00df",
		"two\nlines": `"two\nlines"`, "\x1b[2J": `"\x1b[2J"`, "\xff\x00": "base64:/wA=", "": "",
	} {
		if got := dataLine([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestKeyOf(t *testing.T) {
	for in, want := range map[string]string{
		`{"k":"v"}`: "v", `{"a":{"k":"no"},"k":"x y"}`: "x y", `{"k":17}`: "17", `{"k":true}`: "true", `{"k":"\u00e4"}`: "\u00e4",
	} {
		if got, err := keyOf([]byte(in), "k"); err != nil || got != want {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{`{}`, `[]`, `{"k":{}}`, `{"k":[1]}`, `{"k":null}`, `{"k":""}`, `nope`, `{"k":"v"`} {
		if got, err := keyOf([]byte(in), "k"); err == nil {
			t.Errorf("%s: %q", in, got)
		}
	}
}

// encoding/json into a map is the judge of member.
func FuzzMember(f *testing.F) {
	for _, in := range []string{`{"k":"v"}`, ` { "a" : { "k" : [1,"}"] } , "k" : 1.5e3 , "k":"x\"y" } `, `{"\u006b":true}`, `{}`, `[]`, `"k"`, `{"a":"\\","k":null}`} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var want map[string]json.RawMessage
		bad := json.Unmarshal(in, &want) != nil || want == nil
		got, err := member(in, "k")
		if (err != nil) != bad || string(got) != string(want["k"]) {
			t.Fatalf("%q: %q, %v; want %q", in, got, err, want["k"])
		}
		if key, err := keyOf(in, "k"); err == nil && key == "" {
			t.Fatalf("%q: an empty key", in)
		}
	})
}

func BenchmarkKeyOf(b *testing.B) {
	line := []byte(`{"ts":2770,"seq":1,"game_id":"ebb23a23f877f992","map":"Somewhere","player_id":"ad82320dd99a","t_ms":562,"kind":"CameraEvent","x":178.0,"y":89.8}`)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keyOf(line, "player_id"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{"": "''", "a-b/c.d": "a-b/c.d", "a b": "'a b'", "it's": `'it'\''s'`, "$(x)": "'$(x)'"} {
		if got := shellQuote(in); got != want {
			t.Errorf("%q: %s", in, got)
		}
	}
}

// What is printed to be pasted calls the program as it was called.
func TestProgramName(t *testing.T) {
	env, out, errOut := testEnv()
	env.Program = "../my bin/thalweg"
	if code := Run(context.Background(), []string{"stream", "create", "--help"}, env); code != 0 {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	if want := "'../my bin/thalweg' stream create NAME [flags]"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in\n%s", want, out)
	}
	if want := "\n  '../my bin/thalweg' stream create arena --shards 4"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in\n%s", want, out)
	}
	Run(context.Background(), []string{"stream", "ls", "--endpoint", "http://127.0.0.1:1"}, env)
	if want := "start one with: '../my bin/thalweg' serve"; !strings.Contains(errOut.String(), want) {
		t.Errorf("no %q in %s", want, errOut)
	}
	for name, want := range map[string]string{"": "thalweg env", "bin/thalweg": "bin/thalweg env"} {
		env.Program = name
		if got := env.evalEnv(defaultEndpoint); got != "eval \"$("+want+")\"" {
			t.Errorf("%q: %s", name, got)
		}
	}
}

func TestSizeText(t *testing.T) {
	for in, want := range map[int64]string{0: "0 bytes", 1: "1 byte", 1023: "1,023 bytes", 1024: "1.0 KiB", 5 << 20: "5.0 MiB"} {
		if got := sizeText(in); got != want {
			t.Errorf("%d: %s, want %s", in, got, want)
		}
	}
}
