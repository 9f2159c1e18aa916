package disk_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"thalweg/internal/clock"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

var flagFixture = flag.Bool("disk.fixture", false, "write testdata/v1 anew (only before its format is released)")

// fixtureBatches is what each of three partitions of the fixture holds.
const fixtureBatches = 40

func fixtureOptions(dir string) disk.Options {
	return disk.Options{
		FS: vfs.OS{}, Dir: dir, Clock: clock.NewManual(start), Manual: true, Entropy: bytes.NewReader(make([]byte, 16)),
		WALFileBytes: 8 << 10, CheckpointBytes: 64 << 10, SegmentBytes: 4 << 10, FlushBytes: 2 << 10, IndexBytes: 512,
	}
}

// writeFixture makes a directory with everything a format has: segments, closed
// ones with indexes, a pack, WAL rounds above the checkpoint, several edits, a
// trim, a seal, a fence, a producer, an aborted transaction, and no clean stop.
func writeFixture(t *testing.T, dir string) {
	l, err := disk.Open(context.Background(), fixtureOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	for p := range uint64(3) {
		must(t, l, create(pid(p), log.Config{MaxAge: 1e15, MaxBytes: 1 << 30}))
	}
	must(t, l, data(pid(2), producerBatch(1, body(pid(2), 0, 200), 9, 3, 0, 0x10)))
	must(t, l, data(pid(2), marker(9, 3, false)))
	for i := range fixtureBatches {
		must(t, l, data(pid(0), rawBatch(1, body(pid(0), i, 200))))
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

// TestFixture opens a directory of format version 1 as it was when that format
// was made.
func TestFixture(t *testing.T) {
	const stored = "testdata/v1"
	if *flagFixture {
		if err := os.RemoveAll(stored); err != nil {
			t.Fatal(err)
		}
		writeFixture(t, stored)
		if err := os.Remove(stored + "/LOCK"); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "v1")
	if err := os.CopyFS(dir, os.DirFS(stored)); err != nil {
		t.Fatal(err)
	}
	report, err := disk.Verify(vfs.OS{}, dir)
	if err != nil || !report.OK() || len(report.Cuts) > 0 || report.Version != 1 || report.Partitions != 3 || report.Frames < fixtureBatches {
		t.Fatalf("verify: %+v, %v", report, err)
	}
	l, err := disk.Open(context.Background(), fixtureOptions(dir))
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
	b, err := l.Read(pid(2), 0, 1000, log.Committed)
	if err != nil || len(b.Aborted) != 1 || b.Aborted[0].ProducerID != 9 {
		t.Errorf("aborted transactions: %+v, %v", b.Aborted, err)
	}
	b.Release()
	if r := must(t, l, data(pid(2), producerBatch(1, body(pid(2), 0, 200), 9, 3, 0, 0x10)))[0]; !r.Duplicate {
		t.Errorf("a repeated batch was appended: %+v", r)
	}
	must(t, l, data(pid(0), rawBatch(1, body(pid(0), fixtureBatches, 200))))
	closeLog(t, l)
}
