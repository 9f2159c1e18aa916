package streams_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/streams"
)

// createOnDemand makes an on-demand stream, and the service run: it looks at
// demand every ten seconds from now on.
func (w *world) createOnDemand(name string) *catalog.Resource {
	w.t.Helper()
	n := streams.NewStream{Scope: scope, Name: name, Mode: catalog.OnDemand}
	if err := w.svc.Create(context.Background(), n); err != nil {
		w.t.Fatal(err)
	}
	w.running()
	w.clock.AwaitTimers(1)
	return w.lookup(name)
}

// demand puts count records of size bytes, with keys or explicit hashes that
// follow one another, and lets ten seconds pass.
func (w *world) demand(name string, count, size int, hash func(i int) string) []int {
	w.t.Helper()
	for i := 0; i < count; {
		p := w.svc.NewPut(w.lookup(name))
		for ; i < count && p.Len() < streams.MaxPutRecords && p.Len()*size < 1<<20; i++ {
			var explicit []byte
			if hash != nil {
				explicit = []byte(hash(i))
			}
			if _, err := p.Add(fmt.Appendf(nil, "key %d", i), explicit, size); err != nil {
				w.t.Fatal(err)
			}
		}
		p.Commit()
		for i := range p.Len() {
			if _, err := p.Result(i); err != nil {
				w.t.Fatal(err)
			}
		}
		p.Release()
	}
	w.clock.Advance(10 * time.Second)
	w.clock.AwaitTimers(1) // until it has been looked at
	var open []int
	for _, sh := range w.lookup(name).Stream.Shards {
		if sh.Open() {
			open = append(open, int(sh.Number))
		}
	}
	return open
}

func (w *world) expectOpen(got []int, want ...int) {
	w.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Fatalf("open are %v, not %v", got, want)
	}
}

// A stream grows where a shard takes more than half of its records or bytes, to
// twice its shards at a time, and does not shrink.
func TestDemand(t *testing.T) {
	w := newWorld(t)
	w.createOnDemand("s")
	w.expectOpen(w.demand("s", 4*4800, 1, nil), 0, 1, 2, 3)
	w.expectOpen(w.demand("s", 4*5400, 1, nil), 4, 5, 6, 7, 8, 9, 10, 11)
	w.expectOpen(w.demand("s", 4*5400, 1, nil), 4, 5, 6, 7, 8, 9, 10, 11)
	w.expectOpen(w.demand("s", 0, 1, nil), 4, 5, 6, 7, 8, 9, 10, 11)
	w.reopen()
	checkLineage(t, w.lookup("s").Stream.Shards, 4)
}

// A clock that is set back does not keep a stream from growing until it is back.
func TestDemandAfterClockSetBack(t *testing.T) {
	w := newWorld(t)
	w.createOnDemand("s")
	w.clock.Set(start.Add(-time.Hour))
	w.expectOpen(w.demand("s", 0, 1, nil), 0, 1, 2, 3) // ten seconds from before
	w.expectOpen(w.demand("s", 4*5400, 1, nil), 4, 5, 6, 7, 8, 9, 10, 11)
}

// Only the hot shard is split, if its load lies in both halves of its range, even
// among many versions of the stream.
func TestHotShard(t *testing.T) {
	w := newWorld(t)
	w.createOnDemand("s")
	half := ids.Range{End: ids.MaxHash}.Middle().Prev()   // shard 1 ends here
	below := ids.Range{End: half}.Middle()                // and begins here
	middle := ids.Range{Start: below, End: half}.Middle() // its middle
	one := func(int) string { return below.String() }
	w.expectOpen(w.demand("s", 6000, 1, one), 0, 1, 2, 3)
	both := func(i int) string {
		if i == 3000 { // what was counted before it is counted
			if err := w.svc.Tag(context.Background(), scope, "s", map[string]string{"a": "b"}); err != nil {
				t.Fatal(err)
			}
		}
		if i%7 == 0 {
			return middle.String()
		}
		return below.String()
	}
	w.expectOpen(w.demand("s", 6000, 1, both), 0, 2, 3, 4, 5)
	if got := w.lookup("s").Stream.Shards[5].Range; got != (ids.Range{Start: middle, End: half}) {
		t.Errorf("the upper half is %v", got)
	}
}

