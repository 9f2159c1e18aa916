package brokers

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// consumerBench is a group of the consumer protocol with topics and a clock in
// hand.
type consumerBench struct {
	t      testing.TB
	g      *consumers
	now    int64
	topics map[string]int32
}

func (b *consumerBench) source() topicSource {
	return topicSource{
		find: func(name string) (TopicID, int32, bool) {
			n, ok := b.topics[name]
			return idOf(name), n, ok
		},
		names: func() []string { return slices.Collect(maps.Keys(b.topics)) },
	}
}

func idOf(topic string) (id TopicID) {
	copy(id[:], topic)
	return id
}

func newConsumerBench(t testing.TB, topics map[string]int32) *consumerBench {
	b := &consumerBench{t: t, now: 1000, topics: topics}
	b.g = newConsumers("g", false, b.source(), func() ConsumerSettings { return ConsumerSettings{45_000, 5_000} })
	b.g.epoch = 0 // so that members begin with 1
	return b
}

// player is a member from its own point of view.
type player struct {
	b        *consumerBench
	id       string
	instance *string
	names    []string
	epoch    int32
	owned    []TopicPartitions
	missed   bool // an answer, so that it tells everything again
	err      *Error
}

func (b *consumerBench) player(id string) *player { return &player{b: b, id: id} }

// beat sends a heartbeat and takes what it is told, but gives up nothing yet.
func (p *player) beat(tune func(*Beat)) Beaten {
	p.b.t.Helper()
	in := Beat{Group: "g", MemberID: p.id, Epoch: p.epoch, Instance: p.instance, ClientID: "c", ClientHost: "/h", Rebalance: -1, Owned: p.owned}
	if p.owned == nil {
		in.Owned = []TopicPartitions{}
	}
	if p.missed {
		in.Names, in.Rebalance = p.names, 10_000
	}
	if tune != nil {
		tune(&in)
	}
	if in.Names != nil {
		p.names = in.Names
	}
	out, err := p.b.g.heartbeat(p.b.now, &in)
	p.missed = false
	if p.err = err; err == nil {
		p.epoch = out.Epoch
		if out.Told {
			p.owned = out.Assigned
		}
	}
	return out
}

func (p *player) join(names ...string) Beaten {
	p.b.t.Helper()
	p.epoch, p.owned = JoinEpoch, nil
	return p.beat(func(in *Beat) { in.Names, in.Rebalance = names, 30_000 })
}

func (p *player) leave() {
	p.beat(func(in *Beat) { in.Epoch = LeaveEpoch })
	p.epoch, p.owned = JoinEpoch, nil
}

func (p *player) has() string { return textOf(p.owned) }

func textOf(list []TopicPartitions) string {
	var out []string
	for _, t := range list {
		for _, n := range t.Partitions {
			out = append(out, fmt.Sprint(strings.TrimRight(string(t.Topic[:]), "\x00"), n))
		}
	}
	return strings.Join(out, " ")
}

func (p *player) want(epoch int32, has string) {
	p.b.t.Helper()
	if p.err != nil || p.epoch != epoch || p.has() != has {
		p.b.t.Fatalf("%s is at %d with %q (%v), want %d with %q", p.id, p.epoch, p.has(), p.err, epoch, has)
	}
}

func (p *player) refused(code Code) {
	p.b.t.Helper()
	if codeOf(p.err) != code {
		p.b.t.Fatalf("%s: %v, want %d", p.id, p.err, code)
	}
}

// TestPartitionsAreGivenUpFirst: a member gets what another has only when that one
// has given it up.
func TestPartitionsAreGivenUpFirst(t *testing.T) {
	b := newConsumerBench(t, map[string]int32{"t": 4})
	a, c := b.player("a"), b.player("c")
	a.join("t")
	a.want(1, "t0 t1 t2 t3")
	c.join("t")
	c.want(2, "")
	if b.g.state() != GroupReconciling {
		t.Fatal(b.g.state())
	}
	before := a.owned
	a.beat(nil)
	a.want(1, "t0 t1") // it is still at its epoch, with partitions to give up
	after := a.owned
	a.owned = before // it is still at work on them
	a.beat(nil)
	c.beat(nil)
	c.want(2, "")
	a.owned = after
	a.beat(nil)
	a.want(2, "t0 t1")
	c.beat(nil)
	c.want(2, "t2 t3")
	if b.g.state() != GroupStable {
		t.Fatal(b.g.state())
	}
	a.leave()
	c.beat(nil)
	c.want(3, "t0 t1 t2 t3")
	c.leave()
	if b.g.state() != GroupEmpty || b.g.epoch != 4 {
		t.Fatal(b.g.state(), b.g.epoch)
	}
}

