package queues_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/queues"
	"thalweg/internal/streams"
	"thalweg/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	scope = catalog.Scope{Account: "000000000000", Region: "us-east-1"}
)

type fixedKeys struct{}

func (fixedKeys) Secret(string) [32]byte { return [32]byte{1} }

// world is a queue over a stream, a log in memory and a clock of its own.
type world struct {
	fs     *vfs.Mem
	clock  *clock.Manual
	memory *limits.Budget
	disk   *disk.Log
	log    *refusingLog
	svc    *streams.Service
	q      *queues.Service
	id     string // of the queue
}

// refusingLog refuses the queues' events with an error.
type refusingLog struct {
	log.Log
	err error
}

func (l *refusingLog) Append(req log.Request, done func([]log.Result)) {
	if l.err == nil || req.Entries[0].Partition != partition || req.Entries[0].Kind != log.Data {
		l.Log.Append(req, done)
		return
	}
	out := make([]log.Result, len(req.Entries))
	for i := range out {
		out[i].Err = l.err
	}
	done(out)
}

var partition = log.PartitionID{Index: 4}

func open(w *world) error {
	var err error
	if w.disk, err = disk.Open(ctx, disk.Options{FS: w.fs, Dir: "data", Clock: w.clock, Manual: true, WALFileBytes: 256 << 10}); err != nil {
		return err
	}
	w.log = &refusingLog{Log: w.disk}
	cat, err := catalog.Open(ctx, w.log, w.clock)
	if err != nil {
		return err
	}
	if w.svc, err = streams.New(streams.Options{Log: w.log, Catalog: cat, Clock: w.clock, Keys: fixedKeys{}}); err != nil {
		return err
	}
	w.memory = limits.NewBudget(1 << 30)
	w.q, err = queues.Open(ctx, queues.Options{Streams: w.svc, Log: w.log, Partition: partition, Clock: w.clock, Memory: w.memory})
	return err
}

var ctx = context.Background()

// build makes the stream and the queue.
func (w *world) build(set streams.QueueSettings, from streams.Start) error {
	if _, err := w.svc.SetCommitment(ctx, scope, true); err != nil {
		return err
	}
	if err := w.svc.Create(ctx, streams.NewStream{Scope: scope, Name: "s", Mode: catalog.OnDemand}); err != nil {
		return err
	}
	r, err := w.svc.CreateQueue(ctx, streams.NewQueue{Scope: scope, Name: "q", Stream: "s", Settings: set, Start: streams.StartingAt{Type: from}})
	if err == nil {
		w.id = r.Name
	}
	return err
}

type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func newWorld(t tester, set streams.QueueSettings) *world {
	t.Helper()
	w := &world{fs: vfs.NewMem(1), clock: clock.NewManual(start)}
	if err := open(w); err != nil {
		t.Fatal(err)
	}
	if err := w.build(set, streams.Latest); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) put(data string) error {
	r, err := w.svc.Lookup(scope, "s")
	if err != nil {
		return err
	}
	p := w.svc.NewPut(r)
	defer p.Release()
	dst, err := p.Add([]byte("key of "+data), nil, len(data))
	if err != nil {
		return err
	}
	copy(dst, data)
	p.Commit()
	_, err = p.Result(0)
	return err
}

func (w *world) receive(dead bool, limit, visibility int) ([]queues.Record, error) {
	return w.q.Receive(ctx, queues.Receiving{Scope: scope, Queue: w.id, Dead: dead, Limit: limit, VisibilitySeconds: visibility})
}

func (w *world) batch(dead bool, receipts ...string) queues.Batch {
	return queues.Batch{Scope: scope, Queue: w.id, Dead: dead, Receipts: receipts}
}

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

// TestCrash cuts the power at call after call of a script of puts, receives,
// acknowledgements and dead letters. What was acknowledged never comes back; what
// was received stays hidden, its receipt good; all else is delivered.
func TestCrash(t *testing.T) {
	_, total := crashScript(vfs.NewMem(0))
	const points = 400
	for at := 1; at < total; at += max(1, total/points) {
		fs := vfs.NewMem(uint64(at))
		fs.Inject(func(op vfs.Op) error {
			if op.N == at {
				return vfs.ErrPowerCut
			}
			return nil
		})
		told, _ := crashScript(fs)
		told.check(t, at, fs.Crash(uint64(at)))
	}
}

// ledger is what a client was told.
type ledger struct {
	id     string
	put    map[string]bool
	held   map[string]string // received with a long timeout: the receipt, by data
	done   map[string]bool
	doubt  map[string]bool // in the acknowledgement under way when the power went
	failed error
}

func crashScript(fs *vfs.Mem) (*ledger, int) {
	l := &ledger{put: map[string]bool{}, held: map[string]string{}, done: map[string]bool{}, doubt: map[string]bool{}}
	w := &world{fs: fs, clock: clock.NewManual(start)}
	if open(w) != nil {
		return l, fs.Calls()
	}
	defer w.disk.Close(ctx)
	if w.build(streams.QueueSettings{VisibilitySeconds: 30}, streams.TrimHorizon) != nil {
		return l, fs.Calls()
	}
	l.id = w.id
	for i := 0; i < 40 && l.step(w, i); i++ {
	}
	return l, fs.Calls()
}

