package clusters

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/lifecycle"
	"thalweg/internal/limits"
	"thalweg/internal/log/disk"
	"thalweg/internal/streams"
	"thalweg/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fixedKeys struct{}

func (fixedKeys) Secret(purpose string) [32]byte { return sha256.Sum256([]byte(purpose)) }

// fakeHost listens nowhere, on the ports that it is given or on its own.
type fakeHost struct {
	mu      sync.Mutex
	busy    map[int]bool // ports that somebody else has
	next    int
	serving []*fakeServed
	dropped []int32
	during  func()      // called while a cluster is served
	served  chan string // told the names of clusters that are served; nil tells nobody
}

type fakeServed struct {
	host *fakeHost
	name string
	at   []Endpoint
}

func (h *fakeHost) Check([]Kind) error { return nil }

func (h *fakeHost) Serve(v Serving) (Served, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &fakeServed{host: h, name: v.Cluster.Name()}
	if v.Listeners == nil {
		s.at = append(s.at, Endpoint{Kind: Plaintext, Broker: 1, Host: "127.0.0.1", Port: 9092, Bound: 9092})
	}
	for _, l := range v.Listeners {
		for i, p := range l.Ports {
			for ok := true; h.busy[p]; {
				if p, ok = v.Spare(); !ok {
					return nil, errors.New("the port is taken")
				}
			}
			if p == 0 {
				h.next++
				p = 40000 + h.next
			}
			s.at = append(s.at, Endpoint{Kind: Kind(l.Kind), Broker: int32(i + 1), Host: "127.0.0.1", Port: p, Bound: p})
		}
	}
	h.serving = append(h.serving, s)
	if h.during != nil {
		h.during()
	}
	if h.served != nil {
		h.served <- s.name
	}
	return s, nil
}

func (s *fakeServed) Endpoints() []Endpoint { return s.at }

func (s *fakeServed) Drop(broker int32) {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	s.host.dropped = append(s.host.dropped, broker)
}

func (s *fakeServed) Shutdown(context.Context) error {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	s.host.serving = slices.DeleteFunc(s.host.serving, func(o *fakeServed) bool { return o == s })
	return nil
}

// world is clusters over a log in memory, with a clock of their own.
type world struct {
	t       testing.TB
	fs      *vfs.Mem
	clock   *clock.Manual
	host    *fakeHost
	ports   PortRange
	budget  *limits.Budget
	log     *disk.Log
	catalog *catalog.Catalog
	streams *streams.Service
	svc     *Service
	secrets mapSecrets
}

var (
	here = catalog.Scope{Account: "000000000000", Region: "us-east-1"}
	ctx  = context.Background()
)

type mapSecrets map[string]Secret

func (m mapSecrets) Secret(_, name string) (Secret, error) {
	if s, ok := m[name]; ok {
		return s, nil
	}
	return Secret{}, errs.New(errs.NotFound, "no such secret")
}

func newWorld(t testing.TB, ports PortRange) *world {
	w := &world{t: t, fs: vfs.NewMem(1), clock: clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), ports: ports,
		host: &fakeHost{busy: map[int]bool{}}, secrets: mapSecrets{}}
	w.open()
	t.Cleanup(w.close)
	return w
}

func (w *world) open() {
	w.t.Helper()
	if err := w.tryOpen(); err != nil {
		w.t.Fatal(err)
	}
}

// tryOpen opens everything, or nothing.
func (w *world) tryOpen() (err error) {
	w.budget = limits.NewBudget(256 << 20)
	if w.log, err = disk.Open(ctx, disk.Options{FS: w.fs, Dir: "data", Clock: w.clock, Manual: true}); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = w.log.Close(ctx) // it may have lost its disk
		}
	}()
	if w.catalog, err = catalog.Open(ctx, w.log, w.clock); err != nil {
		return err
	}
	if w.streams, err = streams.New(streams.Options{Log: w.log, Catalog: w.catalog, Clock: w.clock, Keys: fixedKeys{}}); err != nil {
		return err
	}
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return err
	}
	w.svc = New(Options{Log: w.log, Catalog: w.catalog, Streams: w.streams, Clock: w.clock, Keys: fixedKeys{},
		AEAD: func(string) (cipher.AEAD, error) { return cipher.NewGCM(block) }, Logger: slog.New(slog.DiscardHandler),
		Memory: w.budget, Host: w.host, Ports: w.ports, Default: here, Brokers: 1, Secrets: w.secrets})
	if err := w.svc.Start(ctx); err != nil {
		return errors.Join(err, w.svc.Shutdown(ctx))
	}
	return nil
}

