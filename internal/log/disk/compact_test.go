package disk_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

// eager is a compaction for which a pass is always due.
func eager(tombstones time.Duration) log.Config {
	return log.Config{Compaction: log.Compaction{On: true, Tombstones: tombstones}}
}

// kv makes a batch of records "key=value", or "key" for a tombstone.
func kv(pairs ...string) []byte {
	var b batch.Builder
	for _, p := range pairs {
		k, v, ok := cut(p)
		r := batch.Record{Timestamp: start.UnixMilli(), Key: []byte(k)}
		if ok {
			r.Value = []byte(v)
		}
		b.Append(r)
	}
	return b.Finish()
}

func cut(pair string) (k, v string, ok bool) {
	for i := range len(pair) {
		if pair[i] == '=' {
			return pair[:i], pair[i+1:], true
		}
	}
	return pair, "", false
}

// records lists what a reader of everything is given, as "offset key=value".
func records(t testing.TB, l log.Log, p log.PartitionID) []string {
	t.Helper()
	var out []string
	for _, b := range readAll(t, l, p, 400) {
		h, err := batch.ParseHeader(b.Bytes)
		if err != nil || !batch.CheckCRC(b.Bytes, h) || h.BaseOffset != b.Base || h.LastOffsetDelta+1 != b.Count {
			t.Fatalf("batch at %d is not what it says: %+v, %v", b.Base, h, err)
		}
		if h.Attributes&batch.Control != 0 {
			out = append(out, fmt.Sprintf("%d marker of %d", b.Base, h.ProducerID))
			continue
		}
		it, err := batch.Records(b.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		for it.Next() {
			r := it.Record()
			s := fmt.Sprintf("%d %s", r.Offset, r.Key)
			if r.Value != nil {
				s += "=" + string(r.Value)
			}
			out = append(out, s)
		}
	}
	return out
}

func compacted(t testing.TB, l *disk.Log) {
	t.Helper()
	if err := l.Compact(); err != nil {
		t.Fatal(err)
	}
}

func wantRecords(t testing.TB, l log.Log, want ...string) {
	t.Helper()
	if got := records(t, l, pid(1)); !slices.Equal(got, want) {
		t.Errorf("records:\n got %v\nwant %v", got, want)
	}
}

// TestCompactionKeepsTheLastOfEveryKey goes through compaction, tombstones, a
// checkpoint and a restart, with and without encryption.
func TestCompactionKeepsTheLastOfEveryKey(t *testing.T) {
	for _, key := range []uint32{0, 7} {
		c := clock.NewManual(start)
		fsys := vfs.NewMem(1)
		keys := keystore(t)
		change := func(o *disk.Options) { o.Clock, o.Keys = c, keys }
		l := open(t, fsys, change)
		cfg := eager(time.Hour)
		cfg.KeyID = key
		must(t, l, create(pid(1), cfg))
		must(t, l, data(pid(1), kv("a=1", "b=1", "c=1")))
		must(t, l, data(pid(1), kv("a=2")))
		must(t, l, data(pid(1), kv("b", "d=1")))
		must(t, l, data(pid(1), kv("a=3", "e=1")))
		compacted(t, l)
		want := []string{"2 c=1", "4 b", "5 d=1", "6 a=3", "7 e=1"}
		wantRecords(t, l, want...)
		if st := l.Stats(); st.Compactions != 1 || st.Compacted != 3 {
			t.Errorf("stats: %+v", st)
		}
		before := l.Stats().Compactions
		compacted(t, l)
		if l.Stats().Compactions != before {
			t.Error("compacted again although nothing came")
		}
		verified := func() {
			t.Helper()
			closeLog(t, l)
			r, err := disk.Verify(fsys, "/d", keys)
			if err != nil || !r.OK() || r.Encrypted != r.Decrypted || (r.Encrypted > 0) != (key > 0) {
				t.Fatalf("verify: %+v, %v", r, err)
			}
			l = open(t, fsys, change)
		}
		verified()
		wantRecords(t, l, want...)
		c.Advance(2 * time.Hour)
		must(t, l, data(pid(1), kv("d=2", "f=1")))
		compacted(t, l)
		want = []string{"2 c=1", "6 a=3", "7 e=1", "8 d=2", "9 f=1"}
		wantRecords(t, l, want...)
		verified()
		wantRecords(t, l, want...)
		for _, at := range []int64{0, 1, 3, 4, 5} { // gaps lead to what comes after
			b, err := l.Read(pid(1), at, 1, log.Uncommitted)
			if err != nil || len(b.List) != 1 || b.List[0].Base+int64(b.List[0].Count) <= at {
				t.Errorf("read at %d: %+v, %v", at, b.List, err)
			}
			b.Release()
		}
		closeLog(t, l)
	}
}

// TestCompactionIsOfWhatIsOldAndStable wants nothing touched within the lag, or at
// and after an open transaction.
func TestCompactionIsOfWhatIsOldAndStable(t *testing.T) {
	c := clock.NewManual(start)
	l := open(t, vfs.NewMem(1), func(o *disk.Options) { o.Clock = c })
	defer closeLog(t, l)
	cfg := eager(0)
	cfg.Compaction.MinLag = time.Minute
	must(t, l, create(pid(1), cfg))
	must(t, l, data(pid(1), kv("a=1")))
	must(t, l, data(pid(1), kv("a=2")))
	compacted(t, l)
	wantRecords(t, l, "0 a=1", "1 a=2")
	c.Advance(time.Minute)
	must(t, l, data(pid(1), kv("a=3")))
	compacted(t, l)
	wantRecords(t, l, "1 a=2", "2 a=3") // a=3 is not known of yet
	c.Advance(time.Minute)
	must(t, l, data(pid(1), signed(kv("b=1"), 5, 0, batch.Transactional)))
	must(t, l, data(pid(1), kv("a=4")))
	c.Advance(time.Minute)
	compacted(t, l)
	wantRecords(t, l, "2 a=3", "3 b=1", "4 a=4")
	must(t, l, data(pid(1), marker(5, 0, true)))
	must(t, l, data(pid(1), kv("b=2")))
	c.Advance(time.Minute)
	compacted(t, l)
	wantRecords(t, l, "4 a=4", "5 marker of 5", "6 b=2")
}

// TestCompactionOfTransactions wants aborted records gone, markers after them, and
// then what tells readers of them.
func TestCompactionOfTransactions(t *testing.T) {
	c := clock.NewManual(start)
	fsys := vfs.NewMem(1)
	l := open(t, fsys, func(o *disk.Options) { o.Clock = c })
	must(t, l, create(pid(1), eager(time.Hour)))
	must(t, l, data(pid(1), kv("a=1")))
	must(t, l, data(pid(1), signed(kv("a=2", "b=2"), 5, 0, batch.Transactional)))
	must(t, l, data(pid(1), marker(5, 0, false)))
	must(t, l, data(pid(1), signed(kv("c=3"), 5, 2, batch.Transactional)))
	must(t, l, data(pid(1), marker(5, 0, true)))
	aborted := func() []log.AbortedTxn {
		t.Helper()
		b, err := l.Read(pid(1), 0, 1<<20, log.Committed)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Release()
		return b.Aborted
	}
	again := func(n string) {
		t.Helper()
		must(t, l, data(pid(1), kv("x="+n)))
		compacted(t, l)
	}
	again("1")
	wantRecords(t, l, "0 a=1", "3 marker of 5", "4 c=3", "5 marker of 5", "6 x=1")
	if a := aborted(); len(a) != 1 {
		t.Errorf("aborted: %v", a)
	}
	again("2") // now the marker's time begins
	c.Advance(2 * time.Hour)
	again("3")
	wantRecords(t, l, "0 a=1", "4 c=3", "5 marker of 5", "8 x=3")
	if a := aborted(); len(a) != 0 {
		t.Errorf("the marker is gone, but a reader would wait for it: %v", a)
	}
	closeLog(t, l)
	l = open(t, fsys, func(o *disk.Options) { o.Clock = c })
	if a := aborted(); len(a) != 0 {
		t.Errorf("after a restart: %v", a)
	}
	must(t, l, data(pid(1), kv("c=4")))
	again("4")
	again("5")
	c.Advance(2 * time.Hour)
	again("6")
	wantRecords(t, l, "0 a=1", "9 c=4", "12 x=6")
	if r := must(t, l, data(pid(1), signed(kv("c=3"), 5, 2, batch.Transactional)))[0]; !r.Duplicate || r.Offset != 4 {
		t.Errorf("a batch that is gone, sent again: %+v", r)
	}
	closeLog(t, l)
}

// TestCompactionOfMoreKeysThanItKnows takes several passes.
func TestCompactionOfMoreKeysThanItKnows(t *testing.T) {
	l := open(t, vfs.NewMem(1), func(o *disk.Options) { o.CompactMemory = 24 * 20 })
	defer closeLog(t, l)
	must(t, l, create(pid(1), eager(time.Hour)))
	want := map[string]string{}
	for i := range 600 {
		k, v := fmt.Sprintf("key%d", i*i%97), fmt.Sprintf("%0100d", i)
		must(t, l, data(pid(1), kv(k+"="+v, "every="+v)))
		want[k], want["every"] = v, v
	}
	for range 100 {
		compacted(t, l)
	}
	got := map[string]string{}
	n := 0
	for _, r := range records(t, l, pid(1)) {
		n++
		k, v, _ := cut(r)
		var at int64
		var name string
		if _, err := fmt.Sscanf(k, "%d %s", &at, &name); err != nil {
			t.Fatal(err)
		}
		got[name] = v
	}
	if !maps.Equal(got, want) || n > len(want)+10 {
		t.Errorf("%d records, %d keys, want %d", n, len(got), len(want))
	}
}

// TestCompactionBesideReaders compacts all the time while others append, in
// transactions too, and read: every reader finds the last of each key that was
// acknowledged before it began, or a later one, and nothing that was aborted.
func TestCompactionBesideReaders(t *testing.T) {
	l := open(t, vfs.NewMem(1), func(o *disk.Options) {
		o.Manual, o.Clock, o.CompactEvery, o.RetentionEvery = false, clock.System(), time.Millisecond, time.Millisecond
	})
	defer closeLog(t, l)
	must(t, l, create(pid(1), eager(0)))
	const keys, rounds = 20, 1500
	var acked [keys]atomic.Int64
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		seq := int32(0)
		for i := int64(1); i <= rounds; i++ {
			k := i * i % keys
			b := kv(fmt.Sprintf("k%d=%d", k, i))
			if i%3 == 0 {
				bad := signed(kv(fmt.Sprintf("k%d=%d", k, -i), fmt.Sprintf("k%d=%d", (k+1)%keys, -i)), 5, seq, batch.Transactional)
				seq += 2
				must(t, l, data(pid(1), bad))
				must(t, l, data(pid(1), marker(5, 0, false)))
			}
			if i%4 == 0 {
				b = signed(b, 5, seq, batch.Transactional)
				seq++
			}
			must(t, l, data(pid(1), b))
			if i%4 == 0 {
				must(t, l, data(pid(1), marker(5, 0, true)))
			}
			acked[k].Store(i)
		}
	})
	for range 2 {
		wg.Go(func() {
			for last := false; !last; {
				select {
				case <-done:
					last = true
				default:
				}
				var want [keys]int64
				for k := range want {
					want[k] = acked[k].Load()
				}
				got, err := table(l)
				if err != nil {
					t.Error(err)
					return
				}
				for k, w := range want {
					if g := got[fmt.Sprint("k", k)]; g < w {
						t.Errorf("key %d is %d, acknowledged was %d", k, g, w)
					}
				}
			}
		})
	}
	wg.Wait()
	if st := l.Stats(); st.Compactions == 0 || st.Compacted == 0 {
		t.Errorf("stats: %+v", st)
	}
}

