package vfs_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"testing"

	"thalweg/internal/vfs"
)

// create makes name with data, unsynced, and returns it open.
func create(t *testing.T, m *vfs.Mem, name, data string) vfs.File {
	t.Helper()
	f, err := m.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(data), 0); err != nil {
		t.Fatal(err)
	}
	return f
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// outcomes crashes m many times and counts how name then looks; "-" is absent.
func outcomes(t *testing.T, m *vfs.Mem, name string) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for seed := range uint64(400) {
		b, err := vfs.ReadFile(m.Crash(seed), name, 1<<20)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			seen["-"]++
		case err != nil:
			t.Fatal(err)
		default:
			seen[string(b)]++
		}
	}
	return seen
}

func wantOutcomes(t *testing.T, got map[string]int, want ...string) {
	t.Helper()
	var keys []string
	for k := range got {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	slices.Sort(want)
	if !slices.Equal(keys, want) {
		t.Errorf("after crashes: %q, want exactly %q", keys, want)
	}
}

func TestCrashNewFileNeedsBothSyncs(t *testing.T) {
	m := vfs.NewMem(1)
	f := create(t, m, "/f", "")
	must(t, f.Sync())
	wantOutcomes(t, outcomes(t, m, "/f"), "-", "")
	must(t, m.SyncDir("/"))
	wantOutcomes(t, outcomes(t, m, "/f"), "")
	if _, err := f.WriteAt([]byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, outcomes(t, m, "/f"), "", "x", "\x00")
	must(t, f.SyncData())
	wantOutcomes(t, outcomes(t, m, "/f"), "x")
}

func TestCrashRenameIsAtomicAndNeedsSyncDir(t *testing.T) {
	m := vfs.NewMem(1)
	must(t, create(t, m, "/f", "old").Sync(), m.SyncDir("/"))
	must(t, create(t, m, "/f.tmp", "new").Sync(), m.Rename("/f.tmp", "/f"))
	wantOutcomes(t, outcomes(t, m, "/f"), "old", "new")
	must(t, m.SyncDir("/"))
	wantOutcomes(t, outcomes(t, m, "/f"), "new")
	wantOutcomes(t, outcomes(t, m, "/f.tmp"), "-")
}

func TestCrashRenameBetweenDirectories(t *testing.T) {
	m := vfs.NewMem(1)
	must(t, m.MkdirAll("/a", 0o700), m.MkdirAll("/b", 0o700), m.SyncDir("/"))
	must(t, create(t, m, "/a/f", "1").Sync(), m.SyncDir("/a"))
	must(t, m.Rename("/a/f", "/b/f"))
	both, neither := 0, 0
	for seed := range uint64(200) {
		c := m.Crash(seed)
		_, errA := c.Stat("/a/f")
		_, errB := c.Stat("/b/f")
		if errA == nil && errB == nil {
			both++
		}
		if errA != nil && errB != nil {
			neither++
		}
	}
	if both+neither > 0 {
		t.Errorf("file was in both directories %d times, in neither %d times", both, neither)
	}
	must(t, m.SyncDir("/a"))
	wantOutcomes(t, outcomes(t, m, "/a/f"), "-")
	wantOutcomes(t, outcomes(t, m, "/b/f"), "1")
}

func TestCrashRemoveMayBeLost(t *testing.T) {
	m := vfs.NewMem(1)
	f := create(t, m, "/f", "data")
	must(t, f.Sync(), m.SyncDir("/"), f.Close(), m.Remove("/f"))
	wantOutcomes(t, outcomes(t, m, "/f"), "-", "data")
	must(t, create(t, m, "/f", "").Sync())
	wantOutcomes(t, outcomes(t, m, "/f"), "-", "data", "")
	must(t, m.SyncDir("/"))
	wantOutcomes(t, outcomes(t, m, "/f"), "")
}

func TestCrashDirectoryNeedsItsParent(t *testing.T) {
	m := vfs.NewMem(1)
	must(t, m.MkdirAll("/d/e", 0o700))
	must(t, create(t, m, "/d/e/f", "x").Sync(), m.SyncDir("/d/e"), m.SyncDir("/d"))
	wantOutcomes(t, outcomes(t, m, "/d/e/f"), "-", "x")
	must(t, m.SyncDir("/"))
	wantOutcomes(t, outcomes(t, m, "/d/e/f"), "x")
}

func TestCrashLink(t *testing.T) {
	m := vfs.NewMem(1)
	must(t, create(t, m, "/f", "x").Sync(), m.SyncDir("/"), m.Link("/f", "/g"))
	wantOutcomes(t, outcomes(t, m, "/g"), "-", "x")
	must(t, m.SyncDir("/"))
	c := m.Crash(1)
	f, err := c.OpenFile("/g", os.O_RDWR, 0)
	must(t, err)
	if _, err := f.WriteAt([]byte("y"), 0); err != nil {
		t.Fatal(err)
	}
	if b, _ := vfs.ReadFile(c, "/f", 10); string(b) != "y" {
		t.Errorf("two names of one file became two files: %q", b)
	}
	if b, _ := vfs.ReadFile(m, "/f", 10); string(b) != "x" {
		t.Errorf("a write after the crash reached the file system before it: %q", b)
	}
}

func TestCrashTruncateMayBeLost(t *testing.T) {
	m := vfs.NewMem(1)
	f := create(t, m, "/f", "abcdef")
	must(t, f.Sync(), m.SyncDir("/"), f.Truncate(3))
	wantOutcomes(t, outcomes(t, m, "/f"), "abc", "abcdef")
	must(t, f.SyncData())
	wantOutcomes(t, outcomes(t, m, "/f"), "abc")
}

// TestCrashTearsWrites expects, of one unsynced write over old bytes, every
// sort of damage: cut at a sector, cut within one, a hole in the middle.
func TestCrashTearsWrites(t *testing.T) {
	const size, sector = 4096, 512
	m := vfs.NewMem(1)
	f := create(t, m, "/f", string(bytes.Repeat([]byte{'o'}, size)))
	must(t, f.Sync(), m.SyncDir("/"))
	if _, err := f.WriteAt(bytes.Repeat([]byte{'n'}, size), 0); err != nil {
		t.Fatal(err)
	}
	var whole, none, sectors, within, gap int
	for seed := range uint64(500) {
		b, err := vfs.ReadFile(m.Crash(seed), "/f", size)
		must(t, err)
		edges := 0
		aligned := true
		for i := 1; i < size; i++ {
			if b[i] != b[i-1] {
				edges++
				aligned = aligned && i%sector == 0
			}
		}
		switch {
		case edges == 0 && b[0] == 'n':
			whole++
		case edges == 0:
			none++
		case !aligned:
			within++
		case edges > 1:
			gap++
		default:
			sectors++
		}
	}
	for name, n := range map[string]int{"whole": whole, "none": none, "within": within, "gap": gap} {
		if n == 0 {
			t.Errorf("no crash left the write %s", name)
		}
	}
	t.Logf("whole %d, none %d, cut at a sector %d, within %d, with a gap %d", whole, none, sectors, within, gap)
}

func TestCrashIsDeterministicAndLeavesTheOriginalAlone(t *testing.T) {
	for seed := range uint64(20) {
		m := vfs.NewMem(seed)
		run(t, m, "/tmp/x", seed, 200)
		before := tree(t, m, "/")
		first, second := m.Crash(seed), m.Crash(seed)
		if a, b := tree(t, first, "/"), tree(t, second, "/"); a != b {
			t.Fatalf("seed %d: two crashes differ:\n%.300s\n%.300s", seed, a, b)
		}
		if n := first.Crash(seed + 1); tree(t, n, "/") != tree(t, first, "/") {
			t.Fatalf("seed %d: a crash right after a crash changed something", seed)
		}
		run(t, first, "/tmp/x", seed+1, 200)
		if tree(t, m, "/") != before {
			t.Fatalf("seed %d: the original changed", seed)
		}
	}
}

func TestFailedSyncIsFinal(t *testing.T) {
	eio := errors.New("input/output error")
	lost := 0
	for seed := range uint64(50) {
		m := vfs.NewMem(seed)
		f := create(t, m, "/f", "")
		must(t, f.Sync(), m.SyncDir("/"))
		if _, err := f.WriteAt([]byte("a"), 0); err != nil {
			t.Fatal(err)
		}
		m.Inject(func(op vfs.Op) error {
			if op.Kind == vfs.OpSync {
				return eio
			}
			return nil
		})
		if err := f.Sync(); err != eio {
			t.Fatalf("sync: %v", err)
		}
		m.Inject(nil)
		if _, err := f.WriteAt([]byte("b"), 1); err != nil {
			t.Fatal(err)
		}
		must(t, f.Sync())
		b, err := vfs.ReadFile(m.Crash(seed), "/f", 10)
		must(t, err)
		if len(b) != 2 || b[1] != 'b' {
			t.Fatalf("a good sync after a bad one must keep what was written between: %q", b)
		}
		if b[0] != 'a' {
			lost++
		}
	}
	if lost == 0 || lost == 50 {
		t.Errorf("the byte whose sync failed was lost %d of 50 times, want some of both", lost)
	}
}

func TestFailedSyncDirDoesNothing(t *testing.T) {
	m := vfs.NewMem(1)
	create(t, m, "/f", "")
	m.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpSyncDir {
			return errors.New("input/output error")
		}
		return nil
	})
	if m.SyncDir("/") == nil {
		t.Fatal("sync of the directory passed")
	}
	m.Inject(nil)
	wantOutcomes(t, outcomes(t, m, "/f"), "-", "")
	must(t, m.SyncDir("/"))
	wantOutcomes(t, outcomes(t, m, "/f"), "")
}

