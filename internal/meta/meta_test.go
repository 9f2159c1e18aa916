package meta_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/meta/metatest"
	"thalweg/internal/vfs"
)

var crashes = flag.Int("meta.crashes", 60, "crash points to try")

func openDisk(t testing.TB, fs vfs.FS) (*disk.Log, error) {
	t.Helper()
	return disk.Open(context.Background(), disk.Options{
		FS: fs, Dir: "data", Clock: clock.NewManual(time.Unix(1_700_000_000, 0)), Manual: true,
		WALFileBytes: 64 << 10, TailBytes: 256 << 10,
	})
}

func newDisk(t *testing.T) log.Log {
	l, err := openDisk(t, vfs.NewMem(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(context.Background()) })
	return l
}

func TestOnDisk(t *testing.T) { metatest.Run(t, newDisk) }

// script is the work that is interrupted: each step names the state after it.
func script(step int) []string {
	return []string{fmt.Sprintf("a=%d", step), fmt.Sprintf("b%d=%d", step%5, step)}
}

const steps = 40

// TestCrash cuts the power at call after call of a script of commits and
// snapshots. What was acknowledged is there after it; of the commit under way all
// or nothing.
func TestCrash(t *testing.T) {
	total := runScript(t, vfs.NewMem(0), func(int) {})
	every := max(1, total / *crashes)
	for at := 1; at < total; at += every {
		fs := vfs.NewMem(uint64(at))
		acked := 0
		fs.Inject(crashAt(at))
		runScript(t, fs, func(n int) { acked = n })
		after := fs.Crash(uint64(at))
		l, err := openDisk(t, after)
		if err != nil {
			t.Fatalf("crash at call %d: open log: %v", at, err)
		}
		_, m, err := metatest.Open(l, 300)
		if err != nil {
			t.Fatalf("crash at call %d: open state: %v", at, err)
		}
		got := m.Rows()
		if !maps.Equal(got, stateAfter(acked)) && !maps.Equal(got, stateAfter(acked+1)) {
			t.Fatalf("crash at call %d: %d commits acknowledged, state is %v", at, acked, got)
		}
		l.Close(context.Background())
	}
	t.Logf("%d crash points of %d calls", (total+every-1)/every, total)
}

// runScript runs the script until it fails, and returns the number of calls to
// the file system. acked is told the number of commits acknowledged.
func runScript(t *testing.T, fs *vfs.Mem, acked func(int)) int {
	l, err := openDisk(t, fs)
	if err != nil {
		return fs.Calls()
	}
	defer l.Close(context.Background())
	s, _, err := metatest.Open(l, 300)
	if err != nil {
		return fs.Calls()
	}
	for i := range steps {
		if err := metatest.Put(s, script(i)); err != nil {
			break
		}
		acked(i + 1)
		if i%8 == 7 && l.Step() != nil {
			break
		}
	}
	return fs.Calls()
}

func stateAfter(commits int) map[string]string {
	m := &metatest.Table{}
	m.Reset()
	for i := range commits {
		for _, e := range script(i) {
			if err := m.Apply([]byte(e)); err != nil {
				panic(err)
			}
		}
	}
	return m.Rows()
}

// crashAt stops the machine at the n-th call that changes something.
func crashAt(n int) vfs.Rule {
	return func(op vfs.Op) error {
		if op.N == n {
			return vfs.ErrPowerCut
		}
		return nil
	}
}