func (l *ledger) step(w *world, i int) bool {
	for j := range 3 {
		name := fmt.Sprintf("%d.%d", i, j)
		if w.put(name) != nil {
			return false
		}
		l.put[name] = true
	}
	if i%11 == 5 {
		r, err := w.svc.Lookup(scope, "s")
		if err != nil {
			return false
		}
		if _, err := w.svc.SetWarm(ctx, scope, "s", streams.OpenShards(r)+1); err != nil {
			return false
		}
	}
	found, err := w.receive(false, 4, 3600)
	if err != nil {
		return false
	}
	for _, f := range found {
		l.held[string(f.Data)] = f.Receipt
	}
	if i%2 == 1 && len(found) > 1 {
		names := []string{string(found[0].Data), string(found[1].Data)}
		for _, n := range names {
			l.doubt[n] = true
		}
		if _, err := w.q.Acknowledge(ctx, w.batch(false, found[0].Receipt, found[1].Receipt)); err != nil {
			return false
		}
		for _, n := range names {
			delete(l.doubt, n)
			delete(l.held, n)
			l.done[n] = true
		}
	}
	return i%9 != 8 || w.disk.Step() == nil
}

func (l *ledger) check(t *testing.T, at int, fs *vfs.Mem) {
	t.Helper()
	w := &world{fs: fs, clock: clock.NewManual(start), id: l.id}
	if err := open(w); err != nil {
		t.Fatalf("crash at call %d: %v", at, err)
	}
	defer w.disk.Close(ctx)
	if l.id == "" {
		return
	}
	visible := map[string]bool{}
	gather := func() {
		for {
			found, err := w.receive(false, 10, 7200)
			if err != nil {
				t.Fatalf("crash at call %d: %v", at, err)
			}
			if len(found) == 0 {
				return
			}
			for _, f := range found {
				name := string(f.Data)
				if visible[name] || l.done[name] {
					t.Fatalf("crash at call %d: %s came back (acknowledged: %v)", at, name, l.done[name])
				}
				visible[name] = true
			}
		}
	}
	gather()
	for _, name := range slices.Sorted(maps.Keys(l.held)) {
		if visible[name] {
			t.Fatalf("crash at call %d: %s was to be hidden", at, name)
		}
	}
	for name, receipt := range l.held {
		failures, err := w.q.Hide(ctx, w.batch(false, receipt), []int{0})
		if gone := err == nil && errors.Is(failures[0], queues.ErrDone) && l.doubt[name]; err != nil || failures[0] != nil && !gone {
			t.Fatalf("crash at call %d: the receipt of %s: %v, %v", at, name, failures, err)
		}
	}
	w.clock.Advance(time.Hour) // whatever receive was not answered
	gather()
	for name := range l.put {
		if !visible[name] && !l.done[name] && !l.doubt[name] {
			t.Fatalf("crash at call %d: %s is lost", at, name)
		}
	}
}

// TestRefused has the log refuse for a while. Calls say so, and nothing is lost, be
// it that the process goes on or that it is started again.
func TestRefused(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t, streams.QueueSettings{VisibilitySeconds: 30})
		for i := range 30 {
			if err := w.put(fmt.Sprint("r", i)); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := w.receive(false, 5, 3600)
		if err != nil {
			t.Fatal(err)
		}
		w.log.err = log.ErrNoSpace
		for range 3 {
			if _, err := w.receive(false, 5, -1); errs.KindOf(err) != errs.NoSpace {
				t.Fatal(err)
			}
		}
		if _, err := w.q.Acknowledge(ctx, w.batch(false, kept[0].Receipt)); errs.KindOf(err) != errs.NoSpace {
			t.Fatal(err)
		}
		w.log.err = nil
		first, err := w.receive(false, 10, 3600)
		if err != nil || len(first) == 0 {
			t.Fatal(first, err)
		}
		if restart {
			if err := w.disk.Close(ctx); err != nil {
				t.Fatal(err)
			}
			if err := open(w); err != nil {
				t.Fatal(err)
			}
		}
		w.clock.Advance(2 * time.Hour)
		got := map[string]bool{}
		for {
			found, err := w.receive(false, 10, 3600)
			if err != nil {
				t.Fatal(err)
			}
			if len(found) == 0 {
				break
			}
			for _, f := range found {
				got[string(f.Data)] = true
			}
		}
		if len(got) != 30 {
			t.Errorf("restart %v: %d of 30 records", restart, len(got))
		}
		w.disk.Close(ctx)
	}
}

