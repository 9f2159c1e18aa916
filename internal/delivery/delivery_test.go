package delivery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
	"thalweg/internal/objstore"
	"thalweg/internal/streams"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDeliversWhatWasPut(t *testing.T) {
	w := newWorld(t)
	w.create("events")
	p := w.put("events", numbered(0, 3)...)
	w.put("events", numbered(3, 4)...)
	w.flush("events")
	all := w.all()
	if len(all) != 1 || all[0].body != strings.Join(numbered(0, 4), "") {
		t.Fatalf("objects %q", all)
	}
	name := regexp.MustCompile(`^2026/01/02/03/events-1-2026-01-02-03-04-05-[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	if !name.MatchString(all[0].key) {
		t.Errorf("name %s", all[0].key)
	}
	r, _ := w.s.Lookup(scope, "events")
	where, err := w.s.Where(r, p.ID(2))
	if err != nil || where.Entry == nil || where.Pending || !where.Stored || where.Entry.Objects[0].Key != all[0].key {
		t.Errorf("where %+v, %v", where, err)
	}
}

// A batch is due when its oldest record is as old as the interval, or when it is
// large enough, and not before.
func TestBuffers(t *testing.T) {
	w := newWorld(t)
	w.create("events")
	w.put("events", "a")
	w.clock.AwaitTimers(1)
	w.clock.Advance(59 * time.Second)
	w.put("events", "b")
	if got := w.all(); len(got) != 0 {
		t.Fatalf("delivered before its time: %q", got)
	}
	w.clock.Advance(time.Second)
	await(t, func() bool { return len(w.all()) == 1 })
	big := strings.Repeat("x", 700<<10)
	w.put("events", big)
	w.put("events", big)
	await(t, func() bool { return len(w.ledger("events")) == 2 })
	if e := w.ledger("events"); e[0].Records != 2 || e[0].Bytes != 2 || e[1].Records != 1 || e[1].Bytes != 700<<10 {
		t.Errorf("ledger %+v", e)
	}
}

// await waits until something is so that nothing tells of.
func await(t testing.TB, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for !f() {
		select {
		case <-ctx.Done():
			t.Fatal("it does not come to be")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestRestartGoesOn(t *testing.T) {
	w := newWorld(t)
	w.create("events")
	w.put("events", numbered(0, 10)...)
	w.restart()
	w.put("events", numbered(10, 20)...)
	w.flush("events")
	w.restart()
	w.put("events", numbered(20, 21)...)
	w.flush("events")
	equal(t, w.delivered("events"), trimmed(numbered(0, 21)))
}

// A destination that fails is tried again; its error is told.
func TestFailsAndIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	fails := &failing{w: w, err: &dest.Error{Code: "S3.Down", Message: "down"}}
	w.store = fails
	r := w.create("events")
	w.put("events", numbered(0, 5)...)
	w.clock.AwaitTimers(1)
	w.clock.Advance(time.Minute)
	await(t, func() bool { return w.s.Explain(r).Status.Error != "" })
	if e := w.s.Explain(r); e.Plan == nil || e.Plan.Records != 5 || !strings.Contains(e.Status.Error, "S3.Down") {
		t.Errorf("explained as %+v", e)
	}
	fails.set(nil)
	w.flush("events")
	equal(t, w.delivered("events"), trimmed(numbered(0, 5)))
	if e := w.ledger("events"); len(e) != 1 || e[0].Attempts < 2 {
		t.Errorf("ledger %+v", e)
	}
}

// A plan keeps its destination's version, unless nothing of it has arrived there.
func TestUpdateWhilePlanned(t *testing.T) {
	for _, moves := range []bool{false, true} {
		w := newWorld(t)
		fails := &failing{w: w, err: &dest.Error{Code: "S3.Down", Message: "down", Untouched: moves}}
		w.store = fails
		r := w.create("events")
		w.put("events", numbered(0, 5)...)
		w.clock.AwaitTimers(1)
		w.clock.Advance(time.Minute)
		await(t, func() bool { return w.s.Explain(r).Status.Error != "" })
		update(t, w, "1", `{"Prefix":"new/"}`)
		fails.set(nil)
		w.put("events", numbered(5, 6)...)
		w.flush("events")
		equal(t, w.delivered("events"), trimmed(numbered(0, 6)))
		e := w.ledger("events")
		if want := uint64(1); !moves && e[0].Version != want || moves && e[0].Version != 2 || e[1].Version != 2 {
			t.Errorf("moves %v: versions %d and %d", moves, e[0].Version, e[1].Version)
		}
		if moved := strings.HasPrefix(e[0].Objects[0].Key, "new/"); moved != moves {
			t.Errorf("moves %v: object %s", moves, e[0].Objects[0].Key)
		}
		w.close()
	}
}

func update(t *testing.T, w *world, version, patch string) {
	t.Helper()
	err := w.s.Update(context.Background(), delivery.Update{Scope: scope, Name: "events", Version: version, DestinationID: delivery.DestinationID,
		Kind: "ExtendedS3", Patch: func(old dest.Config) (dest.Config, error) {
			return delivery.Merge(old, json.RawMessage(patch), func(string) bool { return false })
		}})
	if err != nil {
		t.Fatal(err)
	}
}

// A delivery stream puts nothing into the bucket of another account, which any can name:
// names are global. What waits follows an update.
func TestNotIntoAnothersBucket(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	if err := w.objects.CreateBucket(ctx, objstore.Bucket{Name: "theirs", Owner: "222222222222"}); err != nil {
		t.Fatal(err)
	}
	r := w.create("events", func(n *delivery.New) {
		n.Config = dest.Config(strings.Replace(config, "s3:::"+bucket, "s3:::theirs", 1))
	})
	w.put("events", numbered(0, 5)...)
	w.clock.AwaitTimers(1)
	w.clock.Advance(time.Minute)
	await(t, func() bool { return w.s.Explain(r).Status.Error != "" })
	if e := w.s.Explain(r); !strings.Contains(e.Status.Error, "S3.AccessDenied") {
		t.Errorf("explained as %+v", e)
	}
	update(t, w, "1", `{"BucketARN":"arn:aws:s3:::`+bucket+`"}`)
	w.flush("events")
	equal(t, w.delivered("events"), trimmed(numbered(0, 5)))
	if page, err := w.objects.List(ctx, "theirs", objstore.ListOptions{}); err != nil || len(page.Objects) > 0 {
		t.Errorf("in the other account's bucket: %+v, %v", page.Objects, err)
	}
}

// What one account's deliveries meet at a host holds up nobody else's.
func TestHostFailsForOneAccount(t *testing.T) {
	w := newWorld(t)
	other := catalog.Scope{Account: "222222222222", Region: scope.Region}
	r := w.create("events", func(n *delivery.New) { n.Scope = other }) // for which the bucket is another's
	if _, err := w.s.Put(context.Background(), other, "events", bytesOf(numbered(0, 1)), delivery.Call{}); err != nil {
		t.Fatal(err)
	}
	w.clock.AwaitTimers(1)
	w.clock.Advance(time.Minute)
	for !w.s.Explain(r).HostAlone {
		w.clock.AwaitTimers(1)
		w.clock.Advance(time.Second)
	}
	own := w.create("events")
	if w.s.Explain(own).HostAlone {
		t.Error("the host is left alone for an account that has not asked it")
	}
	w.put("events", numbered(0, 5)...)
	w.flush("events")
	equal(t, w.delivered("events"), trimmed(numbered(0, 5)))
}

func TestDeleteSaysWhatIsLost(t *testing.T) {
	w := newWorld(t)
	fails := &failing{w: w, err: errors.New("down")}
	w.store = fails
	r := w.create("events")
	w.put("events", numbered(0, 5)...)
	w.clock.AwaitTimers(1)
	w.clock.Advance(time.Minute)
	await(t, func() bool { return w.s.Explain(r).Status.Error != "" })
	w.put("events", numbered(5, 7)...)
	if err := w.s.Delete(context.Background(), scope, "events"); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { _, err := w.s.Lookup(scope, "events"); return err != nil })
	await(t, func() bool { return len(w.s.Lost()) == 2 })
	if lost := w.s.Lost(); lost[0].Records != 5 || lost[1].Records != 2 {
		t.Errorf("lost %+v", lost)
	}
	for _, p := range w.log.Partitions() {
		if p.Stream == r.Delivery.Number {
			t.Errorf("partition %v is left", p)
		}
	}
	w.restart()
	if lost := w.s.Lost(); len(lost) != 2 {
		t.Errorf("after a restart: lost %+v", lost)
	}
	w.create("events")
	w.store = nil
	w.put("events", "new\n")
	w.flush("events")
	equal(t, w.delivered("events"), []string{"new"})
}

// What was set aside for a plan and is gone is set aside again: the source has it.
func TestPlanWithoutItsFile(t *testing.T) {
	w := newWorld(t)
	fails := &failing{w: w, err: errors.New("down")}
	w.store = fails
	w.process = func(dest.Config, dest.Env) ([]dest.Processor, error) { return []dest.Processor{doubler{}}, nil }
	r := w.create("events")
	w.put("events", "a\n")
	w.clock.AwaitTimers(1)
	w.clock.Advance(time.Minute)
	await(t, func() bool { return w.s.Explain(r).Status.Error != "" })
	if err := w.files.Remove(w.s.Explain(r).Plan.ID); err != nil {
		t.Fatal(err)
	}
	fails.set(nil)
	w.clock.Advance(time.Minute)
	w.flush("events")
	equal(t, w.delivered("events"), []string{"a 0", "a 1"})
}

// An object that was put, and whose answer was lost, is not put twice.
func TestLostAnswerOfTheBucket(t *testing.T) {
	w := newWorld(t)
	fails := &failing{w: w, err: errors.New("connection reset"), after: true}
	w.store = fails
	r := w.create("events")
	w.put("events", numbered(0, 5)...)
	w.clock.AwaitTimers(1)
	w.clock.Advance(time.Minute)
	await(t, func() bool { return w.s.Explain(r).Status.Error != "" })
	fails.set(nil)
	w.flush("events")
	equal(t, w.delivered("events"), trimmed(numbered(0, 5)))
}

// Where AWS's limits hold, what comes too fast is told to slow down, and is let through
// later.
func TestLimits(t *testing.T) {
	w := newWorld(t)
	w.create("events", func(n *delivery.New) { n.Tags = map[string]string{streams.LimitsTag: "aws"} })
	put := func(size int, invocation string) error {
		_, err := w.s.Put(context.Background(), scope, "events", [][]byte{make([]byte, size)}, delivery.Call{Invocation: invocation})
		return err
	}
	for i := range 5 {
		if err := put(1<<20, ""); err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
	}
	if err := put(1, ""); errs.KindOf(err) != errs.Throttled || err.Error() != "Slow down." {
		t.Errorf("beyond the limit: %v", err)
	}
	if err := put(1, "again"); errs.KindOf(err) != errs.Throttled {
		t.Errorf("beyond the limit: %v", err)
	}
	w.clock.Advance(time.Second)
	if err := put(1, "again"); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

// Of every record whose put was acknowledged while its delivery stream was deleted it is
// said that it was delivered or lost.
func TestPutMeetsDeletion(t *testing.T) {
	w := newWorld(t)
	for round := range 60 {
		name := fmt.Sprintf("s%d", round)
		r := w.create(name)
		var acked atomic.Int64
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 1000 { // less than a buffer, of which nothing would be lost
					_, err := w.s.Put(t.Context(), scope, name, bytesOf([]string{"x\n"}), delivery.Call{})
					if err != nil {
						if errs.KindOf(err) != errs.NotFound {
							t.Errorf("put: %v", err)
						}
						return
					}
					acked.Add(1)
				}
			})
		}
		for acked.Load() < 3 {
			runtime.Gosched()
		}
		if err := w.s.Delete(t.Context(), scope, name); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		for w.catalog.Get(r.Key) != nil {
			runtime.Gosched()
		}
		told := int64(0)
		for _, e := range w.s.Lost() {
			if e.Stream == name {
				told += e.Records
			}
		}
		if told != acked.Load() {
			t.Errorf("round %d: %d were acknowledged, %d are said to be lost", round, acked.Load(), told)
		}
	}
}
