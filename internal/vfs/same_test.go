package vfs_test

import (
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"thalweg/internal/vfs"
)

// script runs the same random calls on a file system and tells what each
// returned, so that two file systems can be compared line by line.
type script struct {
	fsys vfs.FS
	root string
	rng  *rand.Rand
	open map[string]vfs.File // by slot
	out  []string
}

func (s *script) say(call string, err error, more ...any) {
	s.out = append(s.out, fmt.Sprintf("%s: %s %v", call, errorClass(err), more))
}

// errorClass is what a caller may tell errors apart by.
func errorClass(err error) string {
	if err == nil {
		return "ok"
	}
	for _, c := range []error{
		fs.ErrNotExist, fs.ErrExist, fs.ErrClosed, vfs.ErrNoSpace, io.EOF,
		syscall.ENOTDIR, syscall.EISDIR, syscall.ENOTEMPTY, syscall.EBADF, syscall.EINVAL, syscall.EPERM,
	} {
		if errors.Is(err, c) {
			return c.Error()
		}
	}
	if strings.Contains(err.Error(), "negative offset") {
		return syscall.EINVAL.Error()
	}
	return err.Error()
}

func (s *script) name() string {
	names := []string{"a", "b", "c", "d/a", "d/b", "d/e/a", "d", "d/e", "x/a", "a/b"}
	return path.Join(s.root, names[s.rng.IntN(len(names))])
}

func (s *script) step() {
	slot := string(rune('0' + s.rng.IntN(4)))
	f := s.open[slot]
	name := s.name()
	rel := strings.TrimPrefix(name, s.root)
	off := int64(s.rng.IntN(20000))
	switch s.rng.IntN(13) {
	case 0, 1:
		flags := []int{os.O_RDONLY, os.O_RDWR | os.O_CREATE, os.O_RDWR, os.O_RDWR | os.O_CREATE | os.O_EXCL,
			os.O_RDWR | os.O_CREATE | os.O_TRUNC, os.O_WRONLY | os.O_CREATE}
		how := flags[s.rng.IntN(len(flags))]
		if info, err := s.fsys.Stat(name); err == nil && info.Dir && how == os.O_RDONLY {
			return // the real one opens directories too
		}
		g, err := s.fsys.OpenFile(name, how, 0o600)
		s.say(fmt.Sprintf("open %s %x", rel, how), err)
		if err == nil {
			if f != nil {
				f.Close()
			}
			s.open[slot] = g
		}
	case 2:
		s.say("remove "+rel, s.fsys.Remove(name))
	case 3:
		to := s.name()
		s.say("rename "+rel+" "+strings.TrimPrefix(to, s.root), s.fsys.Rename(name, to))
	case 4:
		to := s.name()
		s.say("link "+rel+" "+strings.TrimPrefix(to, s.root), s.fsys.Link(name, to))
	case 5:
		s.say("mkdir "+rel, s.fsys.MkdirAll(name, 0o700))
	case 6:
		names, err := s.fsys.ReadDir(name)
		s.say("readdir "+rel, err, names)
		var scanned []string
		err = s.fsys.ScanDir(name, func(base string) bool {
			scanned = append(scanned, base)
			return true
		})
		slices.Sort(scanned)
		s.say("scandir "+rel, err, scanned)
	case 7:
		info, err := s.fsys.Stat(name)
		s.say("stat "+rel, err, info.Size, info.Dir)
	default:
		if f != nil {
			s.fileStep(slot, f, off)
		}
	}
}