func TestWhoIsFenced(t *testing.T) {
	b := newConsumerBench(t, map[string]int32{"t": 2})
	a := b.player("a")
	a.beat(func(in *Beat) { in.Epoch = 3 })
	a.refused(UnknownMemberID)
	a.join("t")
	a.beat(func(in *Beat) { in.Epoch = 7 })
	a.refused(FencedMemberEpoch)
	c := b.player("c")
	c.join("t")
	a.beat(nil)
	a.beat(nil)
	a.want(2, "t0")
	a.beat(func(in *Beat) { in.Epoch = 1 }) // it missed the answer, and has no more than its own
	a.want(2, "t0")
	a.beat(func(in *Beat) {
		in.Epoch, in.Owned = 1, []TopicPartitions{{Topic: idOf("t"), Partitions: []int32{0, 1}}}
	})
	a.refused(FencedMemberEpoch)
	a.beat(func(in *Beat) { in.Epoch, in.Owned = 1, nil })
	a.refused(FencedMemberEpoch)
	c.leave()
	c.beat(func(in *Beat) { in.Epoch = 2 })
	c.refused(UnknownMemberID)
	c.beat(func(in *Beat) { in.Epoch = LeaveEpoch })
	c.refused(UnknownMemberID)
}

func TestSessionsAndRevocationsEnd(t *testing.T) {
	b := newConsumerBench(t, map[string]int32{"t": 2})
	a, c := b.player("a"), b.player("c")
	a.join("t")
	b.now += 40_000
	c.join("t")
	if at := b.g.next(); at != 46_000 {
		t.Fatal(at)
	}
	b.now += 5_000
	b.g.tick(b.now)
	c.beat(nil)
	c.want(3, "t0 t1")
	a.beat(nil)
	a.refused(UnknownMemberID)
	a.join("t")
	before := c.owned
	c.beat(nil)
	for range 6 { // it never gives up the other
		b.now += 5_000
		c.owned = before
		c.beat(nil)
		a.beat(nil)
		b.g.tick(b.now)
	}
	c.beat(nil)
	c.refused(UnknownMemberID)
	a.beat(nil)
	a.want(5, "t0 t1")
}

func TestStaticMembersComeBack(t *testing.T) {
	b := newConsumerBench(t, map[string]int32{"t": 4})
	one := "one"
	a, c := b.player("a"), b.player("c")
	a.instance = &one
	a.join("t")
	c.join("t")
	a.beat(nil)
	a.beat(nil)
	c.beat(nil)
	c.want(2, "t2 t3")
	again := b.player("again")
	again.instance = &one
	again.join("t")
	again.refused(UnreleasedInstanceID)
	a.beat(func(in *Beat) { in.Epoch = AwayEpoch })
	c.beat(nil)
	c.want(2, "t2 t3") // its place is kept
	again.join("t")
	again.want(2, "t0 t1")
	a.epoch = 2
	a.beat(nil)
	a.refused(FencedInstanceID)
	nobody := "nobody"
	a.instance = &nobody
	a.beat(nil)
	a.refused(UnknownMemberID)
	again.beat(func(in *Beat) { in.Epoch = AwayEpoch })
	b.now += 20_000
	c.beat(nil)
	b.now += 25_000
	b.g.tick(b.now)
	c.beat(nil)
	c.want(3, "t0 t1 t2 t3")
}

// TestTopicsChange: topics that are made, grow and go move the group on.
func TestTopicsChange(t *testing.T) {
	b := newConsumerBench(t, map[string]int32{"t": 1})
	a := b.player("a")
	a.join("t", "u")
	a.want(1, "t0")
	b.topics["u"] = 2
	a.beat(nil)
	a.want(2, "t0 u0 u1")
	b.topics["t"] = 2
	a.beat(nil)
	a.want(3, "t0 t1 u0 u1")
	delete(b.topics, "u")
	a.beat(nil)
	a.want(3, "t0 t1") // to be given up
	a.beat(nil)
	a.want(4, "t0 t1")
	a.beat(func(in *Beat) { in.Names = []string{} })
	a.want(4, "")
	a.beat(nil)
	a.want(5, "")
}

