package brokers

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// rider is a member of the classic protocol in a group of the consumer protocol,
// from its own point of view. A careful one keeps what it has over a rebalance
// (KIP-429), another gives up everything first.
type rider struct {
	b          *consumerBench
	id         string
	careful    bool
	names      []string
	generation int32
	owned      []slot
	again      bool // it is to join
	err        *Error
}

func (r *rider) subscription() []Protocol {
	sub := kmsg.NewConsumerMemberMetadata()
	sub.Version, sub.Topics = 1, r.names
	for _, s := range r.owned {
		o := kmsg.NewConsumerMemberMetadataOwnedPartition()
		o.Topic, o.Partitions = nameOfID(s.topic), []int32{s.partition}
		sub.OwnedPartitions = append(sub.OwnedPartitions, o)
	}
	return []Protocol{{"one", sub.AppendTo(nil)}}
}

func nameOfID(id TopicID) string {
	return textOf([]TopicPartitions{{Topic: id, Partitions: []int32{0}}})[:1]
}

// step is what its client would do next.
func (r *rider) step() {
	r.b.t.Helper()
	if !r.again {
		r.fail(r.b.g.beatClassic(r.b.now, r.id, "", r.generation))
		return
	}
	if !r.careful {
		r.owned = nil
	}
	got := r.b.g.join(r.b.now, &Join{Group: "g", MemberID: r.id, Session: 10_000, Rebalance: 10_000, ProtocolType: "consumer", Protocols: r.subscription()})
	if r.fail(got.Err) {
		return
	}
	synced := r.b.g.sync(r.b.now, &Sync{MemberID: r.id, Generation: got.Generation})
	if r.fail(synced.Err) {
		return
	}
	var has kmsg.ConsumerMemberAssignment
	if err := has.ReadFrom(synced.Assignment); err != nil {
		r.b.t.Fatal(err)
	}
	before := r.owned
	r.generation, r.owned, r.again = got.Generation, nil, false
	for _, t := range has.Topics {
		for _, p := range t.Partitions {
			r.owned = append(r.owned, slot{idOf(t.Topic), p})
		}
	}
	for _, s := range before { // a careful client joins again when it has given something up
		r.again = r.again || !slices.Contains(r.owned, s)
	}
}

// fail notes an error, and what a client does then.
func (r *rider) fail(err *Error) bool {
	switch r.err = err; codeOf(err) {
	case OK:
		return false
	case RebalanceInProgress:
		r.again = true
	default:
		r.owned, r.generation, r.again = nil, -1, true
	}
	return true
}

// TestBothProtocolsWhateverHappens: clients of both protocols that come, go and
// stall: no partition is used by two at once, as the clients see it, and once
// things are quiet all partitions are out, evenly.
func TestBothProtocolsWhateverHappens(t *testing.T) {
	for seed := range uint64(200) {
		b := newConsumerBench(t, map[string]int32{"t": 3, "u": 5})
		rng := rand.New(rand.NewPCG(seed, 429))
		first := b.player("first")
		first.join("t", "u")
		players := []*player{first, b.player("p1"), b.player("p2")}
		riders := []*rider{{b: b, id: "r0", careful: true}, {b: b, id: "r1"}, {b: b, id: "r2", careful: seed%2 == 0}}
		check := func() {
			t.Helper()
			b.check(seed)
			users := map[slot]string{}
			for _, r := range riders {
				if b.g.members[r.id] == nil {
					continue // it will hear that its session is over
				}
				for _, s := range r.owned {
					if m := b.g.members[r.id]; m.owned[s] == 0 && m.revoking[s] == 0 {
						t.Fatalf("seed %d: %s uses %v, which is not its own", seed, r.id, s)
					}
					if other := users[s]; other != "" {
						t.Fatalf("seed %d: %v is used by %s and %s", seed, s, other, r.id)
					}
					users[s] = r.id
				}
			}
		}
		for range 150 {
			p, r := players[rng.IntN(len(players))], riders[rng.IntN(len(riders))]
			switch n := rng.IntN(16); {
			case n == 0 && p != first:
				p.join([][]string{{"t"}, {"u"}, {"t", "u"}}[rng.IntN(3)]...)
			case n == 1 && p != first && p.epoch > 0:
				p.leave()
			case n == 2:
				b.now += rng.Int64N(8_000)
				first.beat(nil)
				b.g.tick(b.now)
			case n == 3:
				b.reload()
			case n < 6:
				r.names = [][]string{{"t"}, {"u"}, {"t", "u"}}[rng.IntN(3)]
				r.again = true
				r.step()
			case n < 11 && r.names != nil:
				r.step()
			case p.epoch > 0:
				p.beat(nil)
			}
			if p.err != nil {
				p.epoch, p.owned = JoinEpoch, nil
			}
			if first.err != nil || first.epoch == 0 {
				first.join("t", "u")
			}
			check()
		}
		for range 20 {
			for _, p := range players {
				if p.epoch <= 0 || p.err != nil || !slices.Equal(p.names, []string{"t", "u"}) {
					p.join("t", "u")
				}
				p.beat(nil)
				check()
			}
			for _, r := range riders {
				if !slices.Equal(r.names, []string{"t", "u"}) {
					r.names, r.again = []string{"t", "u"}, true
				}
				r.step()
				check()
			}
		}
		sizes := []int{}
		for _, id := range slices.Sorted(maps.Keys(b.g.members)) {
			sizes = append(sizes, len(b.g.members[id].owned))
		}
		if b.g.state() != GroupStable || fmt.Sprint(slices.Sorted(slices.Values(sizes))) != "[1 1 1 1 2 2]" {
			t.Fatalf("seed %d: %s, %v", seed, b.g.state(), sizes)
		}
		for _, r := range riders {
			if got := len(b.g.members[r.id].owned); got != len(r.owned) {
				t.Fatalf("seed %d: %s has %d, knows of %d", seed, r.id, got, len(r.owned))
			}
		}
	}
}