func (s *script) fileStep(slot string, f vfs.File, off int64) {
	switch s.rng.IntN(8) {
	case 0, 1, 2:
		b := make([]byte, s.rng.IntN(9000))
		for i := range b {
			b[i] = byte(s.rng.Uint32())
		}
		n, err := f.WriteAt(b, off)
		s.say(fmt.Sprintf("write %s %d+%d", slot, off, len(b)), err, n)
	case 3:
		b := make([]byte, s.rng.IntN(9000))
		n, err := f.ReadAt(b, off)
		s.say(fmt.Sprintf("read %s %d+%d", slot, off, len(b)), err, n, crc32.ChecksumIEEE(b[:n]))
	case 4:
		s.say(fmt.Sprintf("truncate %s %d", slot, off), f.Truncate(off))
	case 5:
		size, err := f.Size()
		s.say("size "+slot, err, size)
	case 6:
		s.say("sync "+slot, errors.Join(f.Sync(), f.SyncData()))
	case 7:
		s.say("close "+slot, f.Close())
		_, err := f.ReadAt(make([]byte, 1), 0)
		s.say("use after close "+slot, err)
		delete(s.open, slot)
	}
}

func run(t *testing.T, fsys vfs.FS, root string, seed uint64, steps int) []string {
	s := &script{fsys: fsys, root: root, rng: rand.New(rand.NewPCG(seed, 0)), open: map[string]vfs.File{}}
	if err := fsys.MkdirAll(root, 0o700); err != nil {
		t.Fatal(err)
	}
	for range steps {
		s.step()
	}
	for _, dir := range []string{"", "d", "d/e"} {
		names, err := fsys.ReadDir(path.Join(root, dir))
		s.say("finally "+dir, err, names)
		for _, n := range names {
			b, err := vfs.ReadFile(fsys, path.Join(root, dir, n), 1<<20)
			if info, serr := fsys.Stat(path.Join(root, dir, n)); serr == nil && !info.Dir {
				s.say("finally "+path.Join(dir, n), err, len(b), crc32.ChecksumIEEE(b))
			}
		}
	}
	for _, f := range s.open {
		f.Close()
	}
	return s.out
}

var scripts = flag.Uint64("vfs.scripts", 20, "how many random scripts to compare")

// TestSameScriptSameAnswers is what lets the crash tests speak for the real
// file system.
func TestSameScriptSameAnswers(t *testing.T) {
	for seed := range *scripts {
		want := run(t, vfs.OS{}, t.TempDir(), seed, 300)
		for kind, fsys := range map[string]vfs.FS{"crashable": vfs.NewMem(seed), "ephemeral": vfs.NewEphemeral()} {
			got := run(t, fsys, "/tmp/x", seed, 300)
			for i := range want {
				if i >= len(got) || got[i] != want[i] {
					t.Fatalf("seed %d, %s, step %d:\n got %.300s\nwant %.300s", seed, kind, i, got[i], want[i])
				}
			}
		}
	}
}

// TestCrashAfterSyncLosesNothing runs the script, syncs all there is, and
// compares the crashed file system with the one that went on.
func TestCrashAfterSyncLosesNothing(t *testing.T) {
	for seed := range *scripts {
		m := vfs.NewMem(seed)
		run(t, m, "/tmp/x", seed, 300)
		syncAll(t, m, "/")
		if got, want := tree(t, m.Crash(seed), "/"), tree(t, m, "/"); got != want {
			t.Fatalf("seed %d:\n got %.500s\nwant %.500s", seed, got, want)
		}
	}
}

func syncAll(t *testing.T, m *vfs.Mem, dir string) {
	t.Helper()
	names, err := m.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		full := path.Join(dir, n)
		if info, _ := m.Stat(full); info.Dir {
			syncAll(t, m, full)
			continue
		}
		f, err := m.OpenFile(full, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.SyncData(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.SyncDir(dir); err != nil {
		t.Fatal(err)
	}
}

// tree draws all files and their contents.
func tree(t *testing.T, fsys vfs.FS, dir string) string {
	t.Helper()
	names, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, n := range names {
		full := path.Join(dir, n)
		if info, _ := fsys.Stat(full); info.Dir {
			fmt.Fprintf(&b, "%s/\n%s", full, tree(t, fsys, full))
			continue
		}
		data, err := vfs.ReadFile(fsys, full, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %d %x\n", full, len(data), crc32.ChecksumIEEE(data))
	}
	return b.String()
}