func TestRegularExpressions(t *testing.T) {
	b := newConsumerBench(t, map[string]int32{"game": 1, "game2": 1, "other": 1, "gamed-secret": 1})
	a := b.player("a")
	bad, good := "(", "game.*"
	a.epoch = JoinEpoch
	a.beat(func(in *Beat) { in.Rebalance, in.Regex = 1000, &bad })
	a.refused(InvalidRegularExpression)
	if len(b.g.members) > 0 {
		t.Fatal("it is a member")
	}
	may := func(topic string) bool { return !strings.Contains(topic, "secret") }
	a.beat(func(in *Beat) { in.Rebalance, in.Regex, in.MayDescribe = 1000, &good, may })
	a.want(1, "game0 game20")
	b.topics["game3"] = 1
	a.beat(func(in *Beat) { in.MayDescribe = may })
	a.want(1, "game0 game20")
	b.now += regexRefresh
	a.beat(func(in *Beat) { in.MayDescribe = may })
	a.want(2, "game0 game20 game30")
}

// TestPatternsAreTheMembersOwn: what a regular expression has for one member, by what
// it may know of, neither gives to nor takes from another with the same.
func TestPatternsAreTheMembersOwn(t *testing.T) {
	b := newConsumerBench(t, map[string]int32{"t": 1, "secret": 1})
	a, c := b.player("a"), b.player("c")
	all := ".*"
	nothing := func(string) bool { return false }
	a.beat(func(in *Beat) { in.Rebalance, in.Regex = 1000, &all })
	a.want(1, "secret0 t0")
	c.beat(func(in *Beat) { in.Rebalance, in.Regex, in.MayDescribe = 1000, &all, nothing })
	c.want(2, "")
	a.beat(nil)
	a.want(2, "secret0 t0")
	b.now += regexRefresh
	c.beat(func(in *Beat) { in.MayDescribe = nothing })
	a.beat(nil)
	a.want(2, "secret0 t0")
	a.leave()
	c.beat(func(in *Beat) { in.MayDescribe = nothing })
	c.want(3, "")
}

func TestAssignors(t *testing.T) {
	for name, want := range map[string]string{
		"uniform": "a: t0 t1 t2; c: u0 u1 u2", // as even, with as little moved, as can be
		"range":   "a: t0 t1 u0 u1; c: t2 u2",
	} {
		b := newConsumerBench(t, map[string]int32{"t": 3, "u": 3})
		a, c := b.player("a"), b.player("c")
		for _, p := range []*player{a, c} {
			p.beat(func(in *Beat) { in.Names, in.Rebalance, in.Assignor = []string{"t", "u"}, 1000, &name })
		}
		for range 3 {
			a.beat(nil)
			c.beat(nil)
		}
		if got := "a: " + a.has() + "; c: " + c.has(); got != want {
			t.Errorf("%s gives %s, want %s", name, got, want)
		}
	}
}

