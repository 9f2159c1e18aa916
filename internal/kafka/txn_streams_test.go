package kafka

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/streams"
)

// got is what a reader of the stream sees of a shard.
func (s *server) got(t *testing.T, stream string, shard ids.Shard) []string {
	t.Helper()
	r, sh, err := s.streams.Shard(scope(), stream, shard.String())
	if err != nil {
		t.Fatal(err)
	}
	pos, err := s.streams.Locate(r, sh, streams.StartingAt{Type: streams.TrimHorizon})
	if err != nil {
		t.Fatal(err)
	}
	page, err := s.streams.Get(pos, streams.MaxGetRecords)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	var out []string
	for page.Next() {
		out = append(out, string(page.Record().Data))
	}
	return out
}

// TestTransactionsOnStreams: a transaction writes to Kinesis streams as well: their
// readers see what was committed, and a shard with an open transaction is not
// closed, but takes no other that would be in the way of the next attempt. One that
// was closed before anything was written to it is no hindrance.
func TestTransactionsOnStreams(t *testing.T) {
	s := newServer(t, 1, nil)
	ctx := t.Context()
	for _, name := range []string{"a", "b"} {
		if err := s.streams.Create(ctx, streams.NewStream{Scope: scope(), Name: name, Mode: catalog.Provisioned, Shards: 1}); err != nil {
			t.Fatal(err)
		}
	}
	split := func(stream string) error {
		return s.streams.Split(ctx, scope(), stream, ids.Shard(0).String(), "170141183460469231731687303715884105728")
	}
	cl := s.client(t, kgo.TransactionalID("teller"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	write := func(values ...string) {
		t.Helper()
		for i, v := range values {
			if err := cl.ProduceSync(ctx, &kgo.Record{Topic: []string{"a", "b"}[i%2], Value: []byte(v)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	shown := func(want ...string) {
		t.Helper()
		if got := append(s.got(t, "a", 0), s.got(t, "b", 0)...); !slices.Equal(got, want) {
			t.Fatalf("shown: %q, want %q", got, want)
		}
	}
	for _, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		write("one", "two")
		shown()
		if err := cl.EndTransaction(ctx, end); err != nil {
			t.Fatal(err)
		}
	}
	shown("one", "two")

	// It has joined a shard that closes before it writes there.
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	write("three")
	txn, refused := s.cluster.Transactions().Enter(ctx, "teller")
	if refused != nil {
		t.Fatal(refused)
	}
	refused = s.cluster.Transactions().Join(txn, []brokers.Commit{{Topic: "b"}})
	txn.Leave()
	if refused != nil {
		t.Fatal(refused)
	}
	if err := split("b"); err != nil {
		t.Fatal(err)
	}
	if err := cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	shown("one", "three", "two")

	// Two whose transactions always overlap do not keep a shard open.
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	write("four")
	if err := split("a"); errs.KindOf(err) != errs.InUse {
		t.Fatalf("split while a transaction is open: %v", err)
	}
	id := "other"
	init := kmsg.NewPtrInitProducerIDRequest()
	init.TransactionalID, init.TransactionTimeoutMillis = &id, 60_000
	p := ask[*kmsg.InitProducerIDResponse](t, cl, init)
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.TransactionID, req.Acks, req.TimeoutMillis = 12, &id, -1, 10_000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.Partitions = "a", []kmsg.ProduceRequestTopicPartition{{Records: transactional(p.ProducerID, p.ProducerEpoch, 0)}}
	req.Topics = append(req.Topics, rt)
	raw := s.raw(t)
	raw.write(frameOf(req, 1))
	_, body := raw.read()
	resp := &kmsg.ProduceResponse{Version: 12}
	if err := resp.ReadFrom(body[1:]); err != nil || resp.Topics[0].Partitions[0].ErrorCode != kerr.NotEnoughReplicas.Code {
		t.Fatalf("%v, %+v", err, resp)
	}
	part := []brokers.Commit{{Topic: "a"}}
	if err := s.cluster.Transactions().AddPartitions(ctx, id, p.ProducerID, p.ProducerEpoch, part); err == nil || err.Code != brokers.ConcurrentTransactions {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "a", Value: []byte("five")}).FirstErr(); err != nil { // it goes on where it is
		t.Fatal(err)
	}
	if err := cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if err := split("a"); err != nil {
		t.Fatal(err)
	}
	shown("one", "three", "four", "five", "two")
}
