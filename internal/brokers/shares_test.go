package brokers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"thalweg/internal/limits"
	"thalweg/internal/log"
)

// take has a member of group g read partition 0 of a topic.
func (w *world) take(t *Topic, member string, most int) []Acquired {
	w.t.Helper()
	got, list, err := w.cluster.Shares().Acquire(context.Background(), &ShareRead{Group: "g", Member: member, Topic: t, MaxBytes: 1 << 20, MaxRecords: most, Strict: true, BatchSize: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	got.Release()
	return list
}

func (w *world) say(t *Topic, member string, acks ...Ack) Code {
	w.t.Helper()
	return codeOf(w.cluster.Shares().Acknowledge(context.Background(), "g", member, t, 0, acks)())
}

// groupConfig sets an entry of group g, which is there from then on.
func (w *world) groupConfig(name, value string) {
	w.t.Helper()
	if err := w.cluster.Groups().EmptyShare(context.Background(), "g", true); err != nil {
		w.t.Fatal(err)
	}
	if err := w.cluster.ChangeGroupConfigs(context.Background(), "g", []ConfigChange{{Name: name, Op: SetConfig, Value: value}}, false, false); err != nil {
		w.t.Fatal(err)
	}
}

// putN appends n records in batches of three.
func (w *world) putN(t *Topic, n int) {
	w.t.Helper()
	now := w.clock.Now().UnixMilli()
	for ; n > 0; n -= 3 {
		times := []int64{now, now, now}
		w.put(t, times[:min(n, 3)]...)
	}
}

// TestSharesThroughPowerCuts: what was acknowledged never comes again, whatever else
// there is does, and deliveries that were given back are counted.
func TestSharesThroughPowerCuts(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(t)
		topic := w.topic("game", 1)
		w.groupConfig("share.auto.offset.reset", "earliest")
		w.groupConfig("share.delivery.count.limit", "10")
		const total = 60
		w.putN(topic, total)
		r := rand.New(rand.NewPCG(seed, 1))
		done, returned := map[int64]bool{}, map[int64]int16{}
		for range 3 {
			for range r.IntN(8) {
				for _, a := range w.take(topic, "a", 1+r.IntN(7)) {
					ack := Ack{First: a.First, Last: a.Last}
					for o := a.First; o <= a.Last; o++ {
						if done[o] {
							t.Fatalf("seed %d: %d came again", seed, o)
						}
						if a.Count <= returned[o] {
							t.Fatalf("seed %d: delivery %d of %d, after %d", seed, a.Count, o, returned[o])
						}
						ack.Types = append(ack.Types, AckType(1+r.IntN(3)))
					}
					if r.IntN(4) == 0 {
						continue // it says nothing
					}
					if code := w.say(topic, "a", ack); code != OK {
						t.Fatal(code)
					}
					for o := a.First; o <= a.Last; o++ {
						if ack.Types[o-a.First] == AckRelease {
							returned[o] = a.Count
						} else {
							done[o] = true
						}
					}
				}
			}
			if err := w.beside.Stop(context.Background()); err != nil {
				t.Fatal(err)
			}
			w.fs = w.fs.Crash(seed)
			w.open()
			topic = w.cluster.Topic("game")
		}
		for list := w.take(topic, "b", total); len(list) > 0; list = w.take(topic, "b", total) {
			for _, a := range list {
				for o := a.First; o <= a.Last; o++ {
					if done[o] {
						t.Fatalf("seed %d: %d came again", seed, o)
					}
					done[o] = true
				}
			}
		}
		if len(done) != total {
			t.Fatalf("seed %d: %d of %d", seed, len(done), total)
		}
	}
}

// TestShareStart: where a group begins is kept, so that what comes while it is away is
// not passed over.
func TestShareStart(t *testing.T) {
	for _, tc := range []struct{ reset, want string }{
		{"latest", "[]"}, {"earliest", "[{0 5 1}]"}, {"by_duration:PT30S", "[{3 5 1}]"}, {"by_duration:P1D", "[{0 5 1}]"}, {"by_duration:PT0.001S", "[]"},
	} {
		w := newWorld(t)
		topic := w.topic("game", 1)
		w.putN(topic, 3)
		w.clock.Advance(time.Minute)
		w.putN(topic, 3)
		w.clock.Advance(time.Second)
		w.groupConfig("share.auto.offset.reset", tc.reset)
		if got := fmt.Sprint(w.take(topic, "a", 10)); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.reset, got, tc.want)
		}
		w.restart()
		topic = w.cluster.Topic("game")
		w.putN(topic, 3)
		list := w.take(topic, "a", 10)
		if n := len(list); n == 0 || list[n-1].Last != 8 {
			t.Errorf("%s: %v", tc.reset, list)
		}
	}
	w := newWorld(t)
	for _, bad := range []string{"never", "by_duration:", "by_duration:P", "by_duration:PT", "by_duration:-PT1S", "by_duration:P1Y", "by_duration:1"} {
		err := w.cluster.ChangeGroupConfigs(t.Context(), "g", []ConfigChange{{Name: "share.auto.offset.reset", Op: SetConfig, Value: bad}}, false, false)
		if codeOf(err) != InvalidConfig {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestShareLocks: a member's time ends, a record has so many deliveries, the window
// bounds what is under way, and records that are no more are passed over.
func TestShareLocks(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("game", 1)
	w.groupConfig("share.auto.offset.reset", "earliest")
	w.groupConfig("share.delivery.count.limit", "2")
	w.groupConfig("share.partition.max.record.locks", "100")
	w.putN(topic, 150)
	check := func(what, want string, got []Acquired) {
		t.Helper()
		if s := fmt.Sprint(got); s != want {
			t.Errorf("%s: %s, want %s", what, s, want)
		}
	}
	check("all that fit", "[{0 99 1}]", w.take(topic, "a", 1000))
	check("no more", "[]", w.take(topic, "b", 1000))
	w.clock.Advance(29 * time.Second)
	check("it still has them", "[]", w.take(topic, "b", 1000))
	renew := Ack{First: 0, Last: 9, Types: []AckType{AckRenew}}
	w.groupConfig("share.renew.acknowledge.enable", "False")
	if code := w.say(topic, "a", renew); code != InvalidRecordState {
		t.Error(code)
	}
	w.groupConfig("share.renew.acknowledge.enable", "True")
	if code := w.say(topic, "a", renew); code != OK {
		t.Error(code)
	}
	w.clock.Advance(2 * time.Second)
	check("but what was renewed", "[{10 99 2}]", w.take(topic, "b", 1000))
	if code := w.say(topic, "a", Ack{First: 10, Last: 11, Types: []AckType{AckAccept}}); code != InvalidRecordState {
		t.Error(code)
	}
	if code := w.say(topic, "a", Ack{First: 0, Last: 9, Types: []AckType{AckAccept}}); code != OK {
		t.Error(code)
	}
	check("there is room again", "[{100 109 1}]", w.take(topic, "c", 1000))
	if _, err := w.cluster.Trim(topic, 0, 120); err != nil {
		t.Error(err)
	}
	check("what was removed", "[{120 149 1}]", w.take(topic, "c", 1000))
	if code := w.say(topic, "b", Ack{First: 10, Last: 119, Types: []AckType{AckAccept}}); code != OK {
		t.Error(code)
	}
	w.clock.Advance(31 * time.Second)
	check("a second time", "[{120 149 2}]", w.take(topic, "a", 1000))
	w.clock.Advance(31 * time.Second)
	check("and no third", "[]", w.take(topic, "a", 1000))
}

// TestSharesGo: with their group, or with their topic.
func TestSharesGo(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("game", 1)
	w.groupConfig("share.auto.offset.reset", "earliest")
	w.putN(topic, 3)
	if out, err := w.cluster.Groups().HeartbeatShare(t.Context(), Beat{Group: "g", MemberID: "a", Rebalance: -1, Names: []string{"game"}}); err != nil || len(out.Assigned) != 1 {
		t.Fatal(out, err)
	}
	if len(w.take(topic, "a", 3)) != 1 {
		t.Fatal("nothing is taken")
	}
	if code := w.say(topic, "a", Ack{First: 0, Last: 2, Types: []AckType{AckAccept}}); code != OK {
		t.Fatal(code)
	}
	if err := w.cluster.Groups().Delete(t.Context(), "g"); codeOf(err) != NonEmptyGroup {
		t.Fatal(err)
	}
	w.restart()
	if _, err := w.cluster.Groups().HeartbeatShare(t.Context(), Beat{Group: "g", MemberID: "a", Epoch: LeaveEpoch}); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(30 * 24 * time.Hour) // it is not forgotten
	if is, err := w.cluster.Groups().IsShare(t.Context(), "g"); !is || err != nil {
		t.Fatal(is, err)
	}
	if _, err := w.cluster.Groups().HeartbeatConsumer(t.Context(), Beat{Group: "g", MemberID: "a", Names: []string{"game"}, Owned: []TopicPartitions{}}); codeOf(err) != GroupIDNotFound {
		t.Fatal(err)
	}
	if err := w.cluster.Groups().Delete(t.Context(), "g"); err != nil {
		t.Fatal(err)
	}
	w.restart()
	topic = w.cluster.Topic("game")
	if _, _, err := w.cluster.Shares().Acquire(t.Context(), &ShareRead{Group: "g", Member: "a", Topic: topic, MaxBytes: 1, MaxRecords: 1}); codeOf(err) != UnknownTopic {
		t.Fatal(err)
	}
	w.groupConfig("share.auto.offset.reset", "earliest")
	if got := fmt.Sprint(w.take(topic, "a", 3)); got != "[{0 2 1}]" {
		t.Fatalf("it begins anew: %s", got)
	}
	if err := w.cluster.DeleteTopic(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	w.restart()
	if err := w.cluster.Shares().Ready(t.Context()); err != nil || len(w.cluster.Shares().byKey) != 0 {
		t.Fatal(err, w.cluster.Shares().byKey)
	}
}

// TestSharesDrawOnMemory: what share partitions take is drawn on the budget, given
// back, and refused when there is none left.
func TestSharesDrawOnMemory(t *testing.T) {
	w := newWorld(t)
	budget := limits.NewBudget(8 << 10)
	w.cluster.memory = limits.NewShare(budget) // nothing has drawn on it yet
	topic := w.topic("game", 1)
	w.groupConfig("share.auto.offset.reset", "earliest")
	w.putN(topic, 90)
	before := budget.Used()
	list := w.take(topic, "a", 90)
	for o := list[0].First; o < 80; o += 2 { // one span for each record
		if code := w.say(topic, "a", Ack{First: o, Last: o, Types: []AckType{AckRelease}}); code != OK {
			t.Fatal(code)
		}
	}
	if used := budget.Used() - before; used < 80*spanBytes {
		t.Fatalf("%d bytes", used)
	}
	if _, _, err := w.cluster.Shares().Acquire(t.Context(), &ShareRead{Group: "g", Member: "b", Topic: topic, MaxBytes: 1, MaxRecords: 1}); codeOf(err) != NotEnoughReplicas {
		t.Fatal(err)
	}
	if err := w.cluster.Shares().forget(t.Context(), func(shareKey) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if used := budget.Used(); used != before {
		t.Fatalf("%d bytes, %d before", used, before)
	}
}

// TestShareStateIsRewritten: the place of share partitions does not grow for ever, and
// a restart reads the same from what is left.
func TestShareStateIsRewritten(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("game", 1)
	w.groupConfig("share.auto.offset.reset", "earliest")
	w.groupConfig("share.delivery.count.limit", "10")
	w.putN(topic, 90)
	first := w.take(topic, "a", 90)[0].First
	e := w.cluster.Shares().where(func(shareKey) bool { return true })[0]
	for o := first; o < 88; o += 2 {
		if code := w.say(topic, "a", Ack{First: o, Last: o, Types: []AckType{AckReject}}); code != OK {
			t.Fatal(code)
		}
	}
	for range 2000 {
		if code := w.say(topic, "a", Ack{First: 1, Last: 1, Types: []AckType{AckRelease}}); code != OK {
			t.Fatal(code)
		}
		e.mu.Lock()
		e.state.part.over(1, 1)[0].count = 0 // it may go on for ever
		e.mu.Unlock()
		if list := w.take(topic, "a", 1); len(list) != 1 || list[0].First != 1 {
			t.Fatal(list)
		}
	}
	at, _ := w.cluster.Topic(ShareTopic).Partition(e.key.store())
	info, err := w.log.Info(at)
	if err != nil || info.Start == 0 || info.Bytes > 2*rewriteBytes {
		t.Fatalf("%+v, %v", info, err)
	}
	w.restart()
	topic = w.cluster.Topic("game")
	want := int64(1)
	for _, a := range w.take(topic, "a", 90) {
		for o := a.First; o <= a.Last; o++ {
			if o != want {
				t.Fatalf("%d, want %d", o, want)
			}
			if want += 2; want > 88 {
				want = o + 1
			}
		}
	}
}

// TestShareOfACompactedTopic: what compaction has taken away is passed over, within
// what is under way and beyond it.
func TestShareOfACompactedTopic(t *testing.T) {
	w := newWorld(t)
	topic := w.topic("table", 1, "cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.01", "segment.bytes", "14")
	w.groupConfig("share.auto.offset.reset", "earliest")
	w.groupConfig("share.partition.max.record.locks", "100")
	w.putN(topic, 30) // one key
	if got := fmt.Sprint(w.take(topic, "a", 4)); got != "[{0 3 1}]" {
		t.Fatal(got)
	}
	w.clock.Advance(time.Hour) // they come back
	w.putN(topic, 300)
	w.clock.Advance(time.Hour)
	at, _ := topic.Partition(0)
	if err := w.log.Compact(); err != nil {
		t.Fatal(err)
	}
	got, err := w.log.Read(at, 0, 1<<20, log.Uncommitted)
	if err != nil || len(got.List) == 0 || got.List[0].Base < 200 {
		t.Fatalf("%+v, %v: nothing was compacted", got.List, err)
	}
	first := got.List[0].Base
	got.Release()
	list := w.take(topic, "a", 400)
	if first < 230 || len(list) == 0 || list[0].First != first || list[len(list)-1].Last != 329 {
		t.Fatalf("%v, want %d to 329", list, first)
	}
	if code := w.say(topic, "a", Ack{First: first, Last: 329, Types: []AckType{AckAccept}}); code != OK {
		t.Fatal(code)
	}
	o, refused := w.cluster.Shares().Offset(t.Context(), "g", topic, 0)
	if refused != nil || o.Start != 330 || o.Lag != 0 {
		t.Fatalf("%+v, %v", o, refused)
	}
}

// TestShareNamesAreCounted: what share partitions keep of names is drawn on the budget,
// and nothing is kept of who waited for a group.
func TestShareNamesAreCounted(t *testing.T) {
	const n = 100 << 10
	long := strings.Repeat("x", n)
	for name, r := range map[string]ShareRead{"a member": {Group: "g", Member: long}, "a group": {Group: long, Member: "m"}} {
		w := newWorld(t)
		budget := limits.NewBudget(4 << 20)
		w.cluster.memory = limits.NewShare(budget) // nothing has drawn on it yet
		r.Topic, r.MaxBytes, r.MaxRecords, r.Strict, r.BatchSize = w.topic("game", 1), 1<<20, 1, true, 100
		if err := w.cluster.Shares().Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		second := r
		second.Group, second.Member = r.Group+"2", r.Member+"2"
		for _, group := range []string{r.Group, second.Group} {
			if err := w.cluster.Groups().EmptyShare(t.Context(), group, true); err != nil {
				t.Fatal(err)
			}
		}
		acquire := func(r *ShareRead) *Error {
			_, _, err := w.cluster.Shares().Acquire(t.Context(), r) // the group begins at the end
			if err == nil {
				w.putN(r.Topic, 3)
				_, _, err = w.cluster.Shares().Acquire(t.Context(), r)
			}
			return err
		}
		before := budget.Used()
		if err := acquire(&r); err != nil || budget.Used()-before < n {
			t.Errorf("%s: %d bytes are drawn, %v", name, budget.Used()-before, err)
		}
		budget.Take(budget.Max() - budget.Used() - n/2)
		if acquire(&second) == nil {
			t.Errorf("%s is taken without memory", name)
		}
		_, left := w.cluster.Shares().Wake(long)
		_, right := w.cluster.Shares().Wake(long)
		if left(); len(w.cluster.shares.waits) != 1 {
			t.Error("who still waits is forgotten")
		}
		if right(); len(w.cluster.shares.waits) != 0 {
			t.Error("nobody waits, and the group is still known")
		}
	}
}