// TestConsumersWhateverHappens: members that come, go, stall and are cut off, and
// topics that change: no partition is with two members at once, what the records
// say is the group, and once things are quiet all partitions are out, evenly.
func TestConsumersWhateverHappens(t *testing.T) {
	for seed := range uint64(300) {
		b := newConsumerBench(t, map[string]int32{"t": 3, "u": 5})
		rng := rand.New(rand.NewPCG(seed, 848))
		var players []*player
		for i := range 5 {
			p := b.player(fmt.Sprint("p", i))
			if i%2 == 1 {
				p.instance = &p.id
			}
			players = append(players, p)
		}
		subscriptions := [][]string{{"t"}, {"u"}, {"t", "u"}, {"t", "u", "v"}}
		assignor := ConsumerAssignors()[seed%2]
		enter := func(p *player, names []string) {
			p.epoch, p.owned = JoinEpoch, nil
			p.beat(func(in *Beat) { in.Names, in.Rebalance, in.Assignor = names, 10_000, &assignor })
		}
		for range 120 {
			p := players[rng.IntN(len(players))]
			switch n := rng.IntN(20); {
			case n < 3:
				enter(p, subscriptions[rng.IntN(len(subscriptions))])
			case n == 3:
				p.leave()
			case n == 4 && p.instance != nil:
				p.beat(func(in *Beat) { in.Epoch = AwayEpoch })
			case n == 5:
				b.topics["v"] = int32(rng.IntN(4))
			case n == 6:
				delete(b.topics, "v")
			case n == 7: // the answer is lost
				epoch, owned := p.epoch, p.owned
				p.beat(nil)
				p.epoch, p.owned, p.missed = epoch, owned, true
			case n == 8:
				b.now += rng.Int64N(20_000)
				b.g.tick(b.now)
			case n == 9:
				b.reload()
			default:
				p.beat(nil)
			}
			if p.err != nil {
				p.epoch, p.owned = JoinEpoch, nil
			}
			b.check(seed)
		}
		for range 12 {
			for _, p := range players {
				if p.beat(nil); p.err != nil || p.epoch <= 0 {
					enter(p, []string{"t", "u"})
				}
				b.check(seed)
			}
		}
		for _, p := range players {
			p.beat(func(in *Beat) { in.Names = []string{"t", "u"} })
		}
		for range 6 {
			for _, p := range players {
				p.beat(nil)
				b.check(seed)
			}
		}
		sizes := []int{}
		total := 0
		for _, p := range players {
			if p.has() != textOf(b.g.members[p.id].owned.list()) {
				t.Fatalf("seed %d: %s has %s", seed, p.id, p.has())
			}
			sizes = append(sizes, len(b.g.members[p.id].owned))
			total += sizes[len(sizes)-1]
		}
		if b.g.state() != GroupStable || total != 8 || slices.Max(sizes) > 2 {
			t.Fatalf("seed %d: %s, %v", seed, b.g.state(), sizes)
		}
	}
}

// check holds what must always be.
func (b *consumerBench) check(seed uint64) {
	b.t.Helper()
	holders := map[slot]string{}
	for id, m := range b.g.members {
		for _, list := range []slots{m.owned, m.revoking} {
			for s := range list {
				if other := holders[s]; other != "" {
					b.t.Fatalf("seed %d: %v is with %s and %s", seed, s, other, id)
				}
				holders[s] = id
			}
		}
	}
	if !maps.Equal(holders, b.g.holders) {
		b.t.Fatalf("seed %d: %v, noted are %v", seed, holders, b.g.holders)
	}
}

// reload makes the group of its records, as a start does.
func (b *consumerBench) reload() {
	b.t.Helper()
	records := b.g.records()
	b.g = newConsumers("g", false, b.source(), b.g.settings)
	for _, r := range records {
		kind, _, group, rest, err := consumerRecord(r.key)
		if err == nil && group == "g" {
			err = b.g.apply(kind, rest, r.value, b.now)
		}
		if err != nil || group != "g" {
			b.t.Fatal(err, group)
		}
	}
	b.g.loaded(b.now)
	again := b.g.records()
	if fmt.Sprint(again) != fmt.Sprint(records) {
		b.t.Fatalf("was %v\nis  %v", records, again)
	}
}

func TestCommitsOfAnEpoch(t *testing.T) {
	b := newConsumerBench(t, map[string]int32{"t": 2})
	a, c := b.player("a"), b.player("c")
	at := func(partition int32) []Commit { return []Commit{{Topic: "t", Partition: partition}} }
	if err := b.g.mayCommit("", -1, at(0)); err != nil {
		t.Fatal(err)
	}
	a.join("t")
	c.join("t")
	a.beat(nil)
	a.beat(nil)
	c.beat(nil)
	for _, tc := range []struct {
		id    string
		epoch int32
		p     int32
		code  Code
	}{
		{"", -1, 0, UnknownMemberID}, {"a", 2, 0, OK}, {"a", 3, 0, StaleMemberEpoch}, {"a", 1, 0, OK}, {"a", 1, 1, StaleMemberEpoch},
		{"c", 2, 1, OK}, {"c", 1, 1, StaleMemberEpoch}, {"d", 2, 1, UnknownMemberID},
	} {
		if err := b.g.mayCommit(tc.id, tc.epoch, at(tc.p)); codeOf(err) != tc.code {
			t.Errorf("%+v: %v", tc, err)
		}
	}
	id := "a"
	for epoch, code := range map[int32]Code{2: OK, 1: StaleMemberEpoch} {
		if err := b.g.mayFetch(&id, epoch); codeOf(err) != code {
			t.Errorf("%d: %v", epoch, err)
		}
	}
	if err := b.g.mayFetch(nil, -1); err != nil {
		t.Error(err)
	}
}