// TestClientsThatDoNotComeAgain: a client of the classic protocol that is told to
// join again, or has joined and does not ask for its part, is out in time.
func TestClientsThatDoNotComeAgain(t *testing.T) {
	b := newConsumerBench(t, map[string]int32{"t": 2})
	b.player("p").join("t")
	r := &rider{b: b, id: "r", names: []string{"t"}, again: true}
	join := func() {
		t.Helper()
		if got := b.g.join(b.now, &Join{MemberID: "r", Session: 45_000, Rebalance: 20_000, ProtocolType: "consumer", Protocols: r.subscription()}); got.Err != nil {
			t.Fatal(got.Err)
		}
	}
	join()
	b.g.tick(b.now + 20_000)
	if b.g.members["r"] != nil {
		t.Fatal("it has not synced, and is still there")
	}
	join()
	m := b.g.members["r"]
	if got := b.g.sync(b.now, &Sync{MemberID: "r", Generation: m.epoch}); got.Err != nil {
		t.Fatal(got.Err)
	}
	b.player("q").join("t")
	if err := b.g.beatClassic(b.now, "r", "", m.epoch); codeOf(err) != RebalanceInProgress {
		t.Fatal(err)
	}
	b.g.tick(b.now + 19_999)
	if b.g.members["r"] == nil {
		t.Fatal("it had time")
	}
	b.g.tick(b.now + 20_000)
	if b.g.members["r"] != nil {
		t.Fatal("it has not joined again, and is still there")
	}
}

// TestApacheKafkasClassicMember reads a member of the classic protocol as Apache
// Kafka 4.4.0 wrote it, and writes the same bytes.
func TestApacheKafkasClassicMember(t *testing.T) {
	value, err := hex.DecodeString("00000000076f7261636c650b2f3132372e302e302e31021c6f7261636c652d67726f75705f6d6967726174696f6e2d76302d61010000753000010036" +
		"0100007530020672616e676528000000000001001b6f7261636c652d67726f75705f6d6967726174696f6e2d76302d61000000000000")
	if err != nil {
		t.Fatal(err)
	}
	b := newConsumerBench(t, nil)
	if err := b.g.apply(recordMember, "m", value, b.now); err != nil {
		t.Fatal(err)
	}
	m := b.g.members["m"]
	if m.classic == nil || m.classic.session != 30_000 || m.classic.protocols[0].Name != "range" || m.expires != b.now+30_000 {
		t.Fatalf("%+v", m)
	}
	if got := m.metadata(false); !bytes.HasSuffix(value, m.classic.value()) || len(got) != len(value) {
		t.Fatalf("%x, want %x", got, value)
	}
}

// TestClassicMembersReadWhatTheyMayKnow: a client of the classic protocol is given
// nothing of a topic that it may not know of, whatever it says that it reads.
func TestClassicMembersReadWhatTheyMayKnow(t *testing.T) {
	b := newConsumerBench(t, map[string]int32{"t": 1, "secret": 1})
	a := b.player("a")
	a.beat(func(in *Beat) { in.Rebalance, in.Names = 1000, []string{"t", "secret"} })
	r := &rider{b: b, names: []string{"secret"}}
	got := b.g.join(b.now, &Join{Group: "g", Session: 10_000, Rebalance: 10_000, ProtocolType: "consumer", Protocols: r.subscription(),
		MayDescribe: func(topic string) bool { return topic == "t" }})
	if got.Err != nil {
		t.Fatal(got.Err)
	}
	if m := b.g.members[got.MemberID]; len(m.names) != 0 || len(m.target) != 0 {
		t.Errorf("it reads %v, and is to have %v", m.names, m.target)
	}
}