func (w *world) close() {
	if err := w.svc.Shutdown(ctx); err != nil {
		w.t.Error(err)
	}
	if err := w.log.Close(ctx); err != nil {
		w.t.Error(err)
	}
}

func (w *world) restart() {
	w.t.Helper()
	w.close()
	w.open()
}

// settle does once what Run does whenever it is woken.
func (w *world) settle() { w.svc.tendAll(ctx) }

func (w *world) create(name string, n int, kinds ...Kind) *catalog.Resource {
	w.t.Helper()
	r, err := w.svc.Create(ctx, NewCluster{Scope: here, Name: name, Brokers: n, Kinds: kinds, KafkaVersion: "3.9.x"})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) get(name string) *catalog.Resource {
	w.t.Helper()
	r, err := w.svc.Lookup(here, name, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// configureGroup gives a group of a cluster an entry of its own.
func (w *world) configureGroup(cluster string) {
	w.t.Helper()
	c, err := w.svc.Brokers(w.get(cluster))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := c.ChangeGroupConfigs(ctx, "g", []brokers.ConfigChange{{Name: "consumer.session.timeout.ms", Value: "6000"}}, false, false); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) state(name string) catalog.State {
	w.t.Helper()
	state, _ := w.svc.State(w.get(name))
	return state
}

func (w *world) topic(cluster, name string) {
	w.t.Helper()
	c, err := w.svc.Brokers(w.get(cluster))
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := c.CreateTopic(ctx, brokers.NewTopic{Name: name, Partitions: 2, Replication: -1}); err != nil {
		w.t.Fatal(err)
	}
}

func TestLife(t *testing.T) {
	w := newWorld(t, PortRange{})
	if w.state("default") != catalog.Active {
		t.Fatal("the default cluster does not run")
	}
	before := w.budget.Used()
	r := w.create("games", 3, Plaintext, IAM)
	if w.state("games") != catalog.Creating || w.svc.Endpoints(r) != nil {
		t.Error("a cluster runs before anybody saw to it")
	}
	w.restart() // before anything was opened
	w.settle()
	if w.state("games") != catalog.Active {
		t.Fatal(w.state("games"))
	}
	at := w.svc.Endpoints(w.get("games"))
	if len(at) != 6 {
		t.Fatalf("%+v", at)
	}
	w.topic("games", "scores")
	w.configureGroup("games")
	if c, err := w.svc.Brokers(w.get("default")); err != nil || c.Topic("scores") != nil {
		t.Error("a topic shows in another cluster", err)
	}
	w.restart()
	if got := w.svc.Endpoints(w.get("games")); !slices.Equal(got, at) {
		t.Errorf("after a restart it listens on %+v, not %+v", got, at)
	}
	if err := w.svc.Delete(ctx, w.get("games"), "K1"); errs.KindOf(err) != errs.Invalid {
		t.Error("another version of it was deleted:", err)
	}
	if err := w.svc.Delete(ctx, w.get("games"), Version(w.get("games"))); err != nil {
		t.Fatal(err)
	}
	if w.state("games") != catalog.Deleting {
		t.Error(w.state("games"))
	}
	if _, err := w.svc.Update(ctx, w.get("games"), Change{State: catalog.Updating}); errs.KindOf(err) != errs.InUse {
		t.Error("a cluster that is being deleted takes updates:", err)
	}
	w.restart()
	w.settle()
	if _, err := w.svc.Lookup(here, "games", ""); err == nil {
		t.Error("it is still there")
	}
	for _, p := range w.log.Partitions() {
		if p.Stream == r.Cluster.Number {
			t.Errorf("its partition %v is still there", p)
		}
	}
	if left := w.catalog.All(catalog.KindStream); len(left) != 0 {
		t.Errorf("a topic is left: %s", left[0].Name)
	}
	if left := w.catalog.All(catalog.KindGroup); len(left) != 0 {
		t.Errorf("the configuration of a group is left: %s", left[0].Name)
	}
	if len(w.host.serving) != 1 || w.budget.Used() > before {
		t.Errorf("%d clusters listen, %d bytes are held, %d before", len(w.host.serving), w.budget.Used(), before)
	}
	if err := w.svc.Delete(ctx, w.get("default"), ""); errs.KindOf(err) != errs.Invalid {
		t.Error("the default cluster was deleted:", err)
	}
}

func TestNames(t *testing.T) {
	w := newWorld(t, PortRange{})
	w.create("a", 1, Plaintext)
	for name, want := range map[string]errs.Kind{"a": errs.Exists, "default": errs.Exists, "a/b": errs.Invalid, "-a": errs.Invalid, "a b": errs.Invalid} {
		if _, err := w.svc.Create(ctx, NewCluster{Scope: here, Name: name, Brokers: 1, Kinds: []Kind{TLS}}); err == nil || errs.KindOf(err) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := w.svc.Lookup(here, "a", "01020300-0000-0000-0000-000000000000"); err == nil {
		t.Error("a cluster is found by the identity of another")
	}
}

func TestPorts(t *testing.T) {
	w := newWorld(t, PortRange{9200, 9205})
	w.create("a", 2, Plaintext, TLS)
	w.create("b", 1, Plaintext)
	if _, err := w.svc.Create(ctx, NewCluster{Scope: here, Name: "c", Brokers: 2, Kinds: []Kind{Plaintext}}); errs.KindOf(err) != errs.LimitExceeded {
		t.Fatal("more ports were given out than there are:", err)
	}
	w.host.busy[9204] = true
	w.settle()
	if got := w.get("b").Cluster.Listeners[0].Ports; !slices.Equal(got, []int{9205}) || w.state("b") != catalog.Active {
		t.Errorf("with its port taken, b is %s on %v", w.state("b"), got)
	}
	w.host.busy[9205] = true
	w.restart()
	if w.state("b") != catalog.Failed || w.state("a") != catalog.Active {
		t.Errorf("a is %s, b %s", w.state("a"), w.state("b"))
	}
	delete(w.host.busy, 9205)
	w.settle()
	if w.state("b") != catalog.Active {
		t.Error("b does not come back: ", w.state("b"))
	}
	if err := w.svc.Delete(ctx, w.get("a"), ""); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.create("c", 2, Plaintext)
}

func TestUpdate(t *testing.T) {
	w := newWorld(t, PortRange{})
	w.create("a", 2, Plaintext)
	w.settle()
	w.topic("a", "t")
	old := w.svc.Endpoints(w.get("a"))
	first := Version(w.get("a"))
	grow := Change{Type: "INCREASE_BROKER_COUNT", State: catalog.Updating, Version: first,
		Do: func(_ *catalog.Tx, r *catalog.Resource, _ *catalog.ClusterOperation) error {
			return w.svc.SetBrokers(r, 3)
		}}
	id, err := w.svc.Update(ctx, w.get("a"), grow)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := Operation(w.get("a"), id); err != nil || o.Ended != 0 {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := w.svc.Update(ctx, w.get("a"), grow); errs.KindOf(err) != errs.InUse {
		t.Error("a second update began:", err)
	}
	w.clock.Advance(time.Second)
	w.restart()
	w.settle()
	if o, err := Operation(w.get("a"), id); err != nil || o.Ended != o.Started+1000 || o.Error != "" {
		t.Errorf("%+v, %v", o, err)
	}
	at := w.svc.Endpoints(w.get("a"))
	if len(at) != 3 || !slices.Equal(at[:2], old) {
		t.Errorf("%+v, before %+v", at, old)
	}
	if c, err := w.svc.Brokers(w.get("a")); err != nil || c.Brokers() != 3 || c.Topic("t") == nil {
		t.Error("the cluster did not change, or lost its topic", err)
	}
	if _, err := w.svc.Update(ctx, w.get("a"), grow); errs.KindOf(err) != errs.Invalid {
		t.Error("an update of an older version was taken:", err)
	}
	if _, err := w.svc.Update(ctx, w.get("a"), Change{State: catalog.Rebooting, Do: func(_ *catalog.Tx, _ *catalog.Resource, o *catalog.ClusterOperation) error {
		o.Brokers = []int32{2}
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if !slices.Equal(w.host.dropped, []int32{2}) || w.state("a") != catalog.Active {
		t.Errorf("dropped %v, state %s", w.host.dropped, w.state("a"))
	}
	if _, err := w.svc.Update(ctx, w.get("default"), Change{State: catalog.Updating, Do: grow.Do}); errs.KindOf(err) != errs.Invalid {
		t.Error("the default cluster got brokers:", err)
	}
}

// TestRun: what is asked for happens without anybody else's doing.
func TestRun(t *testing.T) {
	w := newWorld(t, PortRange{})
	g := lifecycle.NewGroup(ctx)
	g.Go("run", w.svc.Run)
	w.host.served = make(chan string)
	w.create("a", 1, Plaintext)
	if name := <-w.host.served; name != "a" {
		t.Error(name)
	}
	if err := g.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func TestTags(t *testing.T) {
	w := newWorld(t, PortRange{})
	if err := w.svc.Tag(ctx, w.get("default"), map[string]string{"a": "1", "b": "2"}); err != nil {
		t.Fatal(err)
	}
	if err := w.svc.Untag(ctx, w.get("default"), []string{"a", "c"}); err != nil {
		t.Fatal(err)
	}
	w.restart()
	if got := w.get("default").Tags; len(got) != 1 || got["b"] != "2" {
		t.Error(got)
	}
	if err := w.svc.Tag(ctx, w.get("default"), map[string]string{"aws:x": "1"}); errs.KindOf(err) != errs.Invalid {
		t.Error("a tag of AWS's own was taken:", err)
	}
}

func TestClear(t *testing.T) {
	w := newWorld(t, PortRange{})
	c, err := w.svc.CreateConfiguration(ctx, NewConfiguration{Scope: here, Name: "c", Properties: "num.partitions=3"})
	if err != nil {
		t.Fatal(err)
	}
	w.create("a", 1, Plaintext)
	w.create("b", 1, Plaintext)
	if _, err := w.svc.Update(ctx, w.get("default"), Change{State: catalog.Updating, Do: func(tx *catalog.Tx, r *catalog.Resource, _ *catalog.ClusterOperation) error {
		return w.svc.Apply(tx, r, c, 1)
	}}); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.topic("a", "t")
	if n, err := w.svc.Clear(ctx); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if left := w.catalog.List(catalog.KindCluster, here); len(left) != 1 || left[0].Name != "default" || left[0].Cluster.Settings != nil {
		t.Errorf("%d clusters are left", len(left))
	}
	if _, more := w.svc.Configurations(here, "", 10); more || len(w.catalog.All(catalog.KindConfiguration)) != 0 || len(w.catalog.All(catalog.KindStream)) != 0 {
		t.Error("a configuration or a topic is left")
	}
	if cl, err := w.svc.Brokers(w.get("default")); err != nil || len(cl.Settings()) != 0 {
		t.Error("the default cluster is still set", err)
	}
	w.create("a", 1, Plaintext)
}

func TestShapesAreBounded(t *testing.T) {
	w := newWorld(t, PortRange{})
	large := make([]byte, maxShape+1)
	if _, err := w.svc.Create(ctx, NewCluster{Scope: here, Name: "a", Brokers: 1, Kinds: []Kind{Plaintext}, Shape: large}); errs.KindOf(err) != errs.Invalid {
		t.Error(err)
	}
	w.create("a", 1, Plaintext)
	w.settle()
	if _, err := w.svc.Update(ctx, w.get("a"), Change{State: catalog.Updating, Do: func(_ *catalog.Tx, _ *catalog.Resource, o *catalog.ClusterOperation) error {
		o.Target = large
		return nil
	}}); errs.KindOf(err) != errs.Invalid {
		t.Error(err)
	}
}

// TestDeletedMeanwhile: a cluster that is asked to go while it comes about goes.
func TestDeletedMeanwhile(t *testing.T) {
	w := newWorld(t, PortRange{})
	w.create("a", 1, Plaintext)
	w.host.during = func() {
		if err := w.svc.Delete(ctx, w.get("a"), ""); err != nil {
			t.Error(err)
		}
	}
	w.settle()
	if w.state("a") != catalog.Deleting {
		t.Errorf("a deletion that was answered is gone: the cluster is %s", w.state("a"))
	}
	w.settle()
	if _, err := w.svc.Lookup(here, "a", ""); err == nil {
		t.Error("it is still there")
	}
	if len(w.host.serving) != 1 {
		t.Error("it still listens")
	}
}

// TestMembersHaveAPart: the groups and transactional ids of all clusters take a
// quarter of the memory at most, whatever they are called.
func TestMembersHaveAPart(t *testing.T) {
	w := newWorld(t, PortRange{})
	c, err := w.svc.Brokers(w.get(brokers.DefaultName))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if _, _, err := c.Transactions().Init(ctx, strings.Repeat("x", 1<<20)+strconv.Itoa(i), 1000, -1, -1); err != nil {
			if err.Code != brokers.CoordinatorNotAvailable || i < 50 || w.budget.Used() > w.budget.Max()/4+1<<20 {
				t.Errorf("%d ids of 1 MiB: %d bytes are drawn, %v", i, w.budget.Used(), err)
			}
			return
		}
	}
	t.Errorf("100 ids of 1 MiB are kept: %d bytes are drawn", w.budget.Used())
}
