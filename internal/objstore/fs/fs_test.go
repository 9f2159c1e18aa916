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

// unsynced is the real file system without the syncs of directories, of which deep
// keys cost hundreds. Crashes are simulated elsewhere.
type unsynced struct{ vfs.OS }

func (unsynced) SyncDir(string) error { return nil }

func TestStoreOnDisk(t *testing.T) {
	objtest.Run(t, objtest.Harness{Store: open(t, unsynced{}, t.TempDir()+"/objects"), Prefix: "t-"})
}

func TestStoreInMemory(t *testing.T) {
	objtest.Run(t, objtest.Harness{Store: open(t, vfs.NewEphemeral(), "/data/objects"), Prefix: "t-"})
}
