package fs_test

import (
	"bytes"
	"testing"

	"thalweg/internal/objstore"
	"thalweg/internal/objstore/fs"
	"thalweg/internal/objstore/objtest"
)

// A copy holds every object and upload, and survives a power cut once it is made.
func TestBackup(t *testing.T) {
	m := disk(t, 1)
	if err := fs.Backup(m, "/data/none", "/data/empty"); err != nil {
		t.Fatal(err)
	}
	s := script{keys: map[string]*history{}}
	if s.run(m); s.err != nil {
		t.Fatal(s.err)
	}
	large := objtest.Bytes(3<<20, 9)
	if _, err := s.store.Put(t.Context(), ref("deep/er/large"), bytes.NewReader(large), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	s.keys["deep/er/large"] = &history{now: large}
	u, err := s.store.CreateUpload(t.Context(), ref("u"), objstore.UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.PutPart(t.Context(), u.UploadRef, 3, bytes.NewReader([]byte("part"))); err != nil {
		t.Fatal(err)
	}
	if err := fs.Backup(m, "/data/objects", "/data/backup"); err != nil {
		t.Fatal(err)
	}
	left := m.Crash(1)
	if err := left.Rename("/data/objects", "/data/old"); err != nil {
		t.Fatal(err)
	}
	if err := left.Rename("/data/backup", "/data/objects"); err != nil {
		t.Fatal(err)
	}
	store, err := openAt(left)
	if err != nil {
		t.Fatal(err)
	}
	if _, parts, _, err := store.ListParts(t.Context(), u.UploadRef, 0, 0); err != nil || len(parts) != 1 || parts[0].Size != 4 {
		t.Fatalf("%+v %v", parts, err)
	}
	s.check(t, left)
}
