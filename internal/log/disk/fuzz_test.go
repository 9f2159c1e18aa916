package disk

import (
	"bytes"
	"context"
	"os"
	"path"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/identity"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/vfs"
)

// fuzzDir is a copy of the newest stored fixture in memory, in which one file is to
// be replaced.
func fuzzDir(t testing.TB) *vfs.Mem {
	fsys := vfs.NewEphemeral()
	copyFixture(t, fsys, "testdata/v2")
	return fsys
}

// fixtureKeys are those of the newest fixture.
func fixtureKeys(t testing.TB) Keys {
	keys, err := identity.ReadKeystore(vfs.OS{}, "testdata/v2")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// copyFixture copies a fixture to /d of fsys.
func copyFixture(t testing.TB, fsys vfs.FS, from string) {
	for _, sub := range []string{"", "wal", "seg"} {
		if err := fsys.MkdirAll(path.Join("/d", sub), 0o755); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(path.Join(from, sub))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() {
				continue
			}
			b, err := os.ReadFile(path.Join(from, sub, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			replace(t, fsys, path.Join("/d", sub, e.Name()), b)
		}
	}
}

func replace(t testing.TB, fsys vfs.FS, name string, b []byte) {
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err == nil {
		_, err = f.WriteAt(b, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// fuzzFile adds every file of the fixture in dir with ext as a seed, and runs
// the log over a directory in which the last of them has the fuzzed content.
func fuzzFile(f *testing.F, dir, ext string) {
	fsys := fuzzDir(f)
	names, err := fsys.ReadDir(path.Join("/d", dir))
	if err != nil {
		f.Fatal(err)
	}
	target := ""
	for _, n := range names {
		if path.Ext(n) == ext && (dir != "" || n == "MANIFEST" || n == "FORMAT") {
			target = path.Join("/d", dir, n)
			b, err := vfs.ReadFile(fsys, target, 1<<20)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
			f.Add(b[:len(b)/2])
		}
	}
	keys := fixtureKeys(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := fuzzDir(t)
		replace(t, fsys, target, b)
		if _, err := Verify(fsys, "/d", keys); err != nil {
			return
		}
		l, err := Open(context.Background(), Options{
			FS: fsys, Dir: "/d", Clock: clock.NewManual(time.Unix(1e9, 0)), Manual: true, ReadOnly: true, Keys: keys,
		})
		if err != nil {
			return
		}
		for _, id := range l.Partitions() {
			in, err := l.Info(id)
			if err != nil {
				continue
			}
			for at, n := in.Start, 0; at < in.End && n < 100; n++ {
				b, err := l.Read(id, at, 500, log.Committed)
				if err != nil || len(b.List) == 0 {
					break
				}
				last := b.List[len(b.List)-1]
				if b.List[0].Base > at || last.Base+int64(last.Count) <= at {
					t.Fatalf("read at %d gave %d to %d", at, b.List[0].Base, last.Base)
				}
				at = last.Base + int64(last.Count)
				b.Release()
			}
		}
		if err := l.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzWAL(f *testing.F)      { fuzzFile(f, "wal", ".wal") }
func FuzzSegment(f *testing.F)  { fuzzFile(f, "seg", ".seg") }
func FuzzPack(f *testing.F)     { fuzzFile(f, "seg", ".pack") }
func FuzzManifest(f *testing.F) { fuzzFile(f, "", "") }

func FuzzIndex(f *testing.F) {
	h := newHistory([16]byte{1})
	ix := &index{stride: 1}
	for i := range int64(5) {
		ix.add(noted{indexEntry{64 + i*100, i * 3, i, 9 - i}, 100})
	}
	f.Add(ix.encode(7, h))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseIndex(b, 7, h)
		if err == nil && !bytes.Equal(got.encode(7, h), b) {
			t.Fatal("an index is not what it was parsed from")
		}
	})
}

// FuzzEdit feeds payloads past the checksum.
func FuzzEdit(f *testing.F) {
	e := &edit{checkpoint: 5, durable: 9, incarnation: 2, leaderEpoch: 1, nextFile: 3, deleted: []log.PartitionID{{Stream: 4}}, parts: []partEdit{{
		id: log.PartitionID{Stream: 1}, v: pstate{start: 1, end: 10, lastArrival: -1}, drop: 1,
		extents:    []extent{{kind: kindPack, file: 2, pos: 64, size: 100, base: 1, end: 10, first: 3, last: 4, bytes: 36}},
		hasAborted: true, aborted: []log.AbortedTxn{{ProducerID: 3, FirstOffset: 1, LastOffset: 2}},
		producers: []producer{{id: 3, epoch: 1, txnFirst: -1, n: 1, batches: [keptBatches]seqBatch{{1, 2, 3, 4}}}},
	}}}
	f.Add(e.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEdit(b)
		if err != nil {
			return
		}
		again, err := decodeEdit(e.encode())
		if err != nil || !bytes.Equal(again.encode(), e.encode()) {
			t.Fatalf("an edit does not survive encoding: %v", err)
		}
		ld := &loaded{parts: map[log.PartitionID]*partEdit{}}
		ld.apply(e)
	})
}

func FuzzFormat(f *testing.F) {
	f.Add(newFormat([16]byte{1, 2}, time.Unix(1e9, 0)).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decodeFormat(b)
	})
}

func FuzzFrame(f *testing.F) {
	b := make([]byte, frameSize+configSize)
	fr := frame{lsn: 4, kind: log.Create, arrival: 5}
	fr.putHead(b)
	fr.putSum(b, 9)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, payload, ok := parseFrame(b, 9)
		if !ok {
			return
		}
		out := append(make([]byte, frameSize), payload...)
		fr.putHead(out)
		fr.putSum(out, 9)
		if !bytes.Equal(out, b[:len(out)]) {
			t.Fatal("a frame is not what it was parsed from")
		}
	})
}

// FuzzSealed opens frames that nobody sealed: none opens, and none is out of bounds.
func FuzzSealed(f *testing.F) {
	s := sealer{keys: fixtureKeys(f)}
	key, err := s.cipher(1)
	if err != nil {
		f.Fatal(err)
	}
	var builder batch.Builder
	builder.Append(batch.Record{Value: []byte("text")})
	b := builder.Finish()
	fr := frame{lsn: 4, kind: log.Data, count: 1, keyID: 1}
	genuine := make([]byte, frameSize+len(b)+sealOverhead)
	fr.putHead(genuine)
	s.seal(genuine, b, key)
	fr.putSum(genuine, 9)
	f.Add(bytes.Clone(genuine[:len(genuine)-1]))
	f.Add(bytes.Clone(genuine))
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, ok := parseFrameHead(b)
		if !ok || fr.size > len(b) {
			return
		}
		fr.putSum(b[:fr.size], 9)
		if fr, _, ok = parseFrame(b, 9); !ok || fr.keyID == 0 {
			return
		}
		sealed := bytes.Clone(b[:fr.size])
		if _, err := s.open(b[:fr.size], fr.keyID); err == nil && !bytes.Equal(sealed, genuine) {
			t.Fatalf("%x opens", sealed)
		}
	})
}

