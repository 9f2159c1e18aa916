package delivery_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
)

const farCluster = "arn:aws:kafka:us-east-1:000000000000:cluster/far/11111111-2222-3333-4444-555555555555-1"

// far is a cluster elsewhere with one topic.
type far struct {
	mu       sync.Mutex
	accounts []string
	down     bool
	topic    [][]string // by partition
	start    []int64
}

func (f *far) Has(account, cluster string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return cluster == farCluster && slices.Contains(f.accounts, account)
}

func (f *far) up() error {
	if f.down {
		return errs.New(errs.Throttled, "it is down")
	}
	return nil
}

func (f *far) Bounds(context.Context, string, string) (out []delivery.Bounds, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, p := range f.topic {
		out = append(out, delivery.Bounds{Partition: int32(i), Start: f.start[i], Stable: int64(len(p))})
	}
	return out, f.up()
}

func (f *far) Offsets(_ context.Context, _, _ string, at int64) (map[int32]int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[int32]int64{}
	for i, p := range f.topic {
		if out[int32(i)] = int64(len(p)); at >= 0 {
			out[int32(i)] = min(f.start[i]+at, int64(len(p))) // a record a millisecond
		}
	}
	return out, f.up()
}

func (f *far) Read(_ context.Context, _, _ string, partition int32, from, to int64, yield func(*dest.Record) (bool, error)) (int64, error) {
	f.mu.Lock()
	list := slices.Clone(f.topic[partition])
	err := f.up()
	f.mu.Unlock()
	for ; err == nil && from < to; from++ {
		var keep bool
		if keep, err = yield(&dest.Record{Offset: from, Data: []byte(list[from])}); !keep {
			break
		}
	}
	return from, err
}

func (f *far) add(partition int, lines ...string) {
	f.mu.Lock()
	f.topic[partition] = append(f.topic[partition], lines...)
	f.mu.Unlock()
}

func (f *far) set(change func()) {
	f.mu.Lock()
	change()
	f.mu.Unlock()
}

func lines(prefix string, from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("%s%03d\n", prefix, i))
	}
	return out
}

func newFar(w *world) *far {
	f := &far{accounts: []string{scope.Account}, topic: make([][]string, 2), start: make([]int64, 2)}
	w.remote = f
	w.restart()
	return f
}

func ofTopic(readFrom int64) func(*delivery.New) {
	return func(n *delivery.New) {
		n.Type = delivery.MSKSource
		n.Source = &catalog.DeliverySource{ARN: farCluster, Topic: "events", ReadFrom: readFrom, Remote: true}
	}
}

// A topic elsewhere is delivered from where it was asked for, each record once, over
// restarts, over times in which the cluster is away, and from what is left when its
// retention has passed the place.
func TestTopicElsewhere(t *testing.T) {
	w := newWorld(t)
	f := newFar(w)
	f.add(0, lines("a", 0, 5)...)
	f.add(1, lines("b", 0, 5)...)
	w.create("all", ofTopic(0))
	f.add(0, lines("a", 5, 7)...)
	w.flush("all")
	w.restart()
	f.add(1, lines("b", 5, 9)...)
	f.set(func() { f.down = true })
	w.clock.Advance(time.Minute)
	f.set(func() { f.down = false })
	w.flush("all")
	want := slices.Concat(lines("a", 0, 7), lines("b", 0, 9))
	got := w.delivered("all")
	slices.Sort(got)
	if !slices.Equal(got, trimmed(want)) {
		t.Errorf("delivered %q, want %q", got, want)
	}
	f.add(0, lines("a", 7, 12)...)
	f.set(func() { f.start[0] = 10 })
	w.flush("all")
	if got := w.delivered("all"); !slices.Equal(got[len(got)-2:], trimmed(lines("a", 10, 12))) {
		t.Errorf("delivered %q after retention", got)
	}
}

// Without a time it is read from what comes next on.
func TestTopicElsewhereFromNow(t *testing.T) {
	w := newWorld(t)
	f := newFar(w)
	f.add(0, lines("a", 0, 5)...)
	w.create("new", ofTopic(-1))
	f.add(0, lines("a", 5, 7)...)
	w.flush("new")
	equal(t, w.delivered("new"), trimmed(lines("a", 5, 7)))
}

// What is read elsewhere is what an operator has allowed, now and later, and what was
// made anew under the name is not taken for the same.
func TestTopicElsewhereRefused(t *testing.T) {
	w := newWorld(t)
	f := newFar(w)
	f.add(0, lines("a", 0, 5)...)
	n := delivery.New{Scope: catalog.Scope{Account: "111111111111", Region: scope.Region}, Name: "x", Kind: "ExtendedS3", Config: dest.Config(config)}
	ofTopic(0)(&n)
	if _, err := w.s.Create(t.Context(), n); errs.KindOf(err) != errs.Invalid {
		t.Errorf("another account's: %v", err)
	}
	r := w.create("all", ofTopic(0))
	w.flush("all")
	for name, change := range map[string]func(){
		"not any more allowed": func() { f.accounts = nil },
		"made anew":            func() { f.topic[0] = f.topic[0][:2] },
	} {
		accounts, topic := f.accounts, maps.Collect(slices.All(f.topic))
		f.set(change)
		if e := w.s.Explain(r); e.Status.Error == "" || len(e.Places) != 0 {
			t.Errorf("%s: %+v", name, e)
		}
		f.set(func() { f.accounts, f.topic[0] = accounts, topic[0] })
	}
	if got := w.delivered("all"); len(got) != 5 {
		t.Errorf("delivered %q", got)
	}
	if err := w.s.Replay(r, time.UnixMilli(3)); err != nil {
		t.Fatal(err)
	}
	w.flush("all")
	if got := w.delivered("all"); !slices.Equal(got[5:], trimmed(lines("a", 3, 5))) {
		t.Errorf("replayed %q", got)
	}
}
