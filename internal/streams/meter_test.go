package streams_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/streams"
)

// metered is what the meters show, a line for each.
func (w *world) metered() string {
	var b strings.Builder
	w.svc.EachMeter(func(r *catalog.Resource, shard *catalog.Shard, m *streams.Meter) {
		name := r.Name
		if shard != nil {
			name = fmt.Sprint(name, "/", uint32(shard.Number))
		}
		fmt.Fprintf(&b, "%s in %d/%d out %d/%d throttled %d/%d age %d\n", name, m.InRecords.Load(), m.InBytes.Load(),
			m.OutRecords.Load(), m.OutBytes.Load(), m.WriteThrottled.Load(), m.ReadThrottled.Load(), m.IteratorAge.Load())
	})
	return b.String()
}

func TestMeters(t *testing.T) {
	w := newWorld(t)
	want := func(lines ...string) {
		t.Helper()
		text := ""
		for _, l := range lines {
			text += l + "\n"
		}
		if got := w.metered(); got != text {
			t.Errorf("got\n%swant\n%s", got, text)
		}
	}
	r := w.create("s", 2)
	want() // nothing has been used
	w.put(r, rec{key: "k", hash: "0", data: "one"}, rec{key: "k", hash: "0", data: "two"}, rec{key: "ab", hash: "340282366920938463463374607431768211455", data: "3"})
	want("s in 3/11 out 0/0 throttled 0/0 age 0")
	set := func(on bool) {
		t.Helper()
		if _, _, err := w.svc.SetMonitoring(context.Background(), scope, "s", []string{"ALL"}, on); err != nil {
			t.Fatal(err)
		}
		r = w.lookup("s")
	}
	set(true) // counted before it was on, too
	want("s in 3/11 out 0/0 throttled 0/0 age 0", "s/0 in 2/8 out 0/0 throttled 0/0 age 0", "s/1 in 1/3 out 0/0 throttled 0/0 age 0")
	w.clock.Advance(3 * time.Second)
	_, pos, _ := w.get(w.at(r, 0, streams.StartingAt{Type: streams.TrimHorizon}), 1)
	want("s in 3/11 out 1/4 throttled 0/0 age 0", "s/0 in 2/8 out 1/4 throttled 0/0 age 3000", "s/1 in 1/3 out 0/0 throttled 0/0 age 0")
	w.get(pos, 10)
	want("s in 3/11 out 2/8 throttled 0/0 age 0", "s/0 in 2/8 out 2/8 throttled 0/0 age 0", "s/1 in 1/3 out 0/0 throttled 0/0 age 0")
	set(false)
	want("s in 3/11 out 2/8 throttled 0/0 age 0")

	// A stream of the same name begins anew, and what is gone leaves nothing.
	if err := w.svc.Delete(context.Background(), scope, "s"); err != nil {
		t.Fatal(err)
	}
	want()
	r = w.create("s", 1)
	w.put(r, rec{key: "k", data: ""})
	want("s in 1/1 out 0/0 throttled 0/0 age 0")
}

func TestMetersCountRefusals(t *testing.T) {
	refusing := &refusingLog{err: log.ErrOverloaded}
	w := newWorld(t)
	refusing.Log = w.log
	w.opts.Log = refusing
	var err error
	if w.svc, err = streams.New(w.opts); err != nil {
		t.Fatal(err)
	}
	r := w.create("s", 1)
	for _, refusal := range []error{log.ErrOverloaded, log.ErrNoSpace} {
		refusing.err = refusal
		p := w.svc.NewPut(r)
		for range 2 {
			if _, err := p.Add([]byte("k"), nil, 0); err != nil {
				t.Fatal(err)
			}
		}
		p.Commit()
		p.Release()
	}
	if got := w.metered(); got != "s in 0/0 out 0/0 throttled 2/0 age 0\n" {
		t.Error(got)
	}
}

// What the limits refuse is counted beside what they let through.
func TestMetersUnderLimits(t *testing.T) {
	w := newWorld(t, func(o *streams.Options) { o.Limits = limits.AWS })
	r := w.create("s", 1)
	p := w.svc.NewPut(r)
	for range 1003 {
		dst, err := p.Add([]byte("k"), nil, 2)
		if err != nil {
			t.Fatal(err)
		}
		copy(dst, "ab")
	}
	p.Commit()
	p.Release()
	pos := w.at(r, 0, streams.StartingAt{Type: streams.TrimHorizon})
	for range 7 {
		if page, err := w.svc.GetRecords(pos, 1); err == nil {
			for page.Next() {
			}
			page.Close()
		}
	}
	if got := w.metered(); got != "s in 1000/3000 out 5/15 throttled 3/2 age 0\n" {
		t.Error(got)
	}
}

// What is pushed counts once for each consumer, whoever made the event.
func TestMetersCountPushes(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	w.put(r, rec{key: "k", data: "one"}, rec{key: "k", data: "two"})
	for i := range 3 {
		name := fmt.Sprint("c", i)
		w.consumer(name)
		sub := w.subscribe(name, fromStart)
		if e := next(t, sub); len(e.records) != 2 {
			t.Fatalf("%d records", len(e.records))
		}
		sub.Close()
	}
	if got := w.metered(); got != "s in 2/8 out 6/24 throttled 0/0 age 0\n" {
		t.Error(got)
	}
}

// TestMetersOutliveLateRequests has a request that looked at its stream before it was
// split take its way after: what is put to the new shards goes on being counted.
func TestMetersOutliveLateRequests(t *testing.T) {
	w := newWorld(t)
	w.create("s", 1)
	if _, _, err := w.svc.SetMonitoring(context.Background(), scope, "s", []string{"ALL"}, true); err != nil {
		t.Fatal(err)
	}
	late := w.lookup("s")
	w.clock.Advance(3 * time.Second)
	if err := w.svc.Split(context.Background(), scope, "s", "shardId-000000000000", "5"); err != nil {
		t.Fatal(err)
	}
	r := w.lookup("s")
	w.put(r, rec{key: "k", hash: "9", data: "one"})
	w.put(late, rec{key: "k", hash: "9", data: "two"})
	w.put(r, rec{key: "k", hash: "9", data: "six"})
	if got, want := w.metered(), "s in 3/12 out 0/0 throttled 0/0 age 0\ns/0 in 0/0 out 0/0 throttled 0/0 age 0\n"+
		"s/1 in 0/0 out 0/0 throttled 0/0 age 0\ns/2 in 3/12 out 0/0 throttled 0/0 age 0\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
