package streams_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/ids"
	"thalweg/internal/log/disk"
	"thalweg/internal/streams"
	"thalweg/internal/vfs"
)

var crashes = flag.Int("streams.crashes", 1000, "crash points to try")

// ledger is what a client was told.
type ledger struct {
	streams map[string]bool   // true: made; false: deleted
	records map[string][]seen // by stream, in the order put, all of one key
	shards  map[string]int    // by stream, closed ones included
	doubt   map[string]bool   // named by the call under way when the power went
	// sizes are the bounds of records that were set, by stream: the last that was
	// acknowledged, and the last asked for. So is the account's commitment.
	sizes     map[string][2]int
	committed bool
}

// TestCrash cuts the power at call after call of a script that makes, fills,
// redraws and deletes streams, and outlives shards. Every stream acknowledged is there with all its
// partitions and shards, of which every closed one is sealed and has its
// children, and with every record at its sequence number, in order; every stream
// whose deletion was acknowledged is gone with all of them.
func TestCrash(t *testing.T) {
	total, _ := crashScript(t, vfs.NewMem(0))
	every := max(1, total / *crashes)
	for at := 1; at < total; at += every {
		fs := vfs.NewMem(uint64(at))
		fs.Inject(func(op vfs.Op) error {
			if op.N == at {
				return vfs.ErrPowerCut
			}
			return nil
		})
		_, told := crashScript(t, fs)
		checkAfterCrash(t, at, fs.Crash(uint64(at)), told)
	}
}

func crashWorld(t *testing.T, fs *vfs.Mem) (*world, error) {
	w := &world{t: t, fs: fs, clock: clock.NewManual(start)}
	var err error
	w.log, err = disk.Open(context.Background(), disk.Options{
		FS: fs, Dir: "data", Clock: w.clock, Manual: true, WALFileBytes: 64 << 10, TailBytes: 128 << 10, FlushBytes: 4 << 10, Keys: keystore(),
	})
	if err != nil {
		return nil, err
	}
	cat, err := catalog.Open(context.Background(), w.log, w.clock)
	if err != nil {
		return nil, err
	}
	w.svc, err = streams.New(streams.Options{Log: w.log, Catalog: cat, Clock: w.clock, Keys: fixedKeys{}})
	return w, err
}

// crashScript runs until something fails, and returns the number of calls to the
// file system and what was acknowledged.
func crashScript(t *testing.T, fs *vfs.Mem) (int, *ledger) {
	told := &ledger{streams: map[string]bool{}, records: map[string][]seen{}, shards: map[string]int{}, doubt: map[string]bool{},
		sizes: map[string][2]int{}}
	w, err := crashWorld(t, fs)
	if err != nil {
		return fs.Calls(), told
	}
	defer w.log.Close(context.Background())
	ctx := context.Background()
	if _, err := w.svc.SetCommitment(ctx, scope, true); err != nil {
		return fs.Calls(), told
	}
	told.committed = true
	for i := range 12 {
		name := fmt.Sprintf("s%d", i%5)
		told.doubt[name] = true
		if told.streams[name] {
			if w.svc.Delete(ctx, scope, name) != nil {
				break
			}
			told.streams[name], told.records[name] = false, nil
		}
		if w.svc.Create(ctx, streams.NewStream{Scope: scope, Name: name, Mode: catalog.Provisioned, Shards: 1 + i%3}) != nil {
			break
		}
		told.streams[name], told.shards[name] = true, 1+i%3
		told.sizes[name] = [2]int{streams.DefaultMaxRecordKiB, streams.DefaultMaxRecordKiB}
		delete(told.doubt, name)
		if i%2 == 0 && w.encrypt(name, fmt.Sprint("key/", i%4)) != nil {
			break
		}
		for j := range 6 {
			if j == 3 && i%3 == 0 && w.decrypt(name) != nil {
				return fs.Calls(), told
			}
			if j == 2 && !told.resize(w, name, streams.DefaultMaxRecordKiB+1+i) {
				return fs.Calls(), told
			}
			if !told.put(w, name, fmt.Sprintf("%d.%d", i, j)) || j%2 == 0 && !told.reshard(w, name, i+j) {
				return fs.Calls(), told
			}
		}
		if i%4 == 3 && w.log.Step() != nil || i == 9 && !told.expire(w, name) {
			break
		}
	}
	return fs.Calls(), told
}

// expire lets a stream's records and closed shards outlive their time.
func (l *ledger) expire(w *world, name string) bool {
	w.clock.Advance(25 * time.Hour)
	clear(l.records) // of every stream
	r := w.lookup(name)
	l.shards[name] = streams.OpenShards(r)
	return w.svc.DropShards(context.Background(), r.Key) == nil && len(w.lookup(name).Stream.Shards) == l.shards[name]
}

// put puts one record and notes it when it was acknowledged.
func (l *ledger) put(w *world, name, data string) bool {
	r, err := w.svc.Lookup(scope, name)
	if err != nil {
		return false
	}
	p := w.svc.NewPut(r)
	defer p.Release()
	dst, err := p.Add([]byte("key"), nil, len(data))
	if err != nil {
		return false
	}
	copy(dst, data)
	p.Commit()
	at, err := p.Result(0)
	if err != nil {
		return false
	}
	l.records[name] = append(l.records[name], seen{seq: at.Sequence.String(), key: "key", data: data})
	return true
}

