package streams_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/streams"
)

// running runs the service until the test ends.
func (w *world) running() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func(svc *streams.Service) { done <- svc.Run(ctx) }(w.svc)
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// gone waits until a partition is deleted, and the catalog shows it.
func (w *world) gone(p log.PartitionID) {
	w.t.Helper()
	for {
		info, err := w.log.Info(p)
		if errors.Is(err, log.ErrNotFound) {
			break
		}
		waiter := w.log.Watch([]log.Position{{Partition: p, Offset: info.End}}, 1)
		<-waiter.C
		waiter.Stop()
	}
	// An update begins when the one under way is done.
	if err := w.opts.Catalog.Update(context.Background(), func(*catalog.Tx) error { return nil }); err != nil {
		w.t.Fatal(err)
	}
}

// A closed shard can be listed and read for the retention, is out of sight after
// it, and is gone with its partition once the last iterator has expired. Its
// children still name it.
func TestClosedShardsExpire(t *testing.T) {
	budget := limits.NewBudget(64 << 10) // half of it is eight shards
	w := newWorld(t, func(o *streams.Options) { o.Memory = budget })
	ctx := context.Background()
	r := w.create("s", 1)
	w.put(r, rec{key: "k", data: "0"})
	w.clock.Advance(time.Hour)
	if err := w.svc.Split(ctx, scope, "s", "0", ids.Range{End: ids.MaxHash}.Middle().String()); err != nil {
		t.Fatal(err)
	}
	w.put(w.lookup("s"), rec{key: "k", data: "1"})
	w.clock.Advance(time.Hour)
	if err := w.svc.Merge(ctx, scope, "s", "1", "2"); err != nil {
		t.Fatal(err)
	}
	w.running()
	listed := func() (out []int) {
		page, _, _ := w.svc.Shards(w.lookup("s"), streams.Listing{After: -1}, 100)
		for _, sh := range page {
			out = append(out, int(sh.Number))
		}
		return out
	}
	check := func(want ...int) {
		t.Helper()
		if got := listed(); len(got) != len(want) || got[0] != want[0] {
			t.Fatalf("listed %v, want %v", got, want)
		}
	}
	w.clock.AwaitTimers(1)
	w.clock.Set(start.Add(25 * time.Hour)) // a day after the split
	check(0, 1, 2, 3)
	late := w.at(w.lookup("s"), 0, streams.StartingAt{Type: streams.Latest})
	w.clock.Advance(time.Millisecond)
	check(1, 2, 3)
	if _, _, err := w.svc.Shard(scope, "s", "0"); errs.KindOf(err) != errs.NotFound {
		t.Fatalf("an iterator for an expired shard: %v", err)
	}
	page, err := w.svc.Get(late, 1)
	if err != nil || page.Next() || !page.Ended() {
		t.Fatal("the end is not to be found by an iterator from before", err)
	}
	page.Close()
	w.clock.Advance(streams.IteratorLife)
	w.gone(r.Stream.PartitionOf(0))
	r = w.lookup("s")
	if first := r.Stream.Shards[0]; first.Number != 1 || len(first.Parents) != 1 || first.Parents[0] != 0 {
		t.Fatalf("%+v", first)
	}
	if _, err := w.svc.OpenIterator(scope, w.svc.AppendIterator(nil, late)); errs.KindOf(err) != errs.NotFound {
		t.Fatalf("iterator of a removed shard: %v", err)
	}
	if _, err := w.svc.Get(late, 1); errs.KindOf(err) != errs.NotFound {
		t.Fatalf("removed shard: %v", err)
	}
	w.clock.AwaitTimers(1)
	w.clock.Set(start.Add(27 * time.Hour))
	w.gone(r.Stream.PartitionOf(1))
	w.gone(r.Stream.PartitionOf(2))
	check(3)
	w.reopen()
	check(3)
	// Memory for seven shards is there again.
	if _, err := w.svc.Scale(ctx, scope, "s", 2); err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.Scale(ctx, scope, "s", 4); err != nil {
		t.Fatal(err)
	}
}

// A longer retention brings no closed shard back; a shorter one removes it at once.
func TestRetentionOfClosedShards(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	r := w.create("s", 1)
	if err := w.svc.SetRetention(ctx, scope, "s", 48, true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.Scale(ctx, scope, "s", 2); err != nil {
		t.Fatal(err)
	}
	w.running()
	w.clock.AwaitTimers(1)
	w.clock.Set(start.Add(30 * time.Hour))
	if _, _, err := w.svc.Shard(scope, "s", "0"); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.SetRetention(ctx, scope, "s", 24, false); err != nil {
		t.Fatal(err)
	}
	w.gone(r.Stream.PartitionOf(0))
	if _, _, err := w.svc.Shard(scope, "s", "0"); errs.KindOf(err) != errs.NotFound {
		t.Fatal(err)
	}
}
