package kafkalog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

// compaction gives Apache Kafka and log/disk the same records to compact, with every
// codec and with tombstones: the same are left, at the same offsets.
func compaction(t *testing.T, addr string) {
	cfg := log.Config{Compaction: log.Compaction{On: true, MinWait: time.Millisecond, Tombstones: time.Hour}}
	theirs := open(t, options(t, addr))
	ours, err := disk.Open(t.Context(), disk.Options{FS: vfs.NewMem(1), Dir: "/d", Clock: clock.System(), Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ours.Close(context.Background()) })
	both := []log.Log{theirs, ours}
	p := part(0)
	for _, l := range both {
		do(t, l, log.Entry{Kind: log.Create, Partition: p, Config: cfg})
	}
	var pack batch.Compressor
	add := func(codec int16, records ...batch.Record) {
		t.Helper()
		var b batch.Builder
		for _, r := range records {
			b.Append(r)
		}
		packed, err := pack.Compress(b.Finish(), codec)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range both {
			do(t, l, data(p, packed))
		}
	}
	for i := range 300 {
		var records []batch.Record
		for k := range 1 + i%5 {
			n := i*7 + k*k
			r := batch.Record{Timestamp: time.Now().UnixMilli(), Key: fmt.Append(nil, "key", n%90), Value: fmt.Append(nil, "value", n)}
			if n%11 == 0 {
				r.Value = nil
			}
			records = append(records, r)
		}
		add(int16(i%5), records...)
	}
	// Kafka compacts up to the segment that it writes to; a record after its time
	// begins another.
	const roller = "roller"
	left := func(l log.Log) map[int64]string {
		t.Helper()
		out := map[int64]string{}
		unpack := batch.NewDecompressor(64 << 20)
		for at := int64(0); ; {
			got, err := l.Read(p, at, 1<<20, log.Uncommitted)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range got.List {
				at = b.Base + int64(b.Count)
				plain, err := unpack.Decompress(b.Bytes)
				if err != nil {
					t.Fatal(err)
				}
				it, err := batch.Records(plain)
				if err != nil {
					t.Fatal(err)
				}
				for it.Next() {
					if r := it.Record(); string(r.Key) != roller {
						out[r.Offset] = fmt.Sprintf("%s=%s, a tombstone: %v", r.Key, r.Value, r.Value == nil)
					}
				}
			}
			empty := len(got.List) == 0
			got.Release()
			if empty {
				return out
			}
		}
	}
	all := left(ours)
	if err := ours.Compact(); err != nil {
		t.Fatal(err)
	}
	want := left(ours)
	if len(want) != 90 || len(all) != 900 {
		t.Fatalf("%d records of %d are left of 90 keys", len(want), len(all))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		add(0, batch.Record{Timestamp: time.Now().UnixMilli(), Key: []byte(roller), Value: []byte("x")})
		got := left(theirs)
		if maps.Equal(got, want) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("Kafka has %d records left, want %d:\n%v\n%v", len(got), len(want), slices.Sorted(maps.Values(got)), slices.Sorted(maps.Values(want)))
		}
	}
}
