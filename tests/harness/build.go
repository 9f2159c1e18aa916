package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
)

// Root returns the repository's root directory.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Binary returns the path of the server binary: $THALWEG_BIN if set, else one
// built from this repository, once a process, into a directory that
// [RemoveBinary] removes.
func Binary() (string, error) { return build() }

// build runs once a process, for whoever asks first.
var build = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("THALWEG_BIN"); bin != "" {
		return filepath.Abs(bin)
	}
	dir, err := os.MkdirTemp("", "thalweg-bin-")
	if err != nil {
		return "", fmt.Errorf("make binary directory: %w", err)
	}
	bin := filepath.Join(dir, "thalweg")
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/thalweg")
	cmd.Dir = Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ./cmd/thalweg: %w\n%s", err, out)
	}
	return bin, nil
})

// RemoveBinary removes what Binary built. Servers that still run keep running.
func RemoveBinary() {
	if os.Getenv("THALWEG_BIN") != "" {
		return
	}
	if bin, err := build(); err == nil {
		_ = os.RemoveAll(filepath.Dir(bin)) // a temporary directory: nothing is lost if it stays
	}
}

// Main runs m's tests with a binary built before the first and removed after
// the last; it is what a TestMain calls. It returns the exit code.
func Main(m interface{ Run() int }) int {
	if _, err := Binary(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer RemoveBinary()
	return m.Run()
}
