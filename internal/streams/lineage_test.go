package streams_test

import (
	"context"
	"testing"

	"thalweg/internal/errs"
	"thalweg/internal/streams"
)

// The end of a closed shard is told by the page that comes to it, from whatever
// start, and by no page before; the tip of an open shard is no end.
func TestEnded(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	w.put(r, rec{key: "k", data: "0"}, rec{key: "k", data: "1"})
	old := w.at(r, 0, streams.StartingAt{Type: streams.TrimHorizon})
	ended := func(pos streams.Position, limit int) bool {
		t.Helper()
		page, err := w.svc.Get(pos, limit)
		if err != nil {
			t.Fatal(err)
		}
		defer page.Close()
		for page.Next() {
		}
		return page.Ended()
	}
	if ended(old, 10) {
		t.Error("an open shard ended")
	}
	if err := w.svc.Split(context.Background(), scope, "s", "0", "5"); err != nil {
		t.Fatal(err)
	}
	next := w.lookup("s")
	if ended(old, 10) {
		t.Error("a shard ended by the word of an older version, without its children")
	}
	pos, err := w.svc.Current(context.Background(), old)
	if err != nil || pos.Stream != next {
		t.Fatal(pos, err)
	}
	if ended(pos, 1) {
		t.Error("ended with a record to come")
	}
	if !ended(pos, 2) || !ended(pos, 10) {
		t.Error("not ended with the last record")
	}
	for _, at := range []streams.StartingAt{
		{Type: streams.Latest}, {Type: streams.AtTimestamp, Time: start.UnixMilli() + 1, HasTime: true},
		{Type: streams.AfterSequenceNumber, Sequence: streams.EndOf(&next.Stream.Shards[0]).String()},
	} {
		w.clock.Set(start.Add(5e9))
		if !ended(w.at(next, 0, at), 1) {
			t.Errorf("not ended from %v", at.Type)
		}
	}
	if got := streams.Children(next, 0); len(got) != 2 || got[0].Number != 1 || got[1].Number != 2 || len(streams.Children(next, 1)) != 0 {
		t.Errorf("children: %v", got)
	}
	if err := w.svc.Delete(context.Background(), scope, "s"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.svc.Current(context.Background(), old); errs.KindOf(err) != errs.NotFound {
		t.Errorf("after the stream: %v", err)
	}
}