// table reads partition 1 as a reader of what is committed does, until there is no
// more: what it passes by may have gone for something that came meanwhile. Within
// one read it leaves out a producer's batches from the first offset that it is told
// to the next marker.
func table(l log.Log) (map[string]int64, error) {
	out := map[string]int64{}
	in, err := l.Info(pid(1))
	if err != nil {
		return nil, err
	}
	for at := in.Start; ; {
		if in, err = l.Info(pid(1)); err != nil || at >= in.Stable {
			return out, err
		}
		b, err := l.Read(pid(1), at, 4000, log.Committed)
		if err != nil {
			return nil, err
		}
		if len(b.List) == 0 {
			b.Release()
			return nil, fmt.Errorf("nothing at %d, the stable offset was %d", at, in.Stable)
		}
		aborting := map[int64]bool{}
		aborted := b.Aborted
		for _, x := range b.List {
			if x.Base+int64(x.Count) <= at {
				return nil, fmt.Errorf("batch at %d after %d", x.Base, at)
			}
			at = x.Base + int64(x.Count)
			for len(aborted) > 0 && aborted[0].FirstOffset <= x.Base {
				aborting[aborted[0].ProducerID] = true
				aborted = aborted[1:]
			}
			h, err := batch.ParseHeader(x.Bytes)
			if err != nil {
				return nil, err
			}
			if h.Attributes&batch.Control != 0 {
				delete(aborting, h.ProducerID)
				continue
			}
			it, err := batch.Records(x.Bytes)
			if err != nil {
				return nil, err
			}
			for it.Next() {
				n, err := strconv.ParseInt(string(it.Record().Value), 10, 64)
				switch {
				case aborting[h.ProducerID] && h.Attributes&batch.Transactional != 0:
				case err != nil || n < 0:
					return nil, fmt.Errorf("record at %d: %d, %v", it.Record().Offset, n, err)
				default:
					out[string(it.Record().Key)] = n
				}
			}
		}
		b.Release()
	}
}

