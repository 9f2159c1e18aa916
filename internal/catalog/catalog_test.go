package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

var scope = catalog.Scope{Account: "000000000000", Region: "us-east-1"}

func newLog(t *testing.T) log.Log {
	l, err := disk.Open(context.Background(), disk.Options{
		FS: vfs.NewMem(1), Dir: "data", Clock: clock.NewManual(time.Unix(1_700_000_000, 0)), Manual: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(context.Background()) })
	return l
}

func open(t *testing.T, l log.Log) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(context.Background(), l, clock.NewManual(time.Unix(1_700_000_000, 0)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func key(name string) catalog.Key {
	return catalog.Key{Kind: catalog.KindStream, Scope: scope, Name: name}
}

// resource has every member set, so that a lost one shows.
func resource(name string, number uint64) *catalog.Resource {
	return &catalog.Resource{
		Key: key(name), ARN: "arn:aws:kinesis:us-east-1:000000000000:stream/" + name, Created: 1_700_000_000_123,
		State: catalog.Creating, Until: 5, Tags: map[string]string{"a": "1", "b": ""}, Policy: "{}",
		Stream: &catalog.Stream{
			Number: number, Generation: 1, Mode: catalog.OnDemand, RetentionHours: 24, TrimBefore: 7, MaxRecordKiB: 1024,
			AutoDistribution: true, WarmMiBps: 6, Keyless: true, KeyID: "alias/k", ShardMetrics: []string{"IncomingBytes"},
			Shards: []catalog.Shard{{
				Number: 3, Range: ids.Range{Start: ids.Hash{Hi: 1}, End: ids.MaxHash}, Parents: []ids.Shard{1, 2}, Created: 9, Closed: 10,
			}},
		},
	}
}

func create(t *testing.T, c *catalog.Catalog, name string) uint64 {
	t.Helper()
	var number uint64
	err := c.Update(context.Background(), func(tx *catalog.Tx) error {
		number = tx.NewStreamNumber()
		tx.Put(resource(name, number))
		tx.Entry(log.Entry{Kind: log.Create, Partition: log.PartitionID{Stream: number}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return number
}

func TestRoundTrip(t *testing.T) {
	l := newLog(t)
	c := open(t, l)
	for i := range 3 {
		if n := create(t, c, fmt.Sprintf("s%d", i)); n != uint64(i+1) {
			t.Fatalf("number %d", n)
		}
	}
	check := func(c *catalog.Catalog) {
		t.Helper()
		want := resource("s1", 2)
		want.Version = 1
		for _, got := range []*catalog.Resource{c.Get(key("s1")), c.Stream(scope, []byte("s1")), c.StreamNumber(2)} {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatal(diff)
			}
		}
		if got := c.List(catalog.KindStream, scope); len(got) != 3 || got[0].Name != "s0" || got[2].Name != "s2" {
			t.Fatalf("list: %v", got)
		}
		if got := c.List(catalog.KindStream, catalog.Scope{Account: "1", Region: "us-east-1"}); len(got) != 0 {
			t.Fatalf("another account's list: %v", got)
		}
	}
	check(c)
	check(open(t, l))
	if err := open(t, l).Snapshot(); err != nil {
		t.Fatal(err)
	}
	check(open(t, l))
}

// A number is never used twice, and the last second of a removed name is kept,
// whatever restarts and snapshots come between.
func TestMemoryOfTheRemoved(t *testing.T) {
	l := newLog(t)
	c := open(t, l)
	create(t, c, "a")
	b := create(t, c, "b")
	err := c.Update(context.Background(), func(tx *catalog.Tx) error {
		tx.Delete(key("b"), 1234, 2000)
		tx.Entry(log.Entry{Kind: log.Delete, Partition: log.PartitionID{Stream: b}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c = open(t, l)
		err = c.Update(context.Background(), func(tx *catalog.Tx) error {
			if tx.Get(key("b")) != nil || c.StreamNumber(b) != nil {
				t.Error("b is still there")
			}
			if n := tx.NewStreamNumber(); n != b+1 {
				t.Errorf("number %d after %d", n, b)
			}
			if s := tx.LastSecond(key("b")); s != 1234 {
				t.Errorf("last second %d", s)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Snapshot(); err != nil {
			t.Fatal(err)
		}
	}
}

// However many names come and go in a short time, what is kept of them is bounded,
// and no successor is made in a second that its predecessor may have used.
func TestMemoryOfManyRemoved(t *testing.T) {
	l := newLog(t)
	c := open(t, l)
	const day, rounds, each = 1_700_000_000, 50, 1000
	for i := range rounds {
		err := c.Update(context.Background(), func(tx *catalog.Tx) error {
			for n := range each {
				tx.Delete(key(fmt.Sprint(i, "-", n)), day+int64(i)-1, day+int64(i))
			}
			tx.Delete(key("ahead"), day+3600, day+int64(i)) // of the clock, by many reshardings
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if n := c.Graves(); n > 20_000 {
			t.Errorf("%d removed names are kept, of %d", n, rounds*each)
		}
		err := c.Update(context.Background(), func(tx *catalog.Tx) error {
			for i := range rounds {
				if s := tx.LastSecond(key(fmt.Sprint(i, "-", 7))); s < day+int64(i)-1 || s >= day+rounds {
					t.Errorf("round %d: last second %d", i, s-day)
				}
			}
			if s := tx.LastSecond(key("ahead")); s != day+3600 {
				t.Errorf("last second %d of a name that was ahead", s-day)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Snapshot(); err != nil {
			t.Fatal(err)
		}
		c = open(t, l)
	}
}

func TestUpdate(t *testing.T) {
	l := newLog(t)
	c := open(t, l)
	create(t, c, "a")
	before := c.Get(key("a"))
	err := c.Update(context.Background(), func(tx *catalog.Tx) error {
		r := tx.Get(key("a")).Clone()
		r.Tags["a"], r.Stream.RetentionHours, r.Stream.Shards[0].Closed = "2", 48, 11
		tx.Put(r)
		return nil
	})
	after := c.Get(key("a"))
	if err != nil || after.Version != 2 || after.Tags["a"] != "2" || after.Stream.RetentionHours != 48 {
		t.Fatalf("%v %+v", err, after)
	}
	if before.Version != 1 || before.Tags["a"] != "1" || before.Stream.RetentionHours != 24 || before.Stream.Shards[0].Closed != 10 {
		t.Fatalf("an old value changed: %+v", before)
	}
	refuse := errors.New("no")
	if err := c.Update(context.Background(), func(tx *catalog.Tx) error { tx.Delete(key("a"), 0, 0); return refuse }); err != refuse {
		t.Fatal(err)
	}
	err = c.Update(context.Background(), func(tx *catalog.Tx) error { // a partition that exists: all or nothing
		tx.Delete(key("a"), 0, 0)
		tx.Entry(log.Entry{Kind: log.Create, Partition: log.PartitionID{Stream: 1}})
		return nil
	})
	if !errors.Is(err, log.ErrExists) || c.Get(key("a")) != after {
		t.Fatalf("%v %v", err, c.Get(key("a")))
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	c := open(t, newLog(t))
	create(t, c, "a-name-longer-than-thirty-two-characters")
	name := []byte("a-name-longer-than-thirty-two-characters")
	if n := testing.AllocsPerRun(100, func() {
		if c.Stream(scope, name) == nil {
			t.Error("not found")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestConsumers keeps a stream's consumers by name, through restarts and
// snapshots, and forgets those that are removed.
func TestConsumers(t *testing.T) {
	l := newLog(t)
	c := open(t, l)
	number := create(t, c, "s")
	consumer := func(name string) *catalog.Resource {
		return &catalog.Resource{
			Key: catalog.Key{Kind: catalog.KindConsumer, Scope: scope, Name: "s/" + name}, ARN: "arn:" + name, Created: 7,
			State: catalog.Active, Consumer: &catalog.Consumer{Stream: number, Name: name},
		}
	}
	update := func(change func(tx *catalog.Tx)) {
		t.Helper()
		if err := c.Update(context.Background(), func(tx *catalog.Tx) error { change(tx); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"b", "c", "a"} {
		update(func(tx *catalog.Tx) { tx.Put(consumer(name)) })
	}
	before := c.Consumers(number)
	update(func(tx *catalog.Tx) {
		tx.Delete(consumer("b").Key, 9, 10)
		r := tx.Consumers(number)[0].Clone()
		r.Tags, r.Consumer.Name = map[string]string{"k": "v"}, "a"
		tx.Put(r)
	})
	if len(before) != 3 || before[1].Consumer.Name != "b" || before[0].Tags != nil {
		t.Errorf("an old list changed: %v", before)
	}
	for range 3 {
		got := c.Consumers(number)
		if len(got) != 2 || got[0].Consumer.Name != "a" || got[0].Tags["k"] != "v" || got[1].Consumer.Name != "c" || got[1].Created != 7 {
			t.Fatalf("consumers: %v", got)
		}
		if len(c.Consumers(number+1)) != 0 || c.Get(consumer("b").Key) != nil {
			t.Error("another stream has consumers, or b is still there")
		}
		c = open(t, l)
		if err := c.Snapshot(); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx *catalog.Tx) { tx.Delete(consumer("a").Key, 0, 0); tx.Delete(consumer("c").Key, 0, 0) })
	if got := c.Consumers(number); got != nil {
		t.Errorf("all were removed, and left %v", got)
	}
}

// What the resources take as stored is drawn on the memory, of which they can have an
// eighth: with little of it they are full long before a snapshot is.
func TestBound(t *testing.T) {
	l := newLog(t)
	c := open(t, l)
	put := func(name string, state catalog.State, policy int) error {
		return c.Update(context.Background(), func(tx *catalog.Tx) error {
			r := resource(name, 1)
			r.State, r.Policy = state, strings.Repeat("p", policy)
			tx.Put(r)
			return nil
		})
	}
	if err := put("a", catalog.Active, 1000); err != nil {
		t.Fatal(err)
	}
	budget := limits.NewBudget(1 << 20)
	c.Bound(budget)
	small := budget.Used()
	if small < 1000 || small > 3000 {
		t.Errorf("%d bytes are taken for 1,000", small)
	}
	if err := put("a", catalog.Active, 131_000); errs.KindOf(err) != errs.LimitExceeded {
		t.Errorf("beyond an eighth of the memory: %v", err)
	}
	if used := budget.Used(); used != small {
		t.Errorf("what was refused takes %d bytes", used-small)
	}
	if err := put("a", catalog.Active, 101_000); err != nil {
		t.Error(err)
	}
	if used := budget.Used(); used != small+100_000 {
		t.Errorf("%d bytes are taken for 100,000 more", used-small)
	}

	c = open(t, l)
	less := limits.NewBudget(100_000) // than there was
	c.Bound(less)
	if err := put("a", catalog.Deleting, 101_000); err != nil { // what is to go can say so
		t.Error(err)
	}
	err := c.Update(context.Background(), func(tx *catalog.Tx) error { tx.Delete(key("a"), 1, 1); return nil })
	if err != nil || less.Used() != 0 {
		t.Errorf("%v; %d bytes are taken for nothing", err, less.Used())
	}
}

// TestUpdateKeepsSnapshotsPossible fills the catalog with policies: it takes no more
// than a snapshot can have, and goes on when something was removed.
func TestUpdateKeepsSnapshotsPossible(t *testing.T) {
	l := newLog(t)
	c := open(t, l)
	put := func(i, bytes int) error {
		return c.Update(context.Background(), func(tx *catalog.Tx) error {
			r := resource(fmt.Sprint("s", i), uint64(i)+1)
			r.Policy = strings.Repeat("p", bytes)
			tx.Put(r)
			return nil
		})
	}
	const each = 2 << 20
	made := 0
	var err error
	for ; err == nil && made < 40; made++ {
		err = put(made, each)
	}
	if made--; errs.KindOf(err) != errs.LimitExceeded || made < 20 {
		t.Fatalf("after %d resources: %v", made, err)
	}
	if err := c.Snapshot(); err != nil {
		t.Fatal(err)
	}
	c = open(t, l) // what was counted is counted again
	if err := put(made, each); errs.KindOf(err) != errs.LimitExceeded {
		t.Errorf("after a restart: %v", err)
	}
	if err := put(0, each/2); err != nil { // less than there was
		t.Error(err)
	}
	if err := c.Update(context.Background(), func(tx *catalog.Tx) error { tx.Delete(key("s1"), 1, 1); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := put(made, each); err != nil {
		t.Errorf("after a removal: %v", err)
	}
}
