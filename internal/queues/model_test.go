package queues_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"thalweg/internal/clock"
	"thalweg/internal/queues"
	"thalweg/internal/streams"
)

// TestModel plays calls at random against a model that knows, for each record, who
// may see it when. What a receive gives must be visible, and what it does not give
// though it has room must not be. It goes on across restarts, reshards and
// snapshots.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{t: t, w: newWorld(t, streams.QueueSettings{VisibilitySeconds: 30, MaxReceives: 3}), max: 3, records: map[string]*modelled{}}
		defer func() { m.w.disk.Close(ctx) }()
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				for range rapid.IntRange(1, 8).Draw(t, "n") {
					name := fmt.Sprint("r", len(m.records))
					m.must(m.w.put(name))
					m.records[name] = &modelled{}
				}
			},
			"receive":     func(t *rapid.T) { m.receive(t, false) },
			"receive2":    func(t *rapid.T) { m.receive(t, false) },
			"dead":        func(t *rapid.T) { m.receive(t, true) },
			"acknowledge": m.acknowledge,
			"hide":        m.hide,
			"restore":     m.restore,
			"advance": func(t *rapid.T) {
				m.w.clock.Advance(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
			},
			"settings": func(t *rapid.T) {
				m.asked()
				m.max = rapid.IntRange(0, 3).Draw(t, "max")
				_, err := m.w.svc.UpdateQueue(ctx, scope, m.w.id, func(set *streams.QueueSettings) error {
					set.MaxReceives = m.max
					return nil
				})
				m.must(err)
			},
			"reshard": func(t *rapid.T) {
				r, err := m.w.svc.Lookup(scope, "s")
				m.must(err)
				_, err = m.w.svc.SetWarm(ctx, scope, "s", streams.OpenShards(r)+1)
				m.must(err)
			},
			"restart": func(t *rapid.T) {
				m.must(m.w.disk.Close(ctx))
				m.must(open(m.w))
			},
		})
		m.w.clock.Advance(time.Hour)
		m.asked()
		m.max = 0 // nothing becomes a dead letter from here on
		_, err := m.w.svc.UpdateQueue(ctx, scope, m.w.id, func(set *streams.QueueSettings) error { set.MaxReceives = 0; return nil })
		m.must(err)
		m.drain(false)
		m.drain(true)
		for name, r := range m.records {
			if !r.done {
				t.Fatalf("%s was lost: %+v", name, r)
			}
		}
		if used := m.w.memory.Used(); used != 0 {
			t.Fatalf("%d bytes held for no record", used)
		}
	})
}

// model is what must be so.
type model struct {
	t       *rapid.T
	w       *world
	max     int
	records map[string]*modelled
	given   []given
}

type modelled struct {
	dead, done bool
	count      int
	turn       int   // of the receipt that is good
	visible    int64 // Unix ms
}

// given is a receipt, and what it was for.
type given struct {
	receipt, name string
	turn          int
}

func (m *model) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// age makes a dead letter of a record that is due.
func (m *model) age(r *modelled, now int64) {
	if !r.done && !r.dead && m.max > 0 && r.count >= m.max && r.visible <= now {
		r.dead = true
		r.turn = -1
	}
}

func (m *model) receive(t *rapid.T, dead bool) {
	limit, visibility := rapid.IntRange(1, 10).Draw(t, "limit"), rapid.SampledFrom([]int{-1, 0, 5, 60}).Draw(t, "visibility")
	found, err := m.w.receive(dead, limit, visibility)
	m.must(err)
	m.check(found, dead, limit, visibility)
}

func (m *model) check(found []queues.Record, dead bool, limit, visibility int) {
	now := clock.Millis(m.w.clock)
	if visibility < 0 {
		visibility = 30
	}
	names := map[string]bool{}
	for _, r := range m.records {
		if dead { // as every receive of dead letters looks for them all
			m.age(r, now)
		}
	}
	for _, f := range found {
		name := string(f.Data)
		r := m.records[name]
		if r == nil || names[name] || string(f.Key) != "key of "+name {
			m.t.Fatalf("received %q of key %q", name, f.Key)
		}
		names[name] = true
		m.age(r, now)
		if r.done || r.dead != dead || r.visible > now {
			m.t.Fatalf("received %s (dead: %v) at %d although it is %+v", name, dead, now, r)
		}
		r.count++
		if int(f.Count) != r.count {
			m.t.Fatalf("%s was received %d times, not %d", name, r.count, f.Count)
		}
		m.given = append(m.given, given{f.Receipt, name, len(m.given)})
		r.turn, r.visible = len(m.given)-1, now+int64(visibility)*1000
	}
	if len(found) == limit {
		return
	}
	for name, r := range m.records {
		if !names[name] {
			if m.age(r, now); !r.done && r.dead == dead && r.visible <= now {
				m.t.Fatalf("did not receive %s (dead: %v) at %d: %+v", name, dead, now, r)
			}
		}
	}
}

