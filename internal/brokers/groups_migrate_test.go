package brokers

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// classicClient is a client of the classic protocol of a cluster's group, alone in it
// as far as that protocol goes.
type classicClient struct {
	w          *world
	id         string
	generation int32
}

func (c *classicClient) join(topics ...string) {
	c.w.t.Helper()
	r := &rider{names: topics}
	got := c.w.cluster.Groups().Join(c.w.t.Context(), Join{Group: "g", MemberID: c.id, ClientID: "c", Session: 30_000, Rebalance: 30_000, ProtocolType: "consumer",
		Protocols: r.subscription()})
	if got.Err != nil {
		c.w.t.Fatal(got.Err)
	}
	c.id, c.generation = got.MemberID, got.Generation
}

func (c *classicClient) sync(assignments map[string][]byte) string {
	c.w.t.Helper()
	got := c.w.cluster.Groups().Sync(c.w.t.Context(), Sync{Group: "g", MemberID: c.id, Generation: c.generation, Assignments: assignments})
	if got.Err != nil {
		c.w.t.Fatal(got.Err)
	}
	return fmt.Sprintf("%q", got.Assignment)
}

func (c *classicClient) beat() Code {
	c.w.t.Helper()
	return codeOf(c.w.cluster.Groups().Heartbeat(c.w.t.Context(), "g", c.id, "", c.generation))
}

// TestGroupsChangeTheirProtocolWithMembers: a group of the classic protocol goes on
// as one of the consumer protocol and back, with its members, what they have and
// what was committed, over power cuts after each step.
func TestGroupsChangeTheirProtocolWithMembers(t *testing.T) {
	w := newWorld(t)
	w.topic("game", 4)
	ctx := t.Context()
	seed := uint64(0)
	crash := func() {
		t.Helper()
		was := w.describe("g") + w.committed("g")
		if err := w.beside.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		seed++
		w.fs = w.fs.Crash(seed)
		w.open()
		if is := w.describe("g") + w.committed("g"); is != was {
			t.Fatalf("was %s\nis  %s", was, is)
		}
	}
	w.commit("g", "game", 1, 7)
	c := &classicClient{w: w}
	c.join("game")
	all := "\x00\x00\x00\x00\x00\x01\x00\x04game\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x00"
	c.sync(map[string][]byte{c.id: []byte(all)})
	for round := range int32(3) {
		a := w.enter("g", "a", "game")
		if a.Epoch != c.generation+1 || len(a.Assigned) != 0 {
			t.Fatalf("round %d: %+v", round, a)
		}
		crash()
		if c.beat() != RebalanceInProgress {
			t.Fatal(c.beat())
		}
		c.join("game")
		crash()
		if got := c.sync(nil); got != fmt.Sprintf("%q", "\x00\x01\x00\x00\x00\x01\x00\x04game\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff") {
			t.Fatal(got)
		}
		if got := c.beat(); got != OK || c.generation != a.Epoch {
			t.Fatal(got, c.generation)
		}
		a, err := w.beat(Beat{Group: "g", MemberID: "a", Epoch: a.Epoch, Rebalance: -1})
		if err != nil || len(a.Assigned) != 1 || fmt.Sprint(a.Assigned[0].Partitions) != "[2 3]" {
			t.Fatal(a, err)
		}
		if err := w.cluster.Groups().Commit(ctx, "g", c.id, "", c.generation, []Commit{{Topic: "game", Committed: Committed{Offset: int64(round)}}}); err != nil {
			t.Fatal(err)
		}
		crash()
		if round == 1 { // its session ends
			w.clock.Advance(29 * time.Second)
			if c.beat() != OK {
				t.Fatal(c.beat())
			}
			w.clock.Advance(29 * time.Second)
			if got := c.beat(); got != OK && got != RebalanceInProgress { // as soon as it was seen
				t.Fatal(got)
			}
			for info, _, _ := w.cluster.Groups().Describe(ctx, "g"); info.Type == "consumer"; info, _, _ = w.cluster.Groups().Describe(ctx, "g") {
				if ctx.Err() != nil {
					t.Fatal("the member is still there")
				}
			}
		} else if _, err := w.beat(Beat{Group: "g", MemberID: "a", Epoch: LeaveEpoch, Rebalance: -1}); err != nil {
			t.Fatal(err)
		}
		info, _, _ := w.cluster.Groups().Describe(ctx, "g")
		if info.Type == "consumer" || info.State != GroupPreparing || len(info.Members) != 1 || c.beat() != RebalanceInProgress {
			t.Fatalf("%+v", info)
		}
		crash()
		before := c.generation
		c.join("game")
		if c.generation != before+1 {
			t.Fatal(c.generation)
		}
		if got := c.sync(map[string][]byte{c.id: []byte(all)}); got != fmt.Sprintf("%q", all) || c.beat() != OK {
			t.Fatal(got)
		}
		crash()
	}
	if err := w.cluster.Groups().Leave(ctx, "g", c.id, ""); err != nil {
		t.Fatal(err)
	}
	if got := w.committed("g"); got != `game/0=2 "" game/1=7 "at 7" ` {
		t.Fatal(got)
	}
}

// TestAGroupIsNotTakenFromOthers: groups whose members do not read topics, or have
// assignors that Thalweg does not know, stay what they are.
func TestAGroupIsNotTakenFromOthers(t *testing.T) {
	w := newWorld(t)
	w.topic("game", 4)
	for _, tc := range []struct{ kind, meta, assignment string }{
		{"connect", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", ""},
		{"consumer", "x", ""},
		{"consumer", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "x"},
		{"consumer", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01x"},
	} {
		gs := w.cluster.Groups()
		j := gs.Join(t.Context(), Join{Group: "g", Session: 30_000, Rebalance: 30_000, ProtocolType: tc.kind, Protocols: []Protocol{{"own", []byte(tc.meta)}}})
		s := gs.Sync(t.Context(), Sync{Group: "g", MemberID: j.MemberID, Generation: j.Generation, Assignments: map[string][]byte{j.MemberID: []byte(tc.assignment)}})
		if j.Err != nil || s.Err != nil {
			t.Fatal(j.Err, s.Err)
		}
		if _, err := w.beat(Beat{Group: "g", MemberID: "a", Rebalance: 30_000, Names: []string{"game"}}); codeOf(err) != GroupIDNotFound {
			t.Fatal(err)
		}
		if err := gs.Heartbeat(t.Context(), "g", j.MemberID, "", j.Generation); err != nil {
			t.Fatal(err)
		}
		if err := gs.Leave(t.Context(), "g", j.MemberID, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAGroupThatBeginsIsNoShareGroup: a group whose first member waits for others,
// of which nothing is stored yet, is one of theirs.
func TestAGroupThatBeginsIsNoShareGroup(t *testing.T) {
	w := newWorld(t)
	w.topic("game", 4)
	gs := w.cluster.Groups()
	if _, err := gs.with(t.Context(), "g", true, func(e *entry, now int64) {
		e.group.pending["other"] = now + 30_000
		e.group.join(now, Join{Group: "g", Session: 30_000, Rebalance: 30_000, ProtocolType: "consumer", Protocols: (&rider{names: []string{"game"}}).subscription()}, func(Joined) {})
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := gs.HeartbeatShare(t.Context(), Beat{Group: "g", MemberID: "s", Rebalance: -1, Names: []string{"game"}}); codeOf(err) != GroupIDNotFound {
		t.Fatal(err)
	}
	if info, _, err := gs.Describe(t.Context(), "g"); err != nil || len(info.Members) != 1 {
		t.Fatal(info, err)
	}
}
