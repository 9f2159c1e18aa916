package brokers

import (
	"fmt"
	"testing"
)

// bench is a state machine with a clock in hand and a store that answers when
// told to.
type bench struct {
	t      *testing.T
	g      *group
	now    int64
	ids    int
	stored []func(*Error)
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, now: 1000}
	b.g = newGroup("g", func(prefix string) string { b.ids++; return fmt.Sprint(prefix, "-", b.ids) })
	b.g.store = func(done func(*Error)) {
		if done != nil {
			b.stored = append(b.stored, done)
		}
	}
	return b
}

func (b *bench) answerStores() {
	for _, done := range b.stored {
		done(nil)
	}
	b.stored = nil
}

// client is a member from its own point of view.
type client struct {
	b          *bench
	id         string
	instance   string
	metadata   string
	generation int32
	joined     *Joined
	synced     *Synced
}

func (b *bench) client(instance string) *client {
	return &client{b: b, instance: instance, metadata: "v1"}
}

func (c *client) join() {
	c.joined = nil
	c.b.g.join(c.b.now, Join{MemberID: c.id, Instance: c.instance, ClientID: "c", Session: 10_000, Rebalance: 30_000, ProtocolType: "consumer",
		Protocols: []Protocol{{"range", []byte(c.metadata)}}, NeedsID: true, CanSkip: true}, func(j Joined) {
		c.joined = &j
		if j.MemberID != "" && j.Generation != -1 || codeOf(j.Err) == MemberIDRequired {
			c.id, c.generation = j.MemberID, j.Generation
		}
	})
}

// enter joins as a dynamic member does: twice.
func (c *client) enter() {
	c.join()
	if codeOf(c.joined.Err) != MemberIDRequired {
		c.b.t.Fatalf("first join: %+v", c.joined)
	}
	c.join()
}

func (c *client) sync(assignments map[string][]byte) {
	c.synced = nil
	c.b.g.sync(c.b.now, Sync{MemberID: c.id, Instance: c.instance, Generation: c.generation, Assignments: assignments}, func(s Synced) { c.synced = &s })
}

func (c *client) heartbeat() Code {
	return codeOf(c.b.g.heartbeat(c.b.now, c.id, c.instance, c.generation))
}

func (b *bench) state(want GroupState) {
	b.t.Helper()
	if b.g.state != want {
		b.t.Fatalf("the group is %s, want %s", b.g.state, want)
	}
}

// stable makes a group of two, a leading.
func stable(t *testing.T, instances ...string) (b *bench, a, c *client) {
	t.Helper()
	b = newBench(t)
	a, c = b.client(""), b.client("")
	if len(instances) == 2 {
		a, c = b.client(instances[0]), b.client(instances[1])
		a.join()
		c.join()
	} else {
		a.enter()
		c.enter()
	}
	a.join()
	if a.joined == nil || c.joined == nil || a.generation != 2 || c.generation != 2 || len(a.joined.Members) != 2 || len(c.joined.Members) != 0 || a.joined.Leader != a.id {
		t.Fatalf("joined: %+v, %+v", a.joined, c.joined)
	}
	c.sync(nil)
	a.sync(map[string][]byte{a.id: []byte("left"), c.id: []byte("right")})
	b.state(GroupCompleting)
	if a.synced != nil || c.synced != nil {
		t.Fatal("answered before it was durable")
	}
	b.answerStores()
	if string(a.synced.Assignment) != "left" || string(c.synced.Assignment) != "right" {
		t.Fatalf("%+v, %+v", a.synced, c.synced)
	}
	b.state(GroupStable)
	return b, a, c
}

func TestMembersCome(t *testing.T) {
	b, a, c := stable(t)
	if a.heartbeat() != OK || c.heartbeat() != OK {
		t.Fatal("heartbeat")
	}
	// One more: the others learn of it by their heartbeats.
	d := b.client("")
	d.enter()
	b.state(GroupPreparing)
	if a.heartbeat() != RebalanceInProgress || c.heartbeat() != RebalanceInProgress || d.joined != nil {
		t.Fatal("nobody was told")
	}
	a.join()
	c.join()
	if d.joined == nil || d.generation != 3 || len(a.joined.Members) != 3 {
		t.Fatalf("%+v, %+v", d.joined, a.joined)
	}
	b.state(GroupCompleting)
	// A member that has missed the answer gets it again.
	c.join()
	if c.joined == nil || c.generation != 3 {
		t.Fatalf("%+v", c.joined)
	}
	if got := codeOf(b.g.mayCommit(b.now, c.id, "", 3)); got != RebalanceInProgress {
		t.Fatalf("commit: %d", got)
	}
}

func TestMembersGo(t *testing.T) {
	b, a, c := stable(t)
	if codeOf(b.g.leave(b.now, c.id, "")) != OK || codeOf(b.g.leave(b.now, c.id, "")) != UnknownMemberID {
		t.Fatal("leave")
	}
	b.state(GroupPreparing)
	a.join()
	if len(a.joined.Members) != 1 || a.generation != 3 {
		t.Fatalf("%+v", a.joined)
	}
	b.g.leave(b.now, a.id, "")
	b.state(GroupEmpty)
	if c.heartbeat() != UnknownMemberID {
		t.Fatal("a member of nothing")
	}
	if codeOf(b.g.mayCommit(b.now, "", "", -1)) != OK {
		t.Fatal("an empty group takes offsets of anybody")
	}
}

