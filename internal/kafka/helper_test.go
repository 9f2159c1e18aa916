package kafka

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/lifecycle"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/streams"
	"thalweg/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fixedKeys struct{}

func (fixedKeys) Secret(purpose string) [32]byte { return sha256.Sum256([]byte(purpose)) }

// server is a door over a log in memory.
type server struct {
	door    *Door
	cluster *brokers.Cluster
	streams *streams.Service
	log     *disk.Log
	budget  *limits.Budget
	addr    string
}

func scope() catalog.Scope { return catalog.Scope{Account: "000000000000", Region: "us-east-1"} }

// newServer starts one; tune changes how the door is opened.
func newServer(t testing.TB, count int, tune func(*Options)) *server {
	t.Helper()
	return newServerOn(t, count, tune, Listener{})
}

// newServerOn is newServer with a listener that is more than an address.
func newServerOn(t testing.TB, count int, tune func(*Options), l Listener) *server {
	t.Helper()
	s := &server{budget: limits.NewBudget(256 << 20)}
	c := clock.System()
	var err error
	s.log, err = disk.Open(t.Context(), disk.Options{FS: vfs.NewEphemeral(), Dir: "/data", Clock: c, Memory: s.budget, WALFileBytes: 4 << 20, TailBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalog.Open(t.Context(), s.log, c)
	if err != nil {
		t.Fatal(err)
	}
	s.streams, err = streams.New(streams.Options{Log: s.log, Catalog: cat, Clock: c, Keys: fixedKeys{}, Memory: s.budget})
	if err != nil {
		t.Fatal(err)
	}
	s.cluster = brokers.New(brokers.Options{Log: s.log, Catalog: cat, Streams: s.streams, Clock: c, Keys: fixedKeys{}, Scope: scope(), Brokers: count, Memory: s.budget})
	background := lifecycle.NewGroup(context.WithoutCancel(t.Context()))
	background.Go("groups", s.cluster.Groups().Run)
	background.Go("answers", s.cluster.Groups().Deliver)
	background.Go("transactions", s.cluster.Transactions().Run)
	o := Options{Cluster: s.cluster, Log: s.log, Budget: s.budget, Clock: c, Logger: slog.New(slog.DiscardHandler)}
	if tune != nil {
		tune(&o)
	}
	if o.Security == nil {
		seal, err := newStore(t).AEAD("test")
		if err == nil {
			o.Security, err = brokers.OpenSecurity(t.Context(), brokers.SecurityOptions{Log: s.log, Partition: log.PartitionID{Index: 3}, Clock: c,
				Seal: seal, Keys: fixedKeys{}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for range count {
		l.Addrs = append(l.Addrs, "127.0.0.1:0")
	}
	s.door, err = Open(o, []Listener{l})
	if err != nil {
		t.Fatal(err)
	}
	s.addr = s.door.Bound()[0].Addr
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.door.Shutdown(ctx); err != nil {
			t.Errorf("shut down: %v", err)
		}
		if err := background.Stop(ctx); err != nil {
			t.Errorf("stop groups: %v", err)
		}
		if err := s.log.Close(ctx); err != nil {
			t.Errorf("close log: %v", err)
		}
		if used := s.budget.Used(); used < 0 {
			t.Errorf("the budget is at %d", used)
		}
	})
	return s
}

// client returns a client that is closed before the server.
func (s *server) client(t testing.TB, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(s.addr)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// ask sends one request to a broker and returns the answer.
func ask[Resp kmsg.Response](t testing.TB, cl *kgo.Client, req kmsg.Request) Resp {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	resp, err := cl.Request(ctx, req)
	if err != nil {
		t.Fatalf("%T: %v", req, err)
	}
	return resp.(Resp)
}

// createTopic makes a topic through the wire.
func createTopic(t testing.TB, cl *kgo.Client, name string, partitions int32, configs ...string) *kmsg.CreateTopicsResponse {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, partitions, -1
	for i := 0; i < len(configs); i += 2 {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = configs[i], &configs[i+1]
		rt.Configs = append(rt.Configs, c)
	}
	req.Topics = append(req.Topics, rt)
	req.TimeoutMillis = 5000
	return ask[*kmsg.CreateTopicsResponse](t, cl, req)
}

func mustCreate(t testing.TB, cl *kgo.Client, name string, partitions int32, configs ...string) {
	t.Helper()
	if got := createTopic(t, cl, name, partitions, configs...).Topics[0]; got.ErrorCode != 0 {
		t.Fatalf("create %s: %d %v", name, got.ErrorCode, got.ErrorMessage)
	}
}
