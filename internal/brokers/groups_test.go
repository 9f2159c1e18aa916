package brokers

import (
	"context"
	"fmt"
	"testing"
	"time"

	"thalweg/internal/limits"
	"thalweg/internal/log"
)

func (w *world) commit(group, topic string, partition int32, offset int64) {
	w.t.Helper()
	list := []Commit{{Topic: topic, Partition: partition, Committed: Committed{Offset: offset, Epoch: -1, Metadata: fmt.Sprint("at ", offset)}}}
	if err := w.cluster.Groups().Commit(context.Background(), group, "", "", -1, list); err != nil || list[0].Err != nil {
		w.t.Fatal(err, list[0].Err)
	}
}

// committed is all that a group has committed, as text.
func (w *world) committed(group string) string {
	w.t.Helper()
	out := ""
	if err := w.cluster.Groups().FetchAll(context.Background(), group, func(topic string, p int32, c Fetched) {
		out += fmt.Sprintf("%s/%d=%d %q ", topic, p, c.Offset, c.Metadata)
	}); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// TestGroupsOutliveTheServer: members, assignments and offsets are there after a
// restart, and sessions begin anew.
func TestGroupsOutliveTheServer(t *testing.T) {
	w := newWorld(t)
	w.topic("game", 4)
	ctx := t.Context()
	gs := w.cluster.Groups()
	j := gs.Join(ctx, Join{Group: "g", Instance: "one", ClientID: "c", ClientHost: "/h", Session: 10_000, Rebalance: 30_000, ProtocolType: "consumer",
		Protocols: []Protocol{{"range", []byte("meta")}}})
	if j.Err != nil {
		t.Fatal(j.Err)
	}
	if s := gs.Sync(ctx, Sync{Group: "g", MemberID: j.MemberID, Generation: j.Generation, Assignments: map[string][]byte{j.MemberID: []byte("all")}}); s.Err != nil {
		t.Fatal(s.Err)
	}
	list := []Commit{{Topic: "game", Partition: 2, Committed: Committed{Offset: 7, Metadata: "note"}}}
	if err := gs.Commit(ctx, "g", j.MemberID, "", j.Generation, list); err != nil {
		t.Fatal(err)
	}
	w.commit("simple", "game", 0, 3)
	before, _, _ := gs.Describe(ctx, "g")
	w.restart()
	gs = w.cluster.Groups()
	after, ok, err := gs.Describe(ctx, "g")
	if err != nil || !ok || fmt.Sprint(after) != fmt.Sprint(before) || after.State != GroupStable {
		t.Fatalf("%v, %v\nwas %v\nis  %v", ok, err, before, after)
	}
	if err := gs.Heartbeat(ctx, "g", j.MemberID, "one", j.Generation); err != nil {
		t.Fatal(err)
	}
	if got := w.committed("g") + w.committed("simple"); got != `game/2=7 "note" game/0=3 "at 3" ` {
		t.Fatal(got)
	}
	w.clock.AwaitTimers(1)
	w.clock.Advance(11 * time.Second)
	for info, _, _ := gs.Describe(ctx, "g"); info.State != GroupEmpty; info, _, _ = gs.Describe(ctx, "g") {
		if ctx.Err() != nil {
			t.Fatal("the session does not end")
		}
	}
}

// TestGroupsAreForgotten: a group without members keeps its offsets for a week.
func TestGroupsAreForgotten(t *testing.T) {
	w := newWorld(t)
	w.topic("game", 1)
	w.commit("g", "game", 0, 5)
	w.clock.AwaitTimers(1)
	w.clock.Advance(7*24*time.Hour - time.Hour)
	if got := w.committed("g"); got == "" {
		t.Fatal("forgotten too soon")
	}
	w.clock.Advance(2 * time.Hour)
	for w.committed("g") != "" {
		if t.Context().Err() != nil {
			t.Fatal("not forgotten")
		}
	}
	w.restart()
	if got := w.committed("g"); got != "" {
		t.Fatalf("back after a restart: %s", got)
	}
}

// TestOffsetsWithATimeOfTheirOwn: an offset that was committed for an hour goes
// then, one for ten days holds its group, over restarts as well.
func TestOffsetsWithATimeOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	w.topic("game", 3)
	w.commit("g", "game", 0, 5)
	for p, keep := range []time.Duration{1: time.Hour, 2: 10 * 24 * time.Hour} {
		list := []Commit{{Topic: "game", Partition: int32(p), Committed: Committed{Offset: 7, Epoch: -1}, Retention: keep.Milliseconds()}}
		if err := w.cluster.Groups().Commit(t.Context(), "g", "", "", -1, list[:min(p, 1)]); err != nil {
			t.Fatal(err)
		}
	}
	all := w.committed("g")
	w.restart()
	if got := w.committed("g"); got != all {
		t.Fatalf("was %s, is %s", all, got)
	}
	for _, tc := range []struct {
		after time.Duration
		left  string
	}{
		{time.Hour, `game/0=5 "at 5" game/2=7 "" `},
		{10*24*time.Hour - time.Hour, ""},
	} {
		w.clock.AwaitTimers(1)
		w.clock.Advance(tc.after - time.Minute)
		if got := w.committed("g"); got != all {
			t.Fatalf("too soon: %s", got)
		}
		w.clock.Advance(time.Minute)
		for got := w.committed("g"); got != tc.left; got = w.committed("g") {
			if got != all || t.Context().Err() != nil {
				t.Fatalf("%s, want %s", got, tc.left)
			}
		}
		all = tc.left
		w.restart()
	}
}

