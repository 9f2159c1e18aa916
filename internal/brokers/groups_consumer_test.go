package brokers

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"thalweg/internal/limits"
	"thalweg/internal/log"
)

// beat sends a heartbeat to the cluster's groups.
func (w *world) beat(b Beat) (Beaten, *Error) {
	w.t.Helper()
	if b.Owned == nil {
		b.Owned = []TopicPartitions{}
	}
	b.ClientID, b.ClientHost = "c", "/h"
	return w.cluster.Groups().HeartbeatConsumer(w.t.Context(), b)
}

func (w *world) enter(group, id string, topics ...string) Beaten {
	w.t.Helper()
	out, err := w.beat(Beat{Group: group, MemberID: id, Rebalance: 30_000, Names: topics})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) describe(group string) string {
	w.t.Helper()
	g, err := w.cluster.Groups().DescribeConsumers(w.t.Context(), group)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%+v", g)
}

// TestConsumersThroughPowerCuts: what a heartbeat was answered is there after a
// crash, whatever else the group has seen.
func TestConsumersThroughPowerCuts(t *testing.T) {
	for seed := range uint64(12) {
		w := newWorld(t)
		w.topic("game", 4)
		w.commit("g", "game", 1, 7)
		if seed%3 == 0 { // it was one of the classic protocol
			j := w.cluster.Groups().Join(t.Context(), Join{Group: "g", Instance: "i", Session: 10_000, Rebalance: 10_000, ProtocolType: "consumer",
				Protocols: []Protocol{{"range", nil}}})
			if j.Err != nil {
				t.Fatal(j.Err)
			}
			if _, err := w.beat(Beat{Group: "g", MemberID: "a", Rebalance: 1000, Names: []string{"game"}}); codeOf(err) != GroupIDNotFound {
				t.Fatal(err)
			}
			if err := w.cluster.Groups().Leave(t.Context(), "g", j.MemberID, "i"); err != nil {
				t.Fatal(err)
			}
		}
		a := w.enter("g", "a", "game")
		w.enter("g", "b", "game")
		for range seed % 4 {
			var err *Error
			if a, err = w.beat(Beat{Group: "g", MemberID: "a", Epoch: a.Epoch, Rebalance: -1}); err != nil {
				t.Fatal(err)
			}
		}
		want := w.describe("g") + w.committed("g")
		if err := w.beside.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.fs = w.fs.Crash(seed)
		w.open()
		if got := w.describe("g") + w.committed("g"); got != want {
			t.Fatalf("seed %d\nwas %s\nis  %s", seed, want, got)
		}
		if _, err := w.beat(Beat{Group: "g", MemberID: "a", Epoch: a.Epoch, Rebalance: -1}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGroupsChangeTheirProtocol: while it has no members, a group becomes one of
// the other protocol and keeps what it has committed, over a restart as well.
func TestGroupsChangeTheirProtocol(t *testing.T) {
	w := newWorld(t)
	w.topic("game", 2)
	ctx := t.Context()
	w.commit("g", "game", 0, 5)
	join := Join{Group: "g", Instance: "i", Session: 10_000, Rebalance: 10_000, ProtocolType: "consumer", Protocols: []Protocol{{"range", nil}}}
	for round := range 3 {
		gs := w.cluster.Groups()
		w.enter("g", "a", "game")
		if j := gs.Join(ctx, join); codeOf(j.Err) != InconsistentProtocol {
			t.Fatal(j.Err)
		}
		if err := gs.Delete(ctx, "g"); codeOf(err) != NonEmptyGroup {
			t.Fatal(err)
		}
		if info, _, _ := gs.Describe(ctx, "g"); info.Type != "consumer" || info.State != GroupStable {
			t.Fatalf("%+v", info)
		}
		if _, err := w.beat(Beat{Group: "g", MemberID: "a", Epoch: LeaveEpoch, Rebalance: -1}); err != nil {
			t.Fatal(err)
		}
		j := gs.Join(ctx, join)
		if j.Err != nil {
			t.Fatal(j.Err)
		}
		if info, _, _ := gs.Describe(ctx, "g"); info.Type == "consumer" {
			t.Fatalf("%+v", info)
		}
		if err := gs.Leave(ctx, "g", j.MemberID, "i"); err != nil {
			t.Fatal(err)
		}
		if round == 1 {
			w.enter("g", "a", "game")
			if _, err := w.beat(Beat{Group: "g", MemberID: "a", Epoch: LeaveEpoch, Rebalance: -1}); err != nil {
				t.Fatal(err)
			}
		}
		was, _, _ := gs.Describe(ctx, "g")
		w.restart()
		is, _, _ := w.cluster.Groups().Describe(ctx, "g")
		if got := w.committed("g"); got != `game/0=5 "at 5" ` || was.Type != is.Type || is.State != GroupEmpty {
			t.Fatalf("round %d: %q, %+v, was %+v", round, got, is, was)
		}
	}
	w.enter("g", "a", "game")
	if _, err := w.beat(Beat{Group: "g", MemberID: "a", Epoch: LeaveEpoch, Rebalance: -1}); err != nil {
		t.Fatal(err)
	}
	if err := w.cluster.Groups().Delete(ctx, "g"); err != nil {
		t.Fatal(err)
	}
	w.restart()
	if list, err := w.cluster.Groups().List(ctx); err != nil || len(list) > 0 {
		t.Fatal(list, err)
	}
}

// TestConsumersAreRewritten: a group whose members come and go takes little more
// in the log than what is alive, and a restart finds it.
func TestConsumersAreRewritten(t *testing.T) {
	w := newWorld(t)
	w.topic("game", 50)
	w.enter("g", "still", "game")
	part, _ := w.cluster.Topic(OffsetsTopic).Partition(partitionOf("g"))
	info := func() log.Info {
		i, err := w.log.Info(part)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	for n := 0; info().Start == 0; n++ {
		if n > 100_000 {
			t.Fatalf("never trimmed: %+v", info())
		}
		id := fmt.Sprint("m", n)
		w.enter("g", id, "game")
		if _, err := w.beat(Beat{Group: "g", MemberID: id, Epoch: LeaveEpoch, Rebalance: -1}); err != nil {
			t.Fatal(err)
		}
	}
	want := w.describe("g")
	if i := info(); i.Bytes > 3*rewriteBytes {
		t.Errorf("%d bytes are kept", i.Bytes)
	}
	w.restart()
	if got := w.describe("g"); got != want {
		t.Errorf("was %s\nis  %s", want, got)
	}
}

// TestConsumersSessionsEnd: a member that does not beat is taken out by time alone.
func TestConsumersSessionsEnd(t *testing.T) {
	w := newWorld(t)
	w.topic("game", 2)
	w.enter("g", "a", "game")
	w.restart()
	if err := w.cluster.Groups().Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.AwaitTimers(1)
	w.clock.Advance(46 * time.Second)
	for {
		if info, _, _ := w.cluster.Groups().Describe(t.Context(), "g"); info.State == GroupEmpty {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("the session does not end")
		}
	}
	if _, err := w.beat(Beat{Group: "g", MemberID: "a", Epoch: 2, Rebalance: -1}); codeOf(err) != UnknownMemberID {
		t.Fatal(err)
	}
}

// TestConsumersThatCannotBeStored: a heartbeat whose change the log does not take
// is refused, and what it changed is stored with the next one that can be.
func TestConsumersThatCannotBeStored(t *testing.T) {
	w := newWorld(t)
	w.topic("game", 4)
	a := w.enter("g", "a", "game")
	w.enter("g", "b", "game")
	e, err := w.cluster.Groups().find(t.Context(), "g", false)
	if err != nil {
		t.Fatal(err)
	}
	good := e.store.partition
	e.mu.Lock()
	e.store.partition.Index += 1000 // there is none
	e.mu.Unlock()
	for range 2 {
		if _, err := w.beat(Beat{Group: "g", MemberID: "a", Epoch: a.Epoch, Rebalance: -1}); codeOf(err) != CoordinatorNotAvailable {
			t.Fatal(err)
		}
	}
	if _, err := w.beat(Beat{Group: "g", MemberID: "b", Epoch: LeaveEpoch, Rebalance: -1}); codeOf(err) != CoordinatorNotAvailable {
		t.Fatal(err)
	}
	e.mu.Lock()
	e.store.partition = good
	e.mu.Unlock()
	if a, err = w.beat(Beat{Group: "g", MemberID: "a", Epoch: a.Epoch, Rebalance: -1}); err != nil {
		t.Fatal(err)
	}
	want := w.describe("g")
	w.restart()
	if got := w.describe("g"); got != want {
		t.Fatalf("was %s\nis  %s", want, got)
	}
}

// TestConsumersAllAtOnce: members beat from goroutines of their own, some leave, and
// in the end each partition is with one of those that stay, over a restart as well.
func TestConsumersAllAtOnce(t *testing.T) {
	w := newWorld(t)
	w.topic("game", 12)
	gs := w.cluster.Groups()
	var work sync.WaitGroup
	for i := range 6 {
		work.Go(func() {
			b := Beat{Group: "g", MemberID: fmt.Sprint("m", i), Rebalance: 30_000, Names: []string{"game"}, Owned: []TopicPartitions{}}
			for n := 0; t.Context().Err() == nil; n++ {
				out, err := gs.HeartbeatConsumer(t.Context(), b)
				if err != nil {
					t.Errorf("%s: %v", b.MemberID, err)
					return
				}
				b.Epoch, b.Names, b.Rebalance = out.Epoch, nil, -1
				if out.Told {
					b.Owned = out.Assigned
				}
				if i >= 4 && out.Epoch == LeaveEpoch {
					return
				}
				if i >= 4 && n == 20 {
					b.Epoch = LeaveEpoch
				}
				if g, err := gs.DescribeConsumers(t.Context(), "g"); i < 4 && n > 20 && (err != nil || g.State == GroupStable && len(g.Members) == 4) {
					return
				}
			}
		})
	}
	work.Wait()
	want := w.describe("g")
	w.restart()
	if got := w.describe("g"); got != want {
		t.Fatalf("was %s\nis  %s", want, got)
	}
}

// BenchmarkConsumerJoins is what a member that comes and goes costs a group of 500,
// over 2000 partitions.
func BenchmarkConsumerJoins(b *testing.B) {
	bench := newConsumerBench(b, map[string]int32{"t": 2000})
	for i := range 500 {
		bench.player(fmt.Sprint("m", i)).join("t")
	}
	for b.Loop() {
		p := bench.player("guest")
		p.join("t")
		bench.g.records()
		p.leave()
	}
}

// TestConsumersDrawOnMemory: what a group of the consumer protocol takes is drawn
// on the budget, refused when there is none left, and given back.
func TestConsumersDrawOnMemory(t *testing.T) {
	w := newWorld(t)
	w.topic("game", 100)
	if err := w.cluster.Groups().Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	budget := limits.NewBudget(64 << 10)
	w.cluster.memory = limits.NewShare(budget)
	w.enter("g", "a", "game")
	if used := budget.Used(); used < 200*slotBytes {
		t.Errorf("%d bytes for 200 places of partitions", used)
	}
	if _, err := w.beat(Beat{Group: "large", MemberID: string(make([]byte, 20<<10)), Rebalance: 1000, Names: []string{"game"}}); codeOf(err) != CoordinatorNotAvailable {
		t.Fatal(err)
	}
	if _, err := w.beat(Beat{Group: "g", MemberID: "a", Epoch: LeaveEpoch, Rebalance: -1}); err != nil {
		t.Fatal(err)
	}
	if err := w.cluster.Groups().Delete(t.Context(), "g"); err != nil {
		t.Fatal(err)
	}
	for deadline := 0; budget.Used() != 0; deadline++ { // the last answers are on their way
		if deadline > 1_000_000 {
			t.Fatalf("%d bytes are not given back", budget.Used())
		}
		_, _ = w.cluster.Groups().List(t.Context())
	}
}
