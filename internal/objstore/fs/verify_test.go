package fs

import (
	"os"
	"strings"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/objstore"
	"thalweg/internal/vfs"
)

// Every changed byte of an object or a part is found, and named; so is an object that
// stands where another belongs.
func TestVerify(t *testing.T) {
	m := vfs.NewEphemeral()
	s, err := Open(Options{FS: m, Dir: "/d/objects", Clock: clock.NewManual(time.Unix(0, 0))})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if r, err := Verify(m, "/none"); err != nil || r.Files != 0 || len(r.Damage) != 0 {
		t.Errorf("no store: %+v, %v", r, err)
	}
	if err := s.CreateBucket(ctx, objstore.Bucket{Name: "bucket", Owner: "o"}); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 200) + "/y"
	for _, key := range []string{"a", "a/", "a/B", long} {
		if _, err := s.Put(ctx, objstore.Ref{Bucket: "bucket", Key: key}, strings.NewReader("body of "+key), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	up, err := s.CreateUpload(ctx, objstore.Ref{Bucket: "bucket", Key: "up"}, objstore.UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutPart(ctx, up.UploadRef, 1, strings.NewReader("part")); err != nil {
		t.Fatal(err)
	}
	r, err := Verify(m, "/d/objects")
	if err != nil || r.Files != 5 || len(r.Damage) != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	dir, base := pathOf("a/B")
	for _, name := range []string{"/d/objects/buckets/bucket/objects/" + dir + "/" + base} {
		raw, err := vfs.ReadFile(m, name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for i := range raw {
			flip(t, m, name, int64(i))
			if r, err := Verify(m, "/d/objects"); err != nil || len(r.Damage) != 1 || !strings.Contains(r.Damage[0], "objects/buckets/bucket/") {
				t.Fatalf("byte %d: %+v, %v", i, r, err)
			}
			flip(t, m, name, int64(i))
		}
		if err := m.Rename(name, strings.TrimSuffix(name, base)+"other="); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := Verify(m, "/d/objects"); err != nil || len(r.Damage) != 1 || !strings.Contains(r.Damage[0], "another key") {
		t.Errorf("under another name: %+v, %v", r, err)
	}
}

func flip(t *testing.T, m vfs.FS, name string, at int64) {
	t.Helper()
	f, err := m.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}
