package harness

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ForTest starts a server for one test, prints its output if the test fails and
// ends it with the test.
func ForTest(t testing.TB, opts Options) *Server {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	s, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("server output:\n%s", s.Output())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Evidence writes v, with the commit it was measured at, as NAME.json into the
// directory that THALWEG_EVIDENCE names; without that variable it does nothing.
func Evidence(t testing.TB, name string, v map[string]any) {
	t.Helper()
	dir := os.Getenv("THALWEG_EVIDENCE")
	if dir == "" {
		return
	}
	v["commit"] = Commit()
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".json"), append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Commit names the checked-out commit, with "-dirty" where the tree differs
// from it; "unknown" outside a repository.
func Commit() string {
	cmd := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12")
	cmd.Dir = Root()
	out, err := cmd.Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