func TestNoSyncMakesNothingDurable(t *testing.T) {
	m := vfs.NewMem(1)
	m.SetNoSync(true)
	must(t, create(t, m, "/f", "x").Sync(), m.SyncDir("/"))
	if got := outcomes(t, m, "/f"); got["-"] == 0 {
		t.Errorf("a disk that lies kept everything: %v", got)
	}
}

func TestCrashFreesLocks(t *testing.T) {
	m := vfs.NewMem(1)
	_, err := m.Lock("/LOCK")
	must(t, err)
	if _, err := m.Lock("/LOCK"); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("second lock: %v", err)
	}
	l, err := m.Crash(1).Lock("/LOCK")
	must(t, err)
	must(t, l.Close())
}

func TestKillKeepsWhatWasWrittenButNotDurable(t *testing.T) {
	m := vfs.NewMem(1)
	f := create(t, m, "/f", "a")
	must(t, f.Sync(), m.SyncDir("/"))
	if _, err := f.WriteAt([]byte("b"), 1); err != nil {
		t.Fatal(err)
	}
	create(t, m, "/g", "new")
	_, err := m.Lock("/LOCK")
	must(t, err)
	k := m.Kill()
	if got, want := tree(t, k, "/"), tree(t, m, "/"); got != want {
		t.Errorf("after a kill:\n%s\nbefore:\n%s", got, want)
	}
	if k.Used() != m.Used() {
		t.Errorf("used %d, was %d", k.Used(), m.Used())
	}
	wantOutcomes(t, outcomes(t, k, "/f"), "a", "ab", "a\x00")
	wantOutcomes(t, outcomes(t, k, "/g"), "-", "", "n", "ne", "new", "\x00\x00\x00")
	_, err = k.Lock("/LOCK")
	must(t, err)
	g, err := k.OpenFile("/f", os.O_RDWR, 0)
	must(t, err, g.Sync(), k.SyncDir("/"))
	wantOutcomes(t, outcomes(t, k, "/f"), "ab")
	wantOutcomes(t, outcomes(t, m, "/f"), "a", "ab", "a\x00")
}

func TestKillThenCrashIsCrash(t *testing.T) {
	for seed := range uint64(20) {
		m := vfs.NewMem(seed)
		run(t, m, "/tmp/x", seed, 200)
		if got, want := tree(t, m.Kill().Crash(seed), "/"), tree(t, m.Crash(seed), "/"); got != want {
			t.Fatalf("seed %d:\n got %.300s\nwant %.300s", seed, got, want)
		}
	}
}
