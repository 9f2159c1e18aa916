// Package reshard splits, merges and scales a stream of the real binary while
// clients write and read it and while it is killed, and holds what is read
// afterwards against a ledger that the clients kept.
package reshard

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/tests/events"
	"thalweg/tests/harness"
	"thalweg/tests/ledger"
	"thalweg/tests/sdk"
)

var (
	kills      = flag.Int("kills", 3, "how often to kill the server")
	newAcks    = flag.Int64("acks", 5000, "records to be acknowledged between two kills, at least")
	reshards   = flag.Int64("reshards", 40, "reshards to be acknowledged between two kills, at least")
	eventCount = flag.String("events", "40000", `how many player events make one run: a number, or "all"`)
	seed       = flag.Uint64("seed", 0, "seed of reshards and batch sizes; 0 picks one")
)

const (
	stream   = "players"
	initial  = 2 // shards
	workers  = 8
	maxBatch = 40
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

// crowd is what writers, the resharder and the killer share.
type crowd struct {
	server        *harness.Server
	client        *kinesis.Client
	book          *ledger.Ledger
	acked, redone atomic.Int64 // records; reshards
	unanswered    atomic.Int64 // reshards
}

var errUnanswered = errors.New("unanswered")

// answer tells an answered error from a lost answer.
func answer(err error) error {
	if !sdk.Lost(err) {
		return err
	}
	return fmt.Errorf("%w: %w", errUnanswered, err)
}

// worker writes its events in order, run after run, one call at a time.
type worker struct {
	*crowd
	events []events.Event
	rng    *rand.Rand
	run    int
	at     int
}

// write writes until a call stays unanswered, whose records come first the next
// time.
func (w *worker) write(ctx context.Context) error {
	for len(w.events) > 0 {
		batch := w.events[w.at:min(w.at+1+w.rng.IntN(maxBatch), len(w.events))]
		entries := make([]types.PutRecordsRequestEntry, len(batch))
		records := make([]ledger.Record, len(batch))
		for i, e := range batch {
			data := e.Data(w.run)
			entries[i] = types.PutRecordsRequestEntry{Data: data, PartitionKey: aws.String(e.Key())}
			records[i] = ledger.Record{ID: e.ID(w.run), Sum: events.Sum(data)}
		}
		call := w.book.Sent(records)
		out, err := w.client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: aws.String(stream), Records: entries})
		switch err = answer(err); {
		case errors.Is(err, errUnanswered):
			return ctx.Err()
		case err != nil:
			w.book.Failed(call, err)
			return err
		}
		places := make([]ledger.Place, len(out.Records))
		for i, r := range out.Records {
			if r.ErrorCode != nil {
				return fmt.Errorf("record %d of %d: %s %s", i, len(entries), *r.ErrorCode, aws.ToString(r.ErrorMessage))
			}
			places[i] = ledger.Place{Shard: *r.ShardId, Seq: *r.SequenceNumber}
		}
		w.book.Acked(call, places)
		w.acked.Add(int64(len(places)))
		if w.at += len(batch); w.at == len(w.events) {
			w.run, w.at = w.run+1, 0
		}
	}
	return nil
}

// reshard changes the shards at random until a call stays unanswered.
func (c *crowd) reshard(ctx context.Context, rng *rand.Rand) error {
	for {
		open, err := openShards(ctx, c.client)
		if err == nil {
			err = c.change(ctx, rng, open)
		}
		switch err = answer(err); {
		case errors.Is(err, errUnanswered):
			c.unanswered.Add(1)
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("reshard: %w", err)
		}
		c.redone.Add(1)
	}
}