// Bytes count as records do; the quota bounds the growth, hottest shards first;
// AUTO grows too.
func TestDemandWithinQuota(t *testing.T) {
	w := newWorld(t, func(o *streams.Options) { o.ShardQuota = func(string) int { return 6 } })
	w.createOnDemand("s")
	if err := w.svc.SetDistribution(context.Background(), scope, "s", true); err != nil {
		t.Fatal(err)
	}
	open := w.demand("s", 24, 1<<20, nil)
	if len(open) != 6 {
		t.Fatalf("open are %v", open)
	}
	open = w.demand("s", 48, 1<<20, nil)
	if len(open) != 6 {
		t.Fatalf("open are %v, beyond the quota", open)
	}
	checkLineage(t, w.lookup("s").Stream.Shards, 4)
}

// The mode changes twice in a day, with the shards as they are, and decides who
// reshards.
func TestMode(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	r := w.create("s", 2)
	w.put(r, rec{key: "k", data: "0"})
	set := func(mode catalog.StreamMode) error { return w.svc.SetMode(ctx, scope, "s", mode, 0) }
	if err := set(catalog.Provisioned); err != nil || w.lookup("s") != r {
		t.Fatal("the present mode:", err)
	}
	if err := set(catalog.OnDemand); err != nil {
		t.Fatal(err)
	}
	if got := w.lookup("s"); streams.OpenShards(got) != 2 || w.svc.Usage(scope).OnDemandStreams != 1 {
		t.Fatalf("%+v", got)
	}
	if _, err := w.svc.Scale(ctx, scope, "s", 4); errs.KindOf(err) != errs.Unsupported {
		t.Fatal(err)
	}
	if err := w.svc.SetDistribution(ctx, scope, "s", true); err != nil {
		t.Fatal(err)
	}
	if err := set(catalog.Provisioned); errs.KindOf(err) != errs.Invalid {
		t.Fatal("provisioned under AUTO:", err)
	}
	if err := w.svc.SetDistribution(ctx, scope, "s", false); err != nil {
		t.Fatal(err)
	}
	if err := set(catalog.Provisioned); err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.Scale(ctx, scope, "s", 4); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	if err := set(catalog.OnDemand); errs.KindOf(err) != errs.LimitExceeded {
		t.Fatal(err)
	}
	w.clock.Advance(24 * time.Hour)
	if err := w.svc.SetMode(ctx, scope, "s", catalog.OnDemand, 9); errs.KindOf(err) != errs.Invalid {
		t.Fatal("warm without a commitment:", err)
	}
	if _, err := w.svc.SetCommitment(ctx, scope, true); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.SetMode(ctx, scope, "s", catalog.OnDemand, 9); err != nil {
		t.Fatal(err)
	}
	if got := w.lookup("s"); streams.OpenShards(got) != 9 || got.Stream.WarmMiBps != 9 {
		t.Fatalf("%+v", got)
	}
	checkLineage(t, w.lookup("s").Stream.Shards, 2)
}

func BenchmarkAdd(b *testing.B) {
	for _, mode := range []catalog.StreamMode{catalog.Provisioned, catalog.OnDemand} {
		b.Run(string(mode), func(b *testing.B) {
			w := newWorld(b)
			n := streams.NewStream{Scope: scope, Name: "s", Mode: mode, Shards: 4}
			if err := w.svc.Create(context.Background(), n); err != nil {
				b.Fatal(err)
			}
			r := w.lookup("s")
			key := []byte("some partition key")
			for b.Loop() {
				p := w.svc.NewPut(r)
				for range 500 {
					if _, err := p.Add(key, nil, 100); err != nil {
						b.Fatal(err)
					}
				}
				p.Release()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/record")
		})
	}
}
