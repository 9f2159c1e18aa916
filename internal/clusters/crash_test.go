package clusters

import (
	"context"
	"flag"
	"testing"
	"time"

	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/vfs"
)

var crashes = flag.Int("clusters.crashes", 60, "crash points to try")

// life is a cluster's life, step by step; it ends with the first step that fails.
// done is told how many steps were acknowledged.
func (w *world) life(done func(int)) {
	step := 0
	ok := func(err error) bool {
		if err == nil {
			step++
			done(step)
		}
		return err == nil
	}
	for _, do := range []func() error{
		func() error { // 1: there is a cluster
			_, err := w.svc.Create(ctx, NewCluster{Scope: here, Name: "a", Brokers: 2, Kinds: []Kind{Plaintext}})
			return err
		},
		func() error { w.settle(); return nil },
		func() error { // 3: it has a topic
			r, err := w.svc.Lookup(here, "a", "")
			if err != nil {
				return err
			}
			c, err := w.svc.Brokers(r)
			if err != nil {
				return err
			}
			if _, no := c.CreateTopic(ctx, brokers.NewTopic{Name: "t", Partitions: 2, Replication: -1}); no != nil {
				return no
			}
			return nil
		},
		func() error { // 4: it has three brokers
			r, err := w.svc.Lookup(here, "a", "")
			if err != nil {
				return err
			}
			_, err = w.svc.Update(ctx, r, Change{Type: "x", State: catalog.Updating, Do: func(_ *catalog.Tx, r *catalog.Resource, _ *catalog.ClusterOperation) error {
				return w.svc.SetBrokers(r, 3)
			}})
			return err
		},
		func() error { w.settle(); return nil },
		func() error { // 6: it is gone
			r, err := w.svc.Lookup(here, "a", "")
			if err != nil {
				return err
			}
			return w.svc.Delete(ctx, r, "")
		},
		func() error { w.settle(); return nil },
	} {
		if !ok(do()) {
			return
		}
	}
}

// TestCrash cuts the power at call after call of a cluster's life. After a start what
// was acknowledged is so, what was under way is whole or is not at all, and nothing of
// a cluster that is gone is left.
func TestCrash(t *testing.T) {
	run := func(fs *vfs.Mem, done func(int)) int {
		w := &world{t: t, fs: fs, clock: clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), ports: PortRange{9200, 9210},
			host: &fakeHost{busy: map[int]bool{}}, secrets: mapSecrets{}}
		if w.tryOpen() != nil {
			return fs.Calls()
		}
		w.life(done)
		_ = w.svc.Shutdown(ctx)
		_ = w.log.Close(context.Background()) // it may have lost its disk
		return fs.Calls()
	}
	total := run(vfs.NewMem(0), func(int) {})
	every := max(1, total / *crashes)
	for at := 1; at < total; at += every {
		fs := vfs.NewMem(uint64(at))
		fs.Inject(func(op vfs.Op) error {
			if op.N == at {
				return vfs.ErrPowerCut
			}
			return nil
		})
		acked := 0
		run(fs, func(n int) { acked = n })
		w := &world{t: t, fs: fs.Crash(uint64(at)), clock: clock.NewManual(time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)), ports: PortRange{9200, 9210},
			host: &fakeHost{busy: map[int]bool{}}, secrets: mapSecrets{}}
		w.open()
		w.settle()
		w.check(at, acked)
		w.close()
	}
	t.Logf("%d crash points of %d calls", (total+every-1)/every, total)
}

// check holds what is there against how far the cluster's life was acknowledged.
func (w *world) check(at, acked int) {
	w.t.Helper()
	r, err := w.svc.Lookup(here, "a", "")
	if err != nil {
		if acked > 0 && acked < 5 {
			w.t.Errorf("crash at call %d: %d steps were acknowledged, and there is no cluster", at, acked)
		}
		for _, p := range w.log.Partitions() {
			if p.Stream != 0 {
				w.t.Errorf("crash at call %d: partition %v is left of the cluster", at, p)
			}
		}
		return
	}
	if acked >= 6 {
		w.t.Errorf("crash at call %d: %d steps were acknowledged, and the cluster is still there", at, acked)
	}
	if state, why := w.svc.State(r); state != catalog.Active {
		w.t.Errorf("crash at call %d: the cluster is %s: %s", at, state, why)
	}
	if n := len(w.svc.Endpoints(r)); n != r.Cluster.Brokers || acked >= 4 && n != 3 || acked < 3 && n != 2 {
		w.t.Errorf("crash at call %d: %d steps were acknowledged, and %d brokers listen", at, acked, n)
	}
	c, err := w.svc.Brokers(r)
	if err != nil {
		w.t.Fatal(err)
	}
	if topic := c.Topic("t"); topic == nil && acked >= 3 || topic != nil && (acked < 2 || topic.Partitions() != 2) {
		w.t.Errorf("crash at call %d: %d steps were acknowledged, and the topic is %v", at, acked, topic != nil)
	}
}