// TestConsumers has many consumers share a queue while records arrive and shards
// are redrawn. Each record is received once: nobody's timeout expires.
func TestConsumers(t *testing.T) {
	w := newWorld(t, streams.QueueSettings{VisibilitySeconds: 3600})
	defer w.disk.Close(ctx)
	const consumers, records = 6, 600
	var mu sync.Mutex
	seen := map[string]int{}
	all := make(chan struct{})
	run, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	for range consumers {
		wg.Go(func() {
			for {
				found, err := w.q.Receive(run, queues.Receiving{Scope: scope, Queue: w.id, Limit: 10, VisibilitySeconds: -1, Wait: 20 * time.Second})
				if run.Err() != nil {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				var receipts []string
				for _, f := range found {
					receipts = append(receipts, f.Receipt)
				}
				if failures, err := w.q.Acknowledge(ctx, w.batch(false, receipts...)); err != nil || slices.ContainsFunc(failures, func(e error) bool { return e != nil }) {
					t.Error(failures, err)
				}
				mu.Lock()
				for _, f := range found {
					if seen[string(f.Data)]++; len(seen) == records && seen[string(f.Data)] == 1 {
						close(all)
					}
				}
				mu.Unlock()
			}
		})
	}
	for i := range records {
		if err := w.put(fmt.Sprint("r", i)); err != nil {
			t.Fatal(err)
		}
		if i%150 == 149 {
			if _, err := w.svc.SetWarm(ctx, scope, "s", 5+i/150); err != nil {
				t.Fatal(err)
			}
		}
	}
	<-all
	stop()
	wg.Wait()
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s was received %d times", name, n)
		}
	}
	if used := w.memory.Used(); used != 0 {
		t.Errorf("%d bytes held for no record", used)
	}
}

// waiting starts a receive that waits, and returns its answer's channel once it
// does.
func (w *world) waiting(dead bool) <-chan []queues.Record {
	out := make(chan []queues.Record, 1)
	go func() {
		found, err := w.q.Receive(ctx, queues.Receiving{Scope: scope, Queue: w.id, Dead: dead, Limit: 10, VisibilitySeconds: -1, Wait: 20 * time.Second})
		if err != nil {
			found = []queues.Record{{Key: []byte(err.Error())}}
		}
		out <- found
	}()
	w.clock.AwaitTimers(1)
	return out
}

// TestWait has receives wait for everything that ends a wait: each must come
// without the clock being moved further than it says.
func TestWait(t *testing.T) {
	w := newWorld(t, streams.QueueSettings{VisibilitySeconds: 10, MaxReceives: 2})
	defer w.disk.Close(ctx)
	got := func(why string, c <-chan []queues.Record, want string) queues.Record {
		t.Helper()
		found := <-c
		if want == "" && len(found) == 0 {
			return queues.Record{}
		}
		if len(found) != 1 || string(found[0].Data) != want {
			t.Fatalf("%s: %+v", why, found)
		}
		return found[0]
	}
	c := w.waiting(false)
	w.clock.Advance(20 * time.Second)
	got("nothing came", c, "")

	c = w.waiting(false)
	if err := w.put("a"); err != nil {
		t.Fatal(err)
	}
	first := got("a put", c, "a")

	c = w.waiting(false)
	if _, err := w.q.Hide(ctx, w.batch(false, first.Receipt), []int{0}); err != nil {
		t.Fatal(err)
	}
	got("made visible", c, "a")

	c = w.waiting(true)
	w.clock.Advance(10 * time.Second)
	dead := got("a timeout makes a dead letter", c, "a")

	c = w.waiting(false)
	if _, err := w.q.Restore(ctx, w.batch(true, dead.Receipt)); err != nil {
		t.Fatal(err)
	}
	got("restored", c, "a")

	c = w.waiting(false)
	w.clock.Advance(10 * time.Second)
	got("a timeout", c, "a")

	c = w.waiting(false)
	if err := w.q.Delete(ctx, scope, w.id); err != nil {
		t.Fatal(err)
	}
	if found := <-c; len(found) != 1 || string(found[0].Key) == "" {
		t.Fatalf("deleted: %+v", found)
	}
	if used := w.memory.Used(); used != 0 {
		t.Errorf("%d bytes held for a queue that is gone", used)
	}
}

// TestRetention lets records pass the stream's retention, received ones and
// dead letters too: all are gone, and so is their memory.
func TestRetention(t *testing.T) {
	w := newWorld(t, streams.QueueSettings{VisibilitySeconds: 10, MaxReceives: 1})
	defer w.disk.Close(ctx)
	for i := range 20 {
		if err := w.put(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := w.receive(false, 10, -1); err != nil || len(found) != 10 {
		t.Fatal(found, err)
	}
	w.clock.Advance(time.Minute)
	if found, err := w.receive(true, 3, -1); err != nil || len(found) != 3 {
		t.Fatal(found, err)
	}
	w.clock.Advance(25 * time.Hour)
	for _, dead := range []bool{false, true} {
		if found, err := w.receive(dead, 10, -1); err != nil || len(found) != 0 {
			t.Fatal(found, err)
		}
	}
	if used := w.memory.Used(); used != 0 {
		t.Errorf("%d bytes held for no record", used)
	}
}