// resize sets how large a stream's records may be, and its policy to the same.
func (l *ledger) resize(w *world, name string, kib int) bool {
	ctx := context.Background()
	l.sizes[name] = [2]int{l.sizes[name][0], kib}
	if w.svc.SetMaxRecord(ctx, scope, name, kib) != nil || w.svc.SetPolicy(ctx, scope, name, policyOf(kib)) != nil {
		return false
	}
	l.sizes[name] = [2]int{kib, kib}
	return true
}

// policyOf is what stands for a policy beside a bound of records: none at first.
func policyOf(kib int) string {
	if kib == streams.DefaultMaxRecordKiB {
		return ""
	}
	return fmt.Sprint(kib)
}

// reshard redraws a stream in one of three ways, and notes how many shards it has
// when that was acknowledged.
func (l *ledger) reshard(w *world, name string, way int) bool {
	var open []catalog.Shard
	for _, sh := range w.lookup(name).Stream.Shards {
		if sh.Open() {
			open = append(open, sh)
		}
	}
	slices.SortFunc(open, func(a, b catalog.Shard) int { return a.Range.Start.Compare(b.Range.Start) })
	var err error
	switch ctx := context.Background(); {
	case way%3 == 0 && len(open) > 1:
		err = w.svc.Merge(ctx, scope, name, open[0].Number.String(), open[1].Number.String())
	case way%3 == 1:
		_, err = w.svc.Scale(ctx, scope, name, len(open)+1)
	default:
		err = w.svc.Split(ctx, scope, name, open[0].Number.String(), open[0].Range.Middle().String())
	}
	if err == nil {
		l.shards[name] = len(w.lookup(name).Stream.Shards)
	}
	return err == nil
}

func checkAfterCrash(t *testing.T, at int, fs *vfs.Mem, told *ledger) {
	t.Helper()
	w, err := crashWorld(t, fs)
	if err != nil {
		t.Fatalf("crash at call %d: open: %v", at, err)
	}
	defer w.log.Close(context.Background())
	if told.committed && !w.svc.Commitment(scope).Active() {
		t.Fatalf("crash at call %d: the account's commitment is gone", at)
	}
	partitions := 1 // the catalog's
	all, _ := w.svc.List(scope, "", 100)
	for _, r := range all {
		partitions += len(r.Stream.Shards)
		if _, known := told.streams[r.Name]; !known && !told.doubt[r.Name] {
			t.Fatalf("crash at call %d: stream %s came from nowhere", at, r.Name)
		}
	}
	if got := len(w.log.Partitions()); got != partitions {
		t.Fatalf("crash at call %d: %d partitions for %d of streams", at, got, partitions)
	}
	for name, exists := range told.streams {
		r, err := w.svc.Lookup(scope, name)
		if told.doubt[name] && err != nil {
			continue
		}
		if (err == nil) != exists && !told.doubt[name] {
			t.Fatalf("crash at call %d: stream %s: %v", at, name, err)
		}
		if err != nil {
			continue
		}
		size := told.sizes[name]
		if kib := r.Stream.MaxRecordKiB; !told.doubt[name] && (kib != size[0] && kib != size[1] ||
			r.Policy != policyOf(size[0]) && r.Policy != policyOf(size[1])) {
			t.Fatalf("crash at call %d: stream %s takes %d KiB and has policy %q of %d", at, name, kib, r.Policy, size)
		}
		w.keyOf(r) // the catalog and the log agree
		shards := r.Stream.Shards
		if !told.doubt[name] && len(shards) < told.shards[name] {
			t.Fatalf("crash at call %d: stream %s has %d of %d shards", at, name, len(shards), told.shards[name])
		}
		initial := 0
		for i := range shards {
			if len(shards[i].Parents) == 0 {
				initial++
			}
			info, err := w.log.Info(r.Stream.PartitionOf(shards[i].Number))
			if err != nil || info.Sealed == shards[i].Open() {
				t.Fatalf("crash at call %d: stream %s: %+v, its partition %+v, %v", at, name, shards[i], info, err)
			}
		}
		if initial > 0 { // else the first shards are past their time
			checkLineage(t, shards, initial)
		} else {
			var open []ids.Range
			for i := range shards {
				if !shards[i].Open() {
					t.Fatalf("crash at call %d: %+v outlived shards before it", at, shards[i])
				}
				open = append(open, shards[i].Range)
			}
			if joined(open) != (ids.Range{End: ids.MaxHash}) {
				t.Fatalf("crash at call %d: open are %v", at, open)
			}
		}
		acked := map[string]string{}
		for _, rec := range told.records[name] {
			acked[rec.seq] = rec.data
		}
		var found []seen
		for i := range shards {
			list, _, _ := w.get(w.at(r, int(shards[i].Number), streams.StartingAt{Type: streams.TrimHorizon}), 100)
			for _, rec := range list {
				if acked[rec.seq] == rec.data {
					found = append(found, rec)
				}
			}
		}
		if !told.doubt[name] && datas(found) != datas(told.records[name]) {
			t.Fatalf("crash at call %d: stream %s has %s of %s", at, name, datas(found), datas(told.records[name]))
		}
		if t.Failed() {
			t.Fatalf("crash at call %d", at)
		}
	}
}
