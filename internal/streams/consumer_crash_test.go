package streams_test

import (
	"context"
	"fmt"
	"testing"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
	"thalweg/internal/streams"
	"thalweg/internal/vfs"
)

// consumers is what a client was told of them.
type consumers struct {
	arns  map[string]string // by name: those that are there
	tags  map[string]string // by name: the value of the tag t
	used  map[string]bool   // every ARN ever told
	doubt string            // the name in the call under way when the power went; "*" is all
}

// TestCrashConsumers cuts the power at call after call of a script that registers,
// tags and removes consumers, alone and with their stream. What was acknowledged
// holds, a consumer never outlives its stream, and no ARN comes twice.
func TestCrashConsumers(t *testing.T) {
	total, _ := consumerScript(t, vfs.NewMem(0))
	every := max(1, total / *crashes)
	for at := 1; at < total; at += every {
		fs := vfs.NewMem(uint64(at))
		fs.Inject(func(op vfs.Op) error {
			if op.N == at {
				return vfs.ErrPowerCut
			}
			return nil
		})
		_, told := consumerScript(t, fs)
		checkConsumers(t, at, fs.Crash(uint64(at)), told)
	}
}

// consumerScript runs until something fails.
func consumerScript(t *testing.T, fs *vfs.Mem) (int, *consumers) {
	told := &consumers{arns: map[string]string{}, tags: map[string]string{}, used: map[string]bool{}}
	w, err := crashWorld(t, fs)
	if err != nil {
		return fs.Calls(), told
	}
	defer w.log.Close(context.Background())
	for i := range 60 {
		if told.step(w, i) != nil {
			break
		}
	}
	return fs.Calls(), told
}

func (c *consumers) step(w *world, i int) error {
	ctx := context.Background()
	name := fmt.Sprintf("c%d", i%7)
	id := streams.ConsumerID{Scope: scope, Stream: "s", Name: name}
	switch {
	case i%15 == 0:
		c.doubt = "*"
		if i > 0 {
			if err := w.svc.DeleteWithConsumers(ctx, scope, "s"); err != nil {
				return err
			}
			clear(c.arns)
			clear(c.tags)
		}
		if err := w.svc.Create(ctx, streams.NewStream{Scope: scope, Name: "s", Mode: catalog.Provisioned, Shards: 1}); err != nil {
			return err
		}
	case c.arns[name] == "":
		c.doubt = name
		r, err := w.svc.Register(ctx, streams.NewConsumer{Scope: scope, Stream: "s", Name: name})
		if err != nil {
			return err
		}
		if c.used[r.ARN] {
			w.t.Fatalf("%s was told before", r.ARN)
		}
		c.arns[name], c.used[r.ARN] = r.ARN, true
	case i%2 == 0:
		c.doubt = name
		value := fmt.Sprint(i)
		if err := w.svc.TagConsumer(ctx, id, map[string]string{"t": value}); err != nil {
			return err
		}
		c.tags[name] = value
	default:
		c.doubt = name
		if err := w.svc.Deregister(ctx, id); err != nil {
			return err
		}
		delete(c.arns, name)
		delete(c.tags, name)
	}
	c.doubt = ""
	if i%20 == 19 {
		return w.log.Step()
	}
	return nil
}

func checkConsumers(t *testing.T, at int, fs *vfs.Mem, told *consumers) {
	t.Helper()
	w, err := crashWorld(t, fs)
	if err != nil {
		t.Fatalf("crash at call %d: open: %v", at, err)
	}
	defer w.log.Close(context.Background())
	for i := range 7 {
		name := fmt.Sprintf("c%d", i)
		if told.doubt == name || told.doubt == "*" {
			continue
		}
		r, err := w.svc.Consumer(streams.ConsumerID{Scope: scope, Stream: "s", Name: name})
		switch want := told.arns[name]; {
		case want == "" && errs.KindOf(err) != errs.NotFound:
			t.Fatalf("crash at call %d: %s is there: %v %v", at, name, r, err)
		case want != "" && (err != nil || r.ARN != want || r.Tags["t"] != told.tags[name]):
			t.Fatalf("crash at call %d: %s: %+v %v, want %s with %q", at, name, r, err, want, told.tags[name])
		}
	}
	// What came back takes part in what follows.
	if told.doubt == "*" {
		st, err := w.svc.Lookup(scope, "s")
		if err == nil && w.svc.ConsumerCount(st) > 0 && len(told.arns) == 0 {
			t.Fatalf("crash at call %d: a new stream has consumers", at)
		}
		return
	}
	for i := range 7 {
		name := fmt.Sprintf("c%d", i)
		_ = w.svc.Deregister(context.Background(), streams.ConsumerID{Scope: scope, Stream: "s", Name: name}) // if it is there
		r, err := w.svc.Register(context.Background(), streams.NewConsumer{Scope: scope, Stream: "s", Name: name})
		if errs.KindOf(err) == errs.NotFound {
			return // the stream was never acknowledged
		}
		if err != nil || told.used[r.ARN] {
			t.Fatalf("crash at call %d: %s anew: %v %v", at, name, r, err)
		}
	}
}