// change makes one change.
func (c *crowd) change(ctx context.Context, rng *rand.Rand, open []shard) error {
	i := rng.IntN(len(open))
	var limit *types.LimitExceededException
	switch kind := rng.IntN(8); {
	case kind == 0 || len(open) > 16:
		target := int32((len(open)+1)/2 + rng.IntN(4))
		_, err := c.client.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{
			StreamName: aws.String(stream), TargetShardCount: aws.Int32(target), ScalingType: types.ScalingTypeUniformScaling,
		})
		if !errors.As(err, &limit) { // ten a day, or too far for so few
			return err
		}
	case kind < 4 && i+1 < len(open):
		_, err := c.client.MergeShards(ctx, &kinesis.MergeShardsInput{
			StreamName: aws.String(stream), ShardToMerge: &open[i].id, AdjacentShardToMerge: &open[i+1].id,
		})
		return err
	case len(open) > 16:
		return nil
	}
	_, err := c.client.SplitShard(ctx, &kinesis.SplitShardInput{
		StreamName: aws.String(stream), ShardToSplit: &open[i].id, NewStartingHashKey: aws.String(open[i].middle()),
	})
	return err
}

// kill ends the server once enough was done since the last time.
func (c *crowd) kill(ctx context.Context) error {
	acked, redone := c.acked.Load()+*newAcks, c.redone.Load()+*reshards
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	for c.acked.Load() < acked || c.redone.Load() < redone {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return c.server.Kill()
}

// TestKilledWhileResharding: every acknowledged record is there once, at its
// sequence number, in the order of its key from parents to children, and the
// lineage is whole, though the server was killed again and again in the middle of
// splits, merges and puts.
func TestKilledWhileResharding(t *testing.T) {
	n, err := events.Count(*eventCount)
	if err != nil {
		t.Fatal(err)
	}
	set, err := events.Load(harness.Root(), n)
	if err != nil {
		t.Fatal(err)
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("%s; seed %d", set.Origin, *seed)
	server := harness.ForTest(t, harness.Options{})
	c := &crowd{server: server, client: sdk.Client(server.URL(), sdk.NoRetry)}
	if _, err := sdk.CreateStream(t.Context(), c.client, stream, initial); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ledger")
	if c.book, err = ledger.Create(path); err != nil {
		t.Fatal(err)
	}
	writers := make([]*worker, workers)
	for i, owned := range set.Split(workers) {
		writers[i] = &worker{crowd: c, events: owned, rng: rand.New(rand.NewPCG(*seed, uint64(i)+1))}
	}
	rng := rand.New(rand.NewPCG(*seed, 0))
	for range *kills {
		err := harness.Parallel(t.Context(), workers+2, func(ctx context.Context, i int) error {
			switch i {
			case workers:
				return c.reshard(ctx, rng)
			case workers + 1:
				return c.kill(ctx)
			}
			return writers[i].write(ctx)
		})
		if err := errors.Join(err, server.Verify(t.Context()), server.Restart(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.book.Close(); err != nil {
		t.Fatal(err)
	}
	report, shards := verdict(t, c.client, path)
	t.Logf("%d kills, %d reshards and %d without an answer, %d shards: %+v", *kills, c.redone.Load(), c.unanswered.Load(), shards, report)
	harness.Evidence(t, "reshard", map[string]any{
		"seed": *seed, "origin": set.Origin, "kills": *kills, "reshards": c.redone.Load(),
		"reshards_unanswered": c.unanswered.Load(), "shards": shards, "report": report,
	})
}

// verdict reads everything back and checks it.
func verdict(t *testing.T, client *kinesis.Client, path string) (ledger.Report, int) {
	t.Helper()
	list, err := sdk.ListShards(t.Context(), client, stream)
	if err != nil {
		t.Fatal(err)
	}
	checkLineage(t, list, initial)
	all := map[string][]ledger.Read{}
	var order []string
	for _, s := range list {
		f, err := sdk.Follow(t.Context(), client, stream, *s.ShardId)
		if err != nil {
			t.Fatal(err)
		}
		for tip := false; !tip; {
			var page []ledger.Read
			if page, tip, err = f.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
			all[*s.ShardId] = append(all[*s.ShardId], page...)
			tip = tip && len(page) == 0
		}
		checkChildren(t, list, s, f.Children)
		order = append(order, *s.ShardId)
	}
	calls, err := ledger.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	report := ledger.CheckAcross(calls, all, order)
	if report.Err != nil {
		t.Error(report.Err)
	}
	return report, len(list)
}
