package brokers

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"go.uber.org/goleak"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/lifecycle"
	"thalweg/internal/log/disk"
	"thalweg/internal/streams"
	"thalweg/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fixedKeys struct{}

func (fixedKeys) Secret(purpose string) [32]byte { return sha256.Sum256([]byte(purpose)) }

// world is a cluster over a log in memory with a clock of its own.
type world struct {
	t       testing.TB
	fs      *vfs.Mem
	clock   *clock.Manual
	log     *disk.Log
	cluster *Cluster
	beside  *lifecycle.Group
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, fs: vfs.NewMem(1), clock: clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))}
	w.open()
	t.Cleanup(w.close)
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.log, err = disk.Open(context.Background(), disk.Options{FS: w.fs, Dir: "data", Clock: w.clock, Manual: true}); err != nil {
		w.t.Fatal(err)
	}
	cat, err := catalog.Open(context.Background(), w.log, w.clock)
	if err != nil {
		w.t.Fatal(err)
	}
	svc, err := streams.New(streams.Options{Log: w.log, Catalog: cat, Clock: w.clock, Keys: fixedKeys{}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.cluster = New(Options{Log: w.log, Catalog: cat, Streams: svc, Clock: w.clock, Keys: fixedKeys{}, Brokers: 3,
		Scope: catalog.Scope{Account: "000000000000", Region: "us-east-1"}})
	w.beside = lifecycle.NewGroup(context.Background())
	w.beside.Go("groups", w.cluster.Groups().Run)
	w.beside.Go("answers", w.cluster.Groups().Deliver)
	w.beside.Go("transactions", w.cluster.Transactions().Run)
}

func (w *world) close() {
	if err := w.beside.Stop(context.Background()); err != nil {
		w.t.Error(err)
	}
	if err := w.log.Close(context.Background()); err != nil {
		w.t.Error(err)
	}
}

// restart ends the cluster in order and opens it again.
func (w *world) restart() {
	w.t.Helper()
	w.close()
	w.open()
}

func (w *world) topic(name string, partitions int32, configs ...string) *Topic {
	w.t.Helper()
	n := NewTopic{Name: name, Partitions: partitions, Replication: -1, Configs: map[string]string{}}
	for i := 0; i < len(configs); i += 2 {
		n.Configs[configs[i]] = configs[i+1]
	}
	t, err := w.cluster.CreateTopic(context.Background(), n)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

func codeOf(err *Error) Code {
	if err == nil {
		return OK
	}
	return err.Code
}
