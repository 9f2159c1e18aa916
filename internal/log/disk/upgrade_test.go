package disk

import (
	"context"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/log"
	"thalweg/internal/vfs"
)

// TestUpgrade stops the machine before every call of the open that brings a
// directory of version 1 up to date: the next open finds all of it.
func TestUpgrade(t *testing.T) {
	fsys := vfs.NewMem(1)
	copyFixture(t, fsys, "testdata/v1")
	for _, dir := range []string{"/", "/d", "/d/wal", "/d/seg"} {
		if err := fsys.SyncDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	open := func(fsys vfs.FS) *Log {
		t.Helper()
		l, err := Open(context.Background(), Options{FS: fsys, Dir: "/d", Clock: clock.NewManual(time.Unix(1e9, 0)), Manual: true})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	ends := func(l *Log) map[log.PartitionID]int64 {
		out := map[log.PartitionID]int64{}
		for _, id := range l.Partitions() {
			in, err := l.Info(id)
			if err != nil {
				t.Fatal(err)
			}
			out[id] = in.End
		}
		return out
	}
	var stopped []*vfs.Mem
	running := fsys.Kill()
	running.Inject(func(op vfs.Op) error {
		stopped = append(stopped, running.Crash(uint64(len(stopped))))
		return nil
	})
	l := open(running)
	running.Inject(nil)
	want := ends(l)
	if l.format.Version != 1 || len(want) == 0 || len(stopped) < 10 {
		t.Fatalf("version %d, partitions %v, %d calls", l.format.Version, want, len(stopped))
	}
	for i, fsys := range append(stopped, running.Kill()) {
		l := open(fsys)
		got := ends(l)
		if len(got) != len(want) || !l.State().Writable {
			t.Errorf("stopped before call %d: %v, %+v", i, got, l.State())
		}
		for id, end := range want {
			if got[id] != end {
				t.Errorf("stopped before call %d: partition %v ends at %d, want %d", i, id, got[id], end)
			}
		}
		if f, err := readFormat(fsys, l.layout); err != nil || f.Version != FormatVersion {
			t.Errorf("stopped before call %d: version %d, %v", i, f.Version, err)
		}
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
