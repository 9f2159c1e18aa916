package streams_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
	"thalweg/internal/identity"
	"thalweg/internal/streams"
)

var keystore = sync.OnceValue(identity.NewKeystore)

func named(name string) streams.EncryptionKey {
	return streams.EncryptionKey{Text: "text of " + name, Name: name}
}

func (w *world) encrypt(name, key string) error {
	return w.svc.StartEncryption(context.Background(), scope, name, named(key))
}

func (w *world) decrypt(name string) error {
	return w.svc.StopEncryption(context.Background(), scope, name)
}

// keyOf is the key of r, which the log has for all its partitions.
func (w *world) keyOf(r *catalog.Resource) uint32 {
	w.t.Helper()
	for i := range r.Stream.Shards {
		in, err := w.log.Info(r.Stream.PartitionOf(r.Stream.Shards[i].Number))
		if err != nil || in.Config.KeyID != r.Stream.DataKey {
			w.t.Fatalf("shard %d is under key %d, the stream under %d, %v", i, in.Config.KeyID, r.Stream.DataKey, err)
		}
	}
	return r.Stream.DataKey
}

func TestEncryption(t *testing.T) {
	w := newWorld(t)
	w.create("s", 3)
	w.create("other", 1)
	for i, c := range []struct {
		do   func() error
		key  uint32
		text string
	}{
		{func() error { return nil }, 0, ""},
		{func() error { return w.encrypt("s", "key/a") }, 1, "text of key/a"},
		{func() error { return w.encrypt("other", "key/b") }, 1, "text of key/a"},
		{func() error { return w.encrypt("s", "key/b") }, 2, "text of key/b"},
		{func() error { return w.encrypt("s", "key/c") }, 3, "text of key/c"},
		{func() error { defer w.reopen(); return w.opts.Catalog.Snapshot() }, 3, "text of key/c"},
		{func() error { return w.encrypt("s", "key/a") }, 1, "text of key/a"},
		{func() error { return w.svc.SetRetention(context.Background(), scope, "s", 48, true) }, 1, "text of key/a"},
		{func() error { return w.decrypt("s") }, 0, ""},
		{func() error { return w.decrypt("s") }, 0, ""},
		{func() error { return w.svc.SetRetention(context.Background(), scope, "s", 72, true) }, 0, ""},
	} {
		if err := c.do(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		r := w.lookup("s")
		if key := w.keyOf(r); key != c.key || r.Stream.KeyID != c.text {
			t.Errorf("step %d: key %d %q, want %d %q", i, key, r.Stream.KeyID, c.key, c.text)
		}
		p := w.svc.NewPut(r)
		for k := range 9 {
			if _, err := p.Add([]byte(fmt.Sprint(k)), nil, 0); err != nil {
				t.Fatal(err)
			}
		}
		p.Commit()
		if p.Encrypted() != (c.key != 0) {
			t.Errorf("step %d: put as encrypted: %v", i, p.Encrypted())
		}
		p.Release()
	}
	// What is stored says how, whatever the stream is under now.
	r := w.lookup("s")
	sealed, all := 0, 0
	for i := range 3 {
		page, err := w.svc.Get(w.at(r, i, streams.StartingAt{Type: streams.TrimHorizon}), 1000)
		if err != nil {
			t.Fatal(err)
		}
		for page.Next() {
			all++
			if page.Record().Encrypted {
				sealed++
			}
		}
		page.Close()
	}
	if all != 11*9 || sealed != 7*9 {
		t.Errorf("%d records, %d encrypted; want %d and %d", all, sealed, 11*9, 7*9)
	}
}

func TestEncryptionErrors(t *testing.T) {
	w := newWorld(t)
	for what, err := range map[string]error{"start": w.encrypt("none", "key/a"), "stop": w.decrypt("none")} {
		if errs.KindOf(err) != errs.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	if keys := w.opts.Catalog.All(catalog.KindKey); len(keys) != 0 {
		t.Errorf("a refused start made %d keys", len(keys))
	}
}

// TestEncryptionLimit changes keys as often as a stream may in 24 hours, which a
// restart does not forget, and again as the hours pass.
func TestEncryptionLimit(t *testing.T) {
	w := newWorld(t)
	w.create("s", 1)
	refused := func(err error, did string) {
		t.Helper()
		if errs.KindOf(err) != errs.LimitExceeded || !strings.Contains(err.Error(), did) || !strings.Contains(err.Error(), "25 times") {
			t.Errorf("%v", err)
		}
	}
	for i := range streams.MaxKeyChanges {
		if err := w.encrypt("s", fmt.Sprint("key/", i)); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(time.Minute)
	}
	refused(w.encrypt("s", "key/more"), "applied a new encryption key")
	if err := w.encrypt("s", "key/24"); err != nil {
		t.Errorf("the key that it has: %v", err)
	}
	w.reopen()
	refused(w.encrypt("s", "key/more"), "applied a new encryption key")
	for i := range streams.MaxKeyChanges {
		if err := w.decrypt("s"); err != nil { // counted on its own
			t.Fatal(err)
		}
		if i == 0 {
			w.clock.Advance(24*time.Hour - 25*time.Minute - 30*time.Second)
		}
		if err := w.encrypt("s", fmt.Sprint("key/", i)); (err != nil) != (i == 0) {
			t.Fatalf("%d: %v", i, err)
		}
		w.clock.Advance(time.Minute)
	}
	// The first of them found the stream as it was left by the refusal.
	if err := w.decrypt("s"); err != nil {
		t.Fatal(err)
	}
	if err := w.encrypt("s", "key/0"); err != nil {
		t.Fatal(err)
	}
	refused(w.decrypt("s"), "disabled encryption")
	if r := w.lookup("s"); len(r.Stream.KeyStarts) > streams.MaxKeyChanges || len(r.Stream.KeyStops) > streams.MaxKeyChanges {
		t.Errorf("%d and %d times are kept", len(r.Stream.KeyStarts), len(r.Stream.KeyStops))
	}
}

// TestEncryptionTransition shows a stream as UPDATING meanwhile: it can be used, and
// not changed.
func TestEncryptionTransition(t *testing.T) {
	w := newWorld(t, func(o *streams.Options) { o.Transition = time.Second })
	w.create("s", 1)
	w.clock.Advance(time.Second)
	for i, do := range []func() error{
		func() error { return w.encrypt("s", "key/a") }, func() error { return w.encrypt("s", "key/b") }, func() error { return w.decrypt("s") },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
		r := w.lookup("s")
		if state := w.svc.Status(r); state != catalog.Updating {
			t.Errorf("step %d: %s", i, state)
		}
		if _, err := w.svc.Usable(scope, []byte("s")); err != nil {
			t.Error(err)
		}
		w.put(r, rec{key: "k", data: "d"})
		for _, err := range []error{w.encrypt("s", "key/c"), w.decrypt("s")} {
			if errs.KindOf(err) != errs.InUse || !strings.Contains(err.Error(), "UPDATING") {
				t.Errorf("step %d, while it is updated: %v", i, err)
			}
		}
		w.clock.Advance(time.Second)
		if state := w.svc.Status(w.lookup("s")); state != catalog.Active {
			t.Errorf("step %d, later: %s", i, state)
		}
	}
}

// otherKeys are those of another keystore.
type otherKeys struct{ fixedKeys }

func (k otherKeys) Secret(purpose string) [32]byte { return k.fixedKeys.Secret("other " + purpose) }

// TestKeystoreIsChecked refuses to start with a keystore that the keys are not of.
func TestKeystoreIsChecked(t *testing.T) {
	w := newWorld(t)
	w.create("s", 1)
	o := w.opts
	o.Keys = otherKeys{}
	if _, err := streams.New(o); err != nil {
		t.Errorf("without a key: %v", err)
	}
	if err := w.encrypt("s", "key/a"); err != nil {
		t.Fatal(err)
	}
	_, err := streams.New(o)
	if errs.KindOf(err) != errs.Corrupt || !strings.Contains(err.Error(), "arn:aws:kms:us-east-1:000000000000:key/a") {
		t.Errorf("with a key: %v", err)
	}
	w.reopen()
}

// TestEncryptedAnswer changes the key while records are put: what a put is told is
// how its records are stored.
func TestEncryptedAnswer(t *testing.T) {
	w := newWorld(t)
	r := w.create("s", 1)
	told := map[string]bool{}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		defer close(stop)
		for i := range 20 {
			if err := w.encrypt("s", fmt.Sprint("key/", i)); err != nil {
				t.Error(err)
			}
			if err := w.decrypt("s"); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for {
			p := w.svc.NewPut(r) // of the stream as it was
			if _, err := p.Add([]byte("k"), nil, 0); err != nil {
				t.Error(err)
			}
			p.Commit()
			at, err := p.Result(0)
			if err != nil {
				t.Error(err)
			}
			told[at.Sequence.String()] = p.Encrypted()
			p.Release()
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	wg.Wait()
	n := 0
	pos := w.at(w.lookup("s"), 0, streams.StartingAt{Type: streams.TrimHorizon})
	for n < len(told) {
		page, err := w.svc.Get(pos, 1000)
		if err != nil {
			t.Fatal(err)
		}
		before := n
		for page.Next() {
			n++
			if rc := page.Record(); told[rc.Sequence.String()] != rc.Encrypted {
				t.Errorf("record %s: told %v, stored %v", rc.Sequence, told[rc.Sequence.String()], rc.Encrypted)
			}
		}
		pos = page.Position()
		page.Close()
		if n == before {
			t.Fatalf("%d of %d records", n, len(told))
		}
	}
}
