package brokers

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"thalweg/internal/limits"
)

// TestWhatClientsNameIsCounted: whatever a client can make the cluster keep is drawn
// on the budget by its length, also what Apache Kafka's own clients keep short.
func TestWhatClientsNameIsCounted(t *testing.T) {
	const n = 100 << 10
	long := strings.Repeat("x", n)
	words := make([]string, 10_000) // of which each takes more than its letters
	for i := range words {
		words[i] = fmt.Sprintf("%04d", i)
	}
	in := func(set func(*Beat)) func(*world) *Error {
		return func(w *world) *Error {
			b := Beat{Group: "g", MemberID: "m", Rebalance: 1000, Names: []string{"game"}}
			set(&b)
			_, err := w.beat(b)
			return err
		}
	}
	joins := func(set func(*Join)) func(*world) *Error {
		return func(w *world) *Error {
			j := Join{Group: "g", ClientID: "c", Session: 10_000, Rebalance: 10_000, ProtocolType: "consumer", Protocols: []Protocol{{Name: "range"}}}
			set(&j)
			err := w.cluster.Groups().Join(t.Context(), j).Err
			if codeOf(err) == MemberIDRequired {
				err = nil
			}
			return err
		}
	}
	for name, do := range map[string]func(*world) *Error{
		"an id given out":    joins(func(j *Join) { j.ClientID, j.NeedsID = long, true }),
		"a client":           joins(func(j *Join) { j.ClientID = long }),
		"an instance":        joins(func(j *Join) { j.Instance = long }),
		"a kind of protocol": joins(func(j *Join) { j.ProtocolType = long }),
		"a group":            joins(func(j *Join) { j.Group = long }),
		"a consumers' group": in(func(b *Beat) { b.Group = long }),
		"a consumer":         in(func(b *Beat) { b.MemberID = long }),
		"a rack":             in(func(b *Beat) { b.Rack = &long }),
		"a static consumer":  in(func(b *Beat) { b.Instance = &long }),
		"many names":         in(func(b *Beat) { b.Names = words }),
		"a group that commits": func(w *world) *Error {
			return w.cluster.Groups().Commit(t.Context(), long, "", "", -1, []Commit{{Topic: "game"}})
		},
		"a transactional id": func(w *world) *Error {
			_, _, err := w.cluster.Transactions().Init(t.Context(), long, 1000, -1, -1)
			return err
		},
		"offsets of a transaction": func(w *world) *Error {
			id, epoch, err := w.cluster.Transactions().Init(t.Context(), "t", 1000, -1, -1)
			if err != nil {
				return err
			}
			x, err := w.cluster.Transactions().Enter(t.Context(), "t")
			if err != nil {
				return err
			}
			defer x.Leave()
			var list []Commit
			for i := range int32(100) {
				list = append(list, Commit{Topic: "game", Partition: i, Committed: Committed{Metadata: long[:1<<10]}})
			}
			return w.cluster.Groups().CommitInTxn(t.Context(), x, id, epoch, "g", "", "", -1, list, true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, room := range []int64{4 << 20, n / 2} {
				w := newWorld(t)
				w.topic("game", 100)
				if err := w.cluster.Transactions().Ready(t.Context()); err != nil {
					t.Fatal(err)
				}
				budget := limits.NewBudget(room)
				w.cluster.memory = limits.NewShare(budget)
				err := do(w)
				_, _ = w.cluster.Groups().List(t.Context()) // it waits for the groups' locks
				if held := budget.Used(); room > n && (err != nil || held < n) {
					t.Errorf("%d bytes are kept, %d drawn, %v", n, held, err)
				}
				if room < n && codeOf(err) != CoordinatorNotAvailable {
					t.Errorf("without room: %v", err)
				}
			}
		})
	}
}

// TestPatternsAreShort: a regular expression that would take a hundred megabytes to
// compile is refused before it is.
func TestPatternsAreShort(t *testing.T) {
	w := newWorld(t)
	for _, pattern := range []string{strings.Repeat("x{1000}", 3000), strings.Repeat("x{1000}", 500), strings.Repeat(`\pL{100}`, 50)} {
		w.refusesPattern(pattern)
	}
	b := Beat{Group: "g", MemberID: "m", Rebalance: 1000}
	good := "t-[a-z]{1,20}" + strings.Repeat("|some-topic-of-many", 200)
	b.Regex = &good
	if _, err := w.beat(b); err != nil {
		t.Error(err)
	}
}

// refusesPattern wants a regular expression refused wherever one can be given, and
// nothing done for it.
func (w *world) refusesPattern(pattern string) {
	t := w.t
	t.Helper()
	for name, do := range map[string]func() *Error{
		"of topics": func() *Error {
			_, err := w.beat(Beat{Group: "g", MemberID: "m", Rebalance: 1000, Regex: &pattern})
			return err
		},
		"of transactional ids": func() *Error {
			_, err := w.cluster.Transactions().List(context.Background(), TxnFilter{Running: -1, Pattern: pattern})
			return err
		},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := do(); codeOf(err) != InvalidRegularExpression || len(err.Msg) > 200 {
			t.Errorf("%s: %d", name, codeOf(err))
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
			t.Errorf("%s: %d MiB were allocated", name, took>>20)
		}
	}
}

// TestAssignmentsAreAdmitted: a leader brings no assignment that there is no room for.
func TestAssignmentsAreAdmitted(t *testing.T) {
	w := newWorld(t)
	gs := w.cluster.Groups()
	if err := gs.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.cluster.memory = limits.NewShare(limits.NewBudget(64 << 10))
	j := gs.Join(t.Context(), Join{Group: "g", ClientID: "c", Session: 10_000, Rebalance: 10_000, ProtocolType: "consumer", Protocols: []Protocol{{Name: "range"}}})
	if j.Err != nil {
		t.Fatal(j.Err)
	}
	s := gs.Sync(t.Context(), Sync{Group: "g", MemberID: j.MemberID, Generation: j.Generation, Assignments: map[string][]byte{j.MemberID: make([]byte, 100<<10)}})
	if codeOf(s.Err) != CoordinatorNotAvailable {
		t.Errorf("%+v", s.Err)
	}
}
