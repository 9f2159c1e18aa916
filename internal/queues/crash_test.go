package queues_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/queues"
	"thalweg/internal/streams"
	"thalweg/internal/vfs"
)

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
