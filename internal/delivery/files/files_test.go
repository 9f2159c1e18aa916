package files

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"thalweg/internal/errs"
	"thalweg/internal/vfs"
)

func open(t *testing.T, fsys vfs.FS) *Dir {
	t.Helper()
	d, err := Open(fsys, "data/delivery", [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newFS(t *testing.T) *vfs.Mem {
	fsys := vfs.NewMem(1)
	if err := fsys.MkdirAll("data", 0o700); err != nil {
		t.Fatal(err)
	}
	return fsys
}

func content(n int) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// What is written is read, from anywhere, at sizes around a chunk's.
func TestThereAndBack(t *testing.T) {
	d := open(t, newFS(t))
	for _, n := range []int{0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, 3*chunkBytes + 7} {
		want := content(n)
		scratch, err := d.Scratch()
		if err != nil {
			t.Fatal(err)
		}
		file, err := d.Create("plan")
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range []io.Writer{scratch, file} {
			for part := range slices.Chunk(want, 1000) {
				if _, err := w.Write(part); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := file.Commit(); err != nil {
			t.Fatal(err)
		}
		named, err := d.Open("plan")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []io.ReadSeeker{scratch, named} {
			for _, from := range []int{0, n / 2, n} {
				if _, err := r.Seek(int64(from), io.SeekStart); err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want[from:]) {
					t.Errorf("%d bytes from %d: %d bytes, %v", n, from, len(got), err)
				}
			}
			if size, err := r.Seek(0, io.SeekEnd); err != nil || size != int64(n) {
				t.Errorf("size %d, %v, want %d", size, err, n)
			}
		}
		if err := errors.Join(scratch.Close(), named.Close(), d.Remove("plan")); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := d.List(); err != nil || len(names) != 0 {
		t.Errorf("left %q, %v", names, err)
	}
}

// Nothing stands there in the clear, and what was changed, cut or is of another
// installation is damage.
func TestSealed(t *testing.T) {
	fsys := newFS(t)
	d := open(t, fsys)
	want := bytes.Repeat([]byte("secret "), 20_000)
	file, err := d.Create("plan")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := file.Commit(); err != nil {
		t.Fatal(err)
	}
	raw, err := vfs.ReadFile(fsys, "data/delivery/plans/plan", 1<<20)
	if err != nil || bytes.Contains(raw, []byte("secret")) {
		t.Fatalf("in the clear, or %v", err)
	}
	damaged := func(name string, alter func([]byte) []byte) {
		f, err := fsys.OpenFile("data/delivery/plans/other", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(alter(bytes.Clone(raw)), 0); err != nil {
			t.Fatal(err)
		}
		f.Close()
		r, err := d.Open("other")
		if err == nil {
			_, err = io.ReadAll(r)
			r.Close()
		}
		if errs.KindOf(err) != errs.Corrupt {
			t.Errorf("%s: %v", name, err)
		}
	}
	damaged("a bit", func(b []byte) []byte { b[70_000] ^= 1; return b })
	damaged("the salt", func(b []byte) []byte { b[0] ^= 1; return b })
	damaged("cut at a chunk", func(b []byte) []byte { return b[:place(1)] })
	damaged("cut amid", func(b []byte) []byte { return b[:len(b)-1] })
	damaged("no salt", func([]byte) []byte { return []byte("x") })
	d.key[0]++
	damaged("another key", func(b []byte) []byte { return b })
}

// A start removes what was not finished; Abort and a second Remove leave nothing.
func TestUnfinished(t *testing.T) {
	fsys := newFS(t)
	d := open(t, fsys)
	if _, err := d.Create("a"); err != nil {
		t.Fatal(err)
	}
	b, err := d.Create("b")
	if err != nil {
		t.Fatal(err)
	}
	b.Abort()
	d = open(t, fsys)
	if left, err := fsys.ReadDir("data/delivery/tmp"); err != nil || len(left) != 0 {
		t.Errorf("left %q, %v", left, err)
	}
	if _, err := d.Open("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: %v", err)
	}
	if err := d.Remove("a"); err != nil {
		t.Error(err)
	}
}

// While they are held, files stay, and a copy of them opens.
func TestBackup(t *testing.T) {
	fsys := newFS(t)
	d := open(t, fsys)
	want := content(2*chunkBytes + 3)
	file, err := d.Create("plan")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := file.Commit(); err != nil {
		t.Fatal(err)
	}
	release := d.Hold()
	if err := d.Remove("plan"); err != nil {
		t.Fatal(err)
	}
	if err := fsys.MkdirAll("copy", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Backup(fsys, "data/delivery", "copy/delivery"); err != nil {
		t.Fatal(err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if names, err := d.List(); err != nil || len(names) != 0 {
		t.Errorf("left %q, %v", names, err)
	}
	again, err := Open(fsys, "copy/delivery", [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	r, err := again.Open("plan")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := Backup(fsys, "nowhere", "copy/nothing"); err != nil {
		t.Errorf("of nothing: %v", err)
	}
}