// TestAppendAllocates holds the hot path to its one object per append.
func TestAppendAllocates(t *testing.T) {
	t.Run("plain", func(t *testing.T) { appendAllocates(t, 0) })
	t.Run("encrypted", func(t *testing.T) { appendAllocates(t, 1) })
}

func appendAllocates(t *testing.T, key uint32) {
	l, err := Open(context.Background(), Options{
		FS: vfs.NewEphemeral(), Dir: "/d", Clock: clock.NewManual(time.Unix(1e9, 0)), Manual: true, Keys: fixtureKeys(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	id := log.PartitionID{Stream: 1}
	create := log.Entry{Kind: log.Create, Partition: id, Config: log.Config{KeyID: key}}
	if _, err := log.Do(l, log.Request{Entries: []log.Entry{create}}); err != nil {
		t.Fatal(err)
	}
	var builder batch.Builder
	builder.Append(batch.Record{Value: make([]byte, 1000)})
	b := builder.Finish()
	req := log.Request{Entries: []log.Entry{{Partition: id, Batch: b}}}
	ok := true
	done := func(rs []log.Result) { ok = ok && rs[0].Err == nil }
	if n := testing.AllocsPerRun(1000, func() { l.Append(req, done) }); n > 5 || !ok {
		t.Errorf("%.1f allocations for an append, accepted %v", n, ok)
	}
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}