func TestSessionsEnd(t *testing.T) {
	b, a, c := stable(t)
	b.now += 6_000
	if a.heartbeat() != OK {
		t.Fatal("heartbeat")
	}
	b.now += 4_000
	b.g.tick(b.now) // c's session is over, a's is not
	b.state(GroupPreparing)
	if b.g.members[c.id] != nil || b.g.members[a.id] == nil {
		t.Fatal("the wrong one is gone")
	}
	if a.heartbeat() != RebalanceInProgress || c.heartbeat() != UnknownMemberID {
		t.Fatal("heartbeat")
	}
	b.now += 10_000
	b.g.tick(b.now)
	b.state(GroupEmpty)
}

func TestRebalanceEndsWithoutTheMissing(t *testing.T) {
	b, a, c := stable(t)
	d := b.client("")
	d.enter()
	a.join()
	for range 4 { // c is alive and does not come
		b.now += 7_000
		c.heartbeat()
		b.g.tick(b.now)
		b.state(GroupPreparing)
	}
	b.now += 2_000
	b.g.tick(b.now)
	b.state(GroupCompleting)
	if a.joined == nil || d.joined == nil || len(a.joined.Members) != 2 || c.heartbeat() != UnknownMemberID {
		t.Fatalf("%+v, %+v", a.joined, d.joined)
	}
	// The leader never brings an assignment: those who asked for one join again.
	d.sync(nil)
	b.now += 5_000
	if a.heartbeat() != OK {
		t.Fatal("heartbeat")
	}
	for range 5 {
		b.now += 5_000
		a.heartbeat()
		b.g.tick(b.now)
	}
	if d.synced == nil || codeOf(d.synced.Err) != RebalanceInProgress {
		t.Fatalf("%+v", d.synced)
	}
	if a.heartbeat() != UnknownMemberID {
		t.Fatal("the leader is still there")
	}
}

func TestUnusedIDsEnd(t *testing.T) {
	b, _, _ := stable(t)
	d := b.client("")
	d.join()
	b.now += 10_000
	b.g.tick(b.now)
	if d.join(); codeOf(d.joined.Err) != UnknownMemberID {
		t.Fatalf("%+v", d.joined)
	}
}

func TestStaticMembers(t *testing.T) {
	b, a, c := stable(t, "one", "two")
	// c is started again: it takes its place, and nobody rebalances.
	again := b.client("two")
	again.join()
	if again.joined != nil {
		t.Fatal("answered before it was durable")
	}
	b.answerStores()
	b.state(GroupStable)
	if again.joined == nil || again.id == c.id || again.generation != 2 {
		t.Fatalf("%+v", again.joined)
	}
	if again.sync(nil); string(again.synced.Assignment) != "right" {
		t.Fatalf("%+v", again.synced)
	}
	if c.heartbeat() != FencedInstanceID || again.heartbeat() != OK || a.heartbeat() != OK {
		t.Fatal("the old one is not fenced")
	}
	// The leader too: its assignment holds.
	leader := b.client("one")
	leader.join()
	b.answerStores()
	if leader.joined == nil || !leader.joined.SkipAssignment || leader.joined.Leader != leader.id {
		t.Fatalf("%+v", leader.joined)
	}
	// With another subscription it does rebalance.
	again.id, again.metadata = "", "v2"
	again.join()
	b.state(GroupPreparing)
	// An administrator removes one by its instance.
	if codeOf(b.g.leave(b.now, "", "none")) != UnknownMemberID || codeOf(b.g.leave(b.now, "", "one")) != OK {
		t.Fatal("leave")
	}
	b.state(GroupCompleting)
	if len(again.joined.Members) != 1 {
		t.Fatalf("%+v", again.joined)
	}
}

func TestGroupRefusals(t *testing.T) {
	b, a, _ := stable(t)
	other := &client{b: b}
	b.g.join(b.now, Join{ProtocolType: "connect", Protocols: []Protocol{{"range", nil}}}, func(j Joined) { other.joined = &j })
	if codeOf(other.joined.Err) != InconsistentProtocol {
		t.Errorf("another type: %+v", other.joined)
	}
	b.g.join(b.now, Join{ProtocolType: "consumer", Protocols: []Protocol{{"sticky", nil}}}, func(j Joined) { other.joined = &j })
	if codeOf(other.joined.Err) != InconsistentProtocol {
		t.Errorf("another protocol: %+v", other.joined)
	}
	b.g.join(b.now, Join{MemberID: "nobody", ProtocolType: "consumer", Protocols: []Protocol{{"range", nil}}}, func(j Joined) { other.joined = &j })
	if codeOf(other.joined.Err) != UnknownMemberID {
		t.Errorf("an unknown id: %+v", other.joined)
	}
	a.generation = 1
	if a.heartbeat() != IllegalGeneration {
		t.Error("an old generation")
	}
	if a.sync(nil); codeOf(a.synced.Err) != IllegalGeneration {
		t.Errorf("%+v", a.synced)
	}
	if codeOf(b.g.mayCommit(b.now, a.id, "", 1)) != IllegalGeneration || codeOf(b.g.mayCommit(b.now, "", "", -1)) != UnknownMemberID {
		t.Error("commits")
	}
	b.state(GroupStable)
}

// TestStoreFails: an assignment that is not durable is given to nobody.
func TestStoreFails(t *testing.T) {
	b := newBench(t)
	a := b.client("")
	a.enter()
	a.sync(map[string][]byte{a.id: []byte("all")})
	done := b.stored[0]
	b.stored = nil
	done(refuse(CoordinatorNotAvailable, "no space"))
	if codeOf(a.synced.Err) != CoordinatorNotAvailable {
		t.Fatalf("%+v", a.synced)
	}
	b.state(GroupPreparing)
}
