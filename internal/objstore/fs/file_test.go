package fs

import (
	"bytes"
	"io"
	"os"
	"testing"

	"thalweg/internal/objstore"
	"thalweg/internal/vfs"
)

// stored writes a file of an object and returns its bytes.
func stored(t testing.TB, body []byte, h head) (*vfs.Mem, []byte) {
	t.Helper()
	m := vfs.NewEphemeral()
	f, err := m.OpenFile("/f", os.O_RDWR|os.O_CREATE, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := newWriter(f, objstore.CRC32C, func(int64) error { return nil })
	if err := w.readFrom(bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	if err := w.finish(&h); err != nil {
		t.Fatal(err)
	}
	raw, err := vfs.ReadFile(m, "/f", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return m, raw
}

// readBack reads a whole file of an object.
func readBack(raw []byte) (head, []byte, error) {
	m := vfs.NewEphemeral()
	if err := vfs.WriteFile(m, "", "f", raw, 0); err != nil {
		return head{}, nil, err
	}
	f, err := m.OpenFile("/f", os.O_RDONLY, 0)
	if err != nil {
		return head{}, nil, err
	}
	defer f.Close()
	o, err := readFile(f)
	if err != nil {
		return head{}, nil, err
	}
	b, err := io.ReadAll(o.open(0, o.size))
	return o.head, b, err
}

// Whichever byte is changed, the object is refused or the change is seen while it is
// read: never is a wrong body given whole.
func TestEveryByteIsGuarded(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 20)
	_, raw := stored(t, body, head{Key: "k", ETag: "e"})
	for i := range raw {
		for _, flip := range []byte{1, 0x80} {
			raw[i] ^= flip
			if _, _, err := readBack(raw); err == nil {
				t.Fatalf("byte %d of %d is not guarded", i, len(raw))
			}
			raw[i] ^= flip
		}
	}
	for n := range raw {
		if _, _, err := readBack(raw[:n]); err == nil {
			t.Fatalf("%d of %d bytes are taken for an object", n, len(raw))
		}
	}
	if h, b, err := readBack(raw); err != nil || h.Key != "k" || !bytes.Equal(b, body) {
		t.Fatal(err)
	}
}

// A damaged block is told before its last piece is given, and others are read.
func TestDamageIsTold(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 3*blockLen)
	m, _ := stored(t, body, head{Key: "k"})
	f, err := m.OpenFile("/f", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("y"), blockLen+5); err != nil {
		t.Fatal(err)
	}
	o, err := readFile(f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(o.open(0, o.size))
	if err == nil || len(got) >= 2*blockLen {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	for _, r := range [][2]int64{{0, blockLen}, {100, 10}, {2 * blockLen, blockLen}, {2*blockLen + 7, 9}} {
		if got, err := io.ReadAll(o.open(r[0], r[1])); err != nil || !bytes.Equal(got, body[r[0]:r[0]+r[1]]) {
			t.Fatalf("range %v: %d bytes, %v", r, len(got), err)
		}
	}
	if got, err := io.ReadAll(o.open(blockLen+100_000, 10)); err == nil || len(got) > 0 {
		t.Fatalf("%d bytes of a damaged block, %v", len(got), err)
	}
}

func FuzzFile(f *testing.F) {
	for _, n := range []int{0, 1, 70_000} {
		_, raw := stored(f, make([]byte, n), head{Key: "k", Parts: []int64{int64(n)}})
		f.Add(raw)
	}
	f.Add([]byte(magic))
	f.Fuzz(func(_ *testing.T, raw []byte) { _, _, _ = readBack(raw) })
}
