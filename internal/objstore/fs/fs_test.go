package fs_test

import (
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/objstore/fs"
	"thalweg/internal/objstore/objtest"
	"thalweg/internal/vfs"
)

func open(t testing.TB, fsys vfs.FS, dir string) *fs.Store {
	t.Helper()
	s, err := fs.Open(fs.Options{FS: fsys, Dir: dir, Clock: clock.NewManual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStoreOnDisk(t *testing.T) {
	objtest.Run(t, objtest.Harness{Store: open(t, vfs.OS{}, t.TempDir()+"/objects"), Prefix: "t-"})
}

func TestStoreInMemory(t *testing.T) {
	objtest.Run(t, objtest.Harness{Store: open(t, vfs.NewEphemeral(), "/data/objects"), Prefix: "t-"})
}
