package queues_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

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

// TestBounds receives as many records as may be in flight, and one more; and with
// memory for few.
func TestBounds(t *testing.T) {
	const most = 25
	for _, o := range []queues.Options{{InFlight: most}, {Memory: limits.NewBudget(most * 256)}} {
		w := newWorld(t, streams.QueueSettings{VisibilitySeconds: 3600})
		o.Streams, o.Log, o.Partition, o.Clock = w.svc, w.log, partition, w.clock
		var err error
		if w.q, err = queues.Open(ctx, o); err != nil {
			t.Fatal(err)
		}
		for i := range most + 5 {
			if err := w.put(fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		var last queues.Record
		for n := 0; n < most; {
			found, err := w.receive(false, 10, -1)
			if err != nil || len(found) == 0 {
				t.Fatalf("after %d: %d, %v", n, len(found), err)
			}
			n += len(found)
			last = found[0]
		}
		if found, err := w.receive(false, 10, -1); errs.KindOf(err) != errs.Throttled || len(found) != 0 {
			t.Fatalf("beyond %d: %d, %v", most, len(found), err)
		}
		if _, err := w.q.Acknowledge(ctx, w.batch(false, last.Receipt)); err != nil {
			t.Fatal(err)
		}
		if found, err := w.receive(false, 10, -1); err != nil || len(found) != 1 {
			t.Fatalf("after one was acknowledged: %d, %v", len(found), err)
		}
		w.disk.Close(ctx)
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
