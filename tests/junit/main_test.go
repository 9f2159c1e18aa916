package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	const mixed = `<testsuites><testcase name="z"/><testsuite><testcase name="a"/><testcase name="b"><failure>x</failure></testcase>
<testsuite><testcase name="c"><skipped message="why"/></testcase><testcase name="d"><error/></testcase></testsuite></testsuite></testsuites>`
	dir := t.TempDir()
	for _, c := range []struct {
		name, text, want string
		ok               bool
	}{
		{"good.xml", `<testsuite><testcase name="a"/></testsuite>`, "1 passed, 0 failed, 0 skipped\n", true},
		{"mixed.xml", mixed, "2 passed, 2 failed, 1 skipped\n", false},
		{"nothing ran.xml", `<testsuites/>`, "0 passed, 0 failed, 0 skipped\n", false},
		{"broken.xml", `<testsuite><testcase`, "0 passed, 1 failed, 0 skipped\n", false},
		{"testsum", "ok  p\n7 passed, 0 failed, 2 skipped\n", "7 passed, 0 failed, 2 skipped\n", true},
		{"testsum cut off", "ok  p\n", "0 passed, 1 failed, 0 skipped\n", false},
		{"missing.xml", "", "0 passed, 1 failed, 0 skipped\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(dir, c.name)
			if c.text != "" {
				if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var out strings.Builder
			if ok := run([]string{file}, &out); ok != c.ok || !strings.HasSuffix(out.String(), c.want) {
				t.Errorf("got %v, %q", ok, out.String())
			}
		})
	}
}
