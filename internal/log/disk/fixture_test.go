package disk_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/identity"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

var flagFixture = flag.Bool("disk.fixture", false, "write testdata/v3 anew (only before its format is released)")

// fixtureBatches is what each of three partitions of the fixture holds.
const fixtureBatches = 40

func fixtureOptions(t *testing.T, dir string) disk.Options {
	keys, err := identity.OpenKeystore(vfs.OS{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	return disk.Options{
		FS: vfs.OS{}, Dir: dir, Clock: clock.NewManual(start), Manual: true, Entropy: bytes.NewReader(make([]byte, 28)), Keys: keys,
		WALFileBytes: 8 << 10, CheckpointBytes: 64 << 10, SegmentBytes: 4 << 10, FlushBytes: 2 << 10, IndexBytes: 512,
	}
}

// writeFixture makes a directory with everything a format has: segments, closed
// ones with indexes, a pack, WAL rounds above the checkpoint, several edits, a
// trim, a seal, a fence, a producer, an aborted transaction, batches sealed under
// two keys, a compacted partition, and no clean stop.
func writeFixture(t *testing.T, dir string) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := disk.Open(context.Background(), fixtureOptions(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	for p := range uint64(3) {
		must(t, l, create(pid(p), log.Config{MaxAge: 1e15, MaxBytes: 1 << 30}))
	}
	must(t, l, data(pid(2), producerBatch(1, body(pid(2), 0, 200), 9, 3, 0, 0x10)))
	must(t, l, data(pid(2), marker(9, 3, false)))
	must(t, l, create(pid(3), log.Config{KeyID: 1}))
	must(t, l, create(pid(4), eager(time.Hour)))
	for i := range fixtureBatches {
		must(t, l, data(pid(4), kv("a="+strconv.Itoa(i), "b"+strconv.Itoa(i%3)+"=x", "c")))
		if i == 25 {
			compacted(t, l)
		}
		must(t, l, data(pid(0), rawBatch(1, body(pid(0), i, 200))))
		must(t, l, data(pid(3), rawBatch(1, body(pid(3), i, 200))))
		if i == 20 {
			must(t, l, configure(pid(3), 2))
		}
		if i%4 == 0 {
			must(t, l, data(pid(1), rawBatch(2, body(pid(1), i/4, 200))))
		}
		if i == 15 || i == 30 {
			if err := l.Checkpoint(); err != nil {
				t.Fatal(err)
			}
		}
	}
	must(t, l, log.Request{Atomic: true, Entries: []log.Entry{
		{Kind: log.Trim, Partition: pid(0), Offset: 3}, {Kind: log.Seal, Partition: pid(1)}, {Kind: log.Fence, Partition: pid(2)},
	}})
	// Left as a killed process leaves it: no Close.
}

// TestFixture opens directories of every format version as they were when that
// format was made. A writable open brings them up to the present one.
func TestFixture(t *testing.T) {
	const newest = "testdata/v3"
	if *flagFixture {
		if err := os.RemoveAll(newest); err != nil {
			t.Fatal(err)
		}
		writeFixture(t, newest)
		if err := os.Remove(newest + "/LOCK"); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("v1", func(t *testing.T) { openFixture(t, "testdata/v1", 1) })
	t.Run("v2", func(t *testing.T) { openFixture(t, "testdata/v2", 2) })
	t.Run("v3", func(t *testing.T) { openFixture(t, newest, 3) })
}

func openFixture(t *testing.T, stored string, version int) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.CopyFS(dir, os.DirFS(stored)); err != nil {
		t.Fatal(err)
	}
	o := fixtureOptions(t, dir)
	partitions, sealed := 2+version, int64(fixtureBatches*min(version-1, 1))
	check := func(version int) {
		t.Helper()
		r, err := disk.Verify(vfs.OS{}, dir, o.Keys)
		if err != nil || !r.OK() || len(r.Cuts) > 0 || r.Version != version || r.Partitions != partitions || r.Frames < fixtureBatches ||
			r.Encrypted != sealed || r.Decrypted != sealed {
			t.Fatalf("verify: %+v, %v", r, err)
		}
	}
	check(version)
	l, err := disk.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	checkBodies(t, pid(0), readAll(t, l, pid(0), 700), 3, fixtureBatches-3, 200)
	checkBodies(t, pid(1), readAll(t, l, pid(1), 700), 0, fixtureBatches/4, 200)
	for p, want := range []log.Info{
		{Start: 3, End: fixtureBatches, Stable: fixtureBatches},
		{End: fixtureBatches / 2, Stable: fixtureBatches / 2, Sealed: true},
		{End: 2, Stable: 2, Epoch: 1},
	} {
		in, err := l.Info(pid(uint64(p)))
		if err != nil || in.Start != want.Start || in.End != want.End || in.Stable != want.Stable || in.Sealed != want.Sealed ||
			in.Epoch != want.Epoch || in.LeaderEpoch != 1 || in.Config.MaxAge != 1e15 || in.Config.MaxBytes != 1<<30 {
			t.Errorf("partition %d: %+v, %v", p, in, err)
		}
	}
	if latest, err := l.LatestTimestamp(pid(0), 1<<62); err != nil || latest != 0 {
		t.Errorf("latest timestamp: %d, %v", latest, err)
	}
	for from, want := range map[int64]int64{0: 3, 30: 30, fixtureBatches: -1} {
		if got, err := l.OffsetForTimestamp(pid(0), from, 0); err != nil || got != want {
			t.Errorf("offset for timestamp from %d: %d, %v, want %d", from, got, err, want)
		}
	}
	b, err := l.Read(pid(2), 0, 1000, log.Committed)
	if err != nil || len(b.Aborted) != 1 || b.Aborted[0].ProducerID != 9 {
		t.Errorf("aborted transactions: %+v, %v", b.Aborted, err)
	}
	b.Release()
	if r := must(t, l, data(pid(2), producerBatch(1, body(pid(2), 0, 200), 9, 3, 0, 0x10)))[0]; !r.Duplicate {
		t.Errorf("a repeated batch was appended: %+v", r)
	}
	must(t, l, data(pid(0), rawBatch(1, body(pid(0), fixtureBatches, 200))))
	if version > 1 {
		got := readAll(t, l, pid(3), 700)
		checkBodies(t, pid(3), got, 0, fixtureBatches, 200)
		for i, b := range got {
			if want := uint32(1 + i/21); b.KeyID != want {
				t.Errorf("batch %d is under key %d, want %d", i, b.KeyID, want)
			}
		}
	}
	if version > 2 {
		got := records(t, l, pid(4))
		if want := 5 + 3*(fixtureBatches-26); len(got) != want || got[0] != "70 b2=x" || got[want-1] != "119 c" {
			t.Errorf("%d records of the compacted partition, want %d: %v", len(got), want, got)
		}
	}
	closeLog(t, l)
	check(disk.FormatVersion)
}