// pick draws receipts, old ones too.
func (m *model) pick(t *rapid.T) []given {
	if len(m.given) == 0 {
		t.Skip("no receipt yet")
	}
	var out []given
	for range rapid.IntRange(1, 4).Draw(t, "entries") {
		out = append(out, m.given[rapid.IntRange(0, len(m.given)-1).Draw(t, "receipt")])
	}
	return out
}

func receiptsOf(list []given) []string {
	out := make([]string, len(list))
	for i, g := range list {
		out[i] = g.receipt
	}
	return out
}

// stale tells the failure that a receipt must have, nil for none.
func (m *model) stale(g given, dead bool) error {
	switch r := m.records[g.name]; {
	case r.done:
		return queues.ErrDone
	case r.turn != g.turn || r.dead != dead:
		return queues.ErrStale
	}
	return nil
}

// asked has records that are due be dead letters: until somebody asks for records
// they may be so or not.
func (m *model) asked() {
	found, err := m.w.receive(true, 1, 0)
	m.must(err)
	m.check(found, true, 1, 0)
}

func (m *model) acknowledge(t *rapid.T) {
	m.asked()
	picked, dead := m.pick(t), rapid.Bool().Draw(t, "dead")
	failures, err := m.w.q.Acknowledge(ctx, m.w.batch(dead, receiptsOf(picked)...))
	m.must(err)
	for i, g := range picked { // a record that stands twice is good twice
		want := m.stale(g, dead)
		if want == queues.ErrDone {
			want = nil
		}
		if !errors.Is(failures[i], want) {
			t.Fatalf("acknowledge %+v (dead: %v): %v, not %v", g, dead, failures[i], want)
		}
	}
	for i, g := range picked {
		if failures[i] == nil {
			m.records[g.name].done = true
		}
	}
}

func (m *model) hide(t *rapid.T) {
	m.asked()
	picked, dead := m.pick(t), rapid.Bool().Draw(t, "dead")
	seconds := make([]int, len(picked))
	for i := range seconds {
		seconds[i] = rapid.SampledFrom([]int{0, 7, 50}).Draw(t, "seconds")
	}
	failures, err := m.w.q.Hide(ctx, m.w.batch(dead, receiptsOf(picked)...), seconds)
	m.must(err)
	now := clock.Millis(m.w.clock)
	for i, g := range picked {
		r, want := m.records[g.name], m.stale(g, dead)
		if want == nil && r.visible <= now {
			want = queues.ErrVisible
		}
		if !errors.Is(failures[i], want) {
			t.Fatalf("hide %+v (dead: %v): %v, not %v", g, dead, failures[i], want)
		}
		if want == nil {
			r.visible = now + int64(seconds[i])*1000
		}
	}
}

func (m *model) restore(t *rapid.T) {
	m.asked()
	picked := m.pick(t)
	failures, err := m.w.q.Restore(ctx, m.w.batch(true, receiptsOf(picked)...))
	m.must(err)
	for i, g := range picked {
		want := m.stale(g, true)
		if !errors.Is(failures[i], want) {
			t.Fatalf("restore %+v: %v, not %v", g, failures[i], want)
		}
		if want == nil {
			*m.records[g.name] = modelled{turn: -1, visible: clock.Millis(m.w.clock)}
		}
	}
}

// drain receives and acknowledges until there is nothing.
func (m *model) drain(dead bool) {
	for {
		found, err := m.w.receive(dead, 10, 60)
		m.must(err)
		m.check(found, dead, 10, 60)
		if len(found) == 0 {
			return
		}
		for _, f := range found {
			failures, err := m.w.q.Acknowledge(ctx, m.w.batch(dead, f.Receipt))
			m.must(err)
			m.must(failures[0])
			m.records[string(f.Data)].done = true
		}
	}
}
