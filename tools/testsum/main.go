// Command testsum runs `go test` once per group of arguments, shows what failed,
// and ends with one line that counts the tests: "N passed, N failed, N skipped".
//
// Usage: testsum -- ARGS... [-- ARGS...]...
//
// Each group is the arguments of one `go test`. Tests are counted, subtests
// too; a package that does not build counts as one failure. Skipped tests are
// listed with their reason. The exit code is 1 if anything failed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

type tally struct {
	out                     io.Writer
	passed, failed, skipped int
	lines                   map[string][]string // output of a test or package so far
	inner                   map[string]int      // failed tests of a package
}

func main() {
	t := &tally{out: os.Stdout, lines: map[string][]string{}, inner: map[string]int{}}
	ok := true
	for _, group := range groups(os.Args[1:]) {
		if err := t.run(group); err != nil {
			fmt.Fprintln(t.out, err)
			ok = false
		}
	}
	if !ok && t.failed == 0 {
		t.failed++
	}
	fmt.Fprintf(t.out, "%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	if t.failed > 0 || t.passed == 0 {
		os.Exit(1)
	}
}

// groups splits args at each "--".
func groups(args []string) [][]string {
	var gs [][]string
	for _, a := range args {
		if a == "--" {
			gs = append(gs, nil)
			continue
		}
		if len(gs) == 0 {
			gs = append(gs, nil)
		}
		gs[len(gs)-1] = append(gs[len(gs)-1], a)
	}
	return gs
}

func (t *tally) run(args []string) error {
	started := time.Now()
	fmt.Fprintf(t.out, "== go test %s\n", strings.Join(args, " "))
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	for _, a := range args {
		if a == "-race" { // the race detector needs cgo; the product does not
			cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
		}
	}
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	sc := bufio.NewScanner(pipe)
	sc.Buffer(make([]byte, 1<<20), 64<<20)
	for sc.Scan() {
		var e event
		if json.Unmarshal(sc.Bytes(), &e) != nil {
			fmt.Fprintln(t.out, sc.Text())
			continue
		}
		t.add(e)
	}
	if err := sc.Err(); err != nil {
		return err
	}
	err = cmd.Wait()
	fmt.Fprintf(t.out, "== %.0f s\n", time.Since(started).Seconds())
	return err
}

func (t *tally) add(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		t.lines[key] = append(t.lines[key], e.Output)
	case "pass":
		if e.Test != "" {
			t.passed++
		} else {
			fmt.Fprintf(t.out, "ok    %7.2fs %s\n", e.Elapsed, e.Package)
		}
		delete(t.lines, key)
	case "skip":
		if e.Test != "" {
			t.skipped++
			fmt.Fprintf(t.out, "skip  %s %s\n%s", e.Package, e.Test, indent(t.lines[key]))
		}
		delete(t.lines, key)
	case "fail", "build-fail":
		switch {
		case e.Test != "":
			t.failed++
			t.inner[e.Package]++
		case t.inner[e.Package] == 0:
			t.failed++
		}
		fmt.Fprintf(t.out, "FAIL  %7.2fs %s\n%s", e.Elapsed, key, indent(t.lines[key]))
		delete(t.lines, key)
	}
}

// indent shows at most the last 60 lines of output.
func indent(lines []string) string {
	if n := len(lines); n > 60 {
		lines = lines[n-60:]
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("      " + strings.TrimRight(l, "\n") + "\n")
	}
	return b.String()
}