// TestGroupsAreRewritten: however much is committed, the log holds little more
// than what is alive, and a restart finds all of it.
func TestGroupsAreRewritten(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("game", 4)
	w.commit("still", "game", 1, 42)
	other := "still" // one of the same partition
	for i := 0; other == "still" || partitionOf(other) != partitionOf("still"); i++ {
		other = fmt.Sprint("busy", i)
	}
	part, _ := w.cluster.Topic(OffsetsTopic).Partition(partitionOf("still"))
	info := func() log.Info {
		i, err := w.log.Info(part)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	last := int64(0)
	for trimmed := false; !trimmed || last < 100; last++ {
		if last > 100_000 {
			t.Fatalf("never trimmed: %+v", info())
		}
		w.commit(other, "game", int32(last)%topic.Partitions(), last)
		trimmed = info().Start > 0
	}
	want := w.committed("still") + w.committed(other)
	if i := info(); i.Bytes > 3*rewriteBytes {
		t.Errorf("%d bytes are kept", i.Bytes)
	}
	w.restart()
	if got := w.committed("still") + w.committed(other); got != want {
		t.Errorf("was %s\nis  %s", want, got)
	}
}

func TestProducerIDsAreNeverGivenTwice(t *testing.T) {
	w := newWorld(t)
	seen := map[int64]bool{}
	for range 3 {
		for range producerBlock + 10 {
			id, err := w.cluster.NewProducerID(t.Context())
			if err != nil || seen[id] {
				t.Fatal(id, err)
			}
			seen[id] = true
		}
		w.restart()
	}
}

// TestGroupsThroughPowerCuts: whatever was acknowledged is there after a crash.
func TestGroupsThroughPowerCuts(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(t)
		w.topic("game", 4)
		for i := range int64(5 + seed) {
			w.commit("g", "game", int32(i%4), i)
		}
		if err := w.cluster.Groups().Delete(t.Context(), "g"); seed%3 == 0 && err != nil {
			t.Fatal(err)
		} else if seed%3 != 0 { // made again
			w.commit("g", "game", 1, int64(seed))
		}
		want := w.committed("g")
		if err := w.beside.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.fs = w.fs.Crash(seed)
		w.open()
		if got := w.committed("g"); got != want {
			t.Fatalf("seed %d: was %s, is %s", seed, want, got)
		}
	}
}

// TestGroupsDrawOnMemory: what groups take is drawn on the budget, given back when
// they go, and refused when there is none left.
func TestGroupsDrawOnMemory(t *testing.T) {
	w := newWorld(t)
	w.topic("game", 4)
	ctx := t.Context()
	gs := w.cluster.Groups()
	if err := gs.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	budget := limits.NewBudget(64 << 10)
	w.cluster.memory = limits.NewShare(budget)
	join := func(group string, bytes int) Joined {
		return gs.Join(ctx, Join{Group: group, ClientID: "c", Session: 10_000, Rebalance: 10_000, ProtocolType: "consumer",
			Protocols: []Protocol{{"range", make([]byte, bytes)}}})
	}
	first := join("g", 10<<10)
	if first.Err != nil || budget.Used() < 10<<10 {
		t.Fatalf("%+v, %d bytes", first, budget.Used())
	}
	if got := join("large", 60<<10); codeOf(got.Err) != CoordinatorNotAvailable {
		t.Fatalf("%+v", got)
	}
	for i := range int64(4) {
		w.commit("simple", "game", int32(i), i)
		w.commit("simple", "game", int32(i), i+1)
	}
	if err := gs.Leave(ctx, "g", first.MemberID, ""); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"g", "simple"} {
		if err := gs.Delete(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := 0; budget.Used() != 0; deadline++ { // the last answers are on their way
		if deadline > 1_000_000 {
			t.Fatalf("%d bytes are not given back", budget.Used())
		}
		_, _ = gs.List(ctx)
	}
}