// BenchmarkCompaction compacts 64 MiB of records of 1 KiB in batches of 16, of which
// half are of keys that come again.
func BenchmarkCompaction(b *testing.B) {
	const batches, each = 4096, 16
	value := strings.Repeat("v", 1000)
	b.SetBytes(batches * each * 1024)
	for b.Loop() {
		b.StopTimer()
		l := open(b, vfs.OS{}, func(o *disk.Options) {
			*o = disk.Options{FS: o.FS, Dir: b.TempDir(), Clock: clock.System(), Manual: true, Durability: log.Written, WALFileBytes: 16 << 20}
		})
		must(b, l, create(pid(1), eager(time.Hour)))
		for i := range batches {
			pairs := make([]string, each)
			for k := range pairs {
				pairs[k] = fmt.Sprint("key", (i*each+k)%(batches*each/2), "=", value)
			}
			must(b, l, data(pid(1), kv(pairs...)))
			if i%1024 == 1023 {
				if err := l.Step(); err != nil {
					b.Fatal(err)
				}
			}
		}
		if err := l.Checkpoint(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		compacted(b, l)
		b.StopTimer()
		if st := l.Stats(); st.Compacted != batches*each/2 {
			b.Fatalf("%d records went", st.Compacted)
		}
		closeLog(b, l)
		b.StartTimer()
	}
}
