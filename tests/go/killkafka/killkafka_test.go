// Package killkafka kills the real binary with SIGKILL, again and again, while
// transactional Kafka producers write player events, and reads them through both
// doors.
package killkafka

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/tests/events"
	"thalweg/tests/harness"
	"thalweg/tests/ledger"
	"thalweg/tests/sdk"
)

var (
	kills      = flag.Int("kills", 3, "how often to kill the server")
	workers    = flag.Int("workers", 6, "transactional producers, each with games of its own")
	maxBatch   = flag.Int("batch", 60, "the most events of one transaction")
	eventCount = flag.String("events", "6000", `how many player events to write: a number, or "all"`)
	seed       = flag.Uint64("seed", 0, "seed of the kill moments and transaction sizes; 0 picks one")
)

const (
	topic      = "players"
	partitions = 4
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

// partitionOf keeps a game in one partition.
func partitionOf(e events.Event) int32 {
	h := fnv.New32a()
	h.Write([]byte(e.Game))
	return int32(h.Sum32() % partitions)
}

// TestTransactionsThroughKills: every event is seen once, in order, by readers of
// committed records, Kafka's and Kinesis's, that read through every kill; and the
// same again afterwards, though some transactions were aborted on purpose and others
// cut by the kills.
func TestTransactionsThroughKills(t *testing.T) {
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
	createTopic(t, server)
	client := sdk.Client(server.URL(), sdk.NoRetry)

	owned := set.Split(*workers)
	done := make(chan struct{}) // closed when every teller is done
	var left atomic.Int64
	left.Store(int64(*workers))
	var did counts
	var live [][]read
	streamed := make([][]read, partitions)
	var killed []killInfo
	err = harness.Parallel(t.Context(), *workers+partitions+2, func(ctx context.Context, i int) (err error) {
		switch {
		case i < *workers:
			w := &teller{counts: &did, server: server, id: fmt.Sprint("teller-", i), events: owned[i],
				rng: rand.New(rand.NewPCG(*seed, uint64(i)+1)), impatient: i%2 == 0}
			err = w.run(ctx)
			if left.Add(-1) == 0 {
				close(done)
			}
		case i < *workers+partitions:
			i -= *workers
			streamed[i], err = readKinesis(ctx, client, i, done)
		case i == *workers+partitions:
			live, err = readKafka(ctx, server, kgo.ReadCommitted(), done)
		default:
			killed, err = killer(ctx, server, &did, int64(len(set.Events)), t.Logf)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	exactlyOnce(t, set.Events, live)
	if !reflect.DeepEqual(live, streamed) {
		t.Error("Kinesis and Kafka saw different records")
	}
	if err := errors.Join(server.Kill(), server.Verify(t.Context()), server.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	again, err1 := readKafka(t.Context(), server, kgo.ReadCommitted(), done)
	stored, err2 := readKafka(t.Context(), server, kgo.ReadUncommitted(), done)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(live, again) {
		t.Error("what was read through the kills differs from what is there after one more")
	}
	dropped := -len(set.Events)
	for _, p := range stored {
		dropped += len(p)
	}
	if dropped <= 0 || did.aborts.Load() == 0 {
		t.Errorf("%d records of %d transactions are aborted: too few to show anything", dropped, did.aborts.Load())
	}
	if err := errors.Join(server.Stop(), server.Verify(t.Context())); err != nil {
		t.Error(err)
	}
	t.Logf("%d kills, %d commits, %d aborts; in doubt %d found committed and %d not (%d cut before the end); %d aborted records hidden",
		len(killed), did.commits.Load(), did.aborts.Load(), did.foundCommitted.Load(), did.foundAborted.Load(), did.cut.Load(), dropped)
	harness.Evidence(t, "kafka-transactions", map[string]any{
		"seed": *seed, "origin": set.Origin, "events": len(set.Events), "kills": len(killed), "each": killed, "producers": *workers, "partitions": partitions,
		"commits": did.commits.Load(), "aborts": did.aborts.Load(), "in_doubt_found_committed": did.foundCommitted.Load(),
		"in_doubt_found_aborted": did.foundAborted.Load(), "cut_before_their_end": did.cut.Load(), "aborted_records_hidden": dropped,
	})
}

func createTopic(t *testing.T, server *harness.Server) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(server.Ready().Kafka))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, partitions, -1
	req.Topics, req.TimeoutMillis = append(req.Topics, rt), 5000
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		t.Fatal(err)
	}
}

// exactlyOnce holds what was read against the events: each game's in its partition,
// whole, once, in order, unaltered.
func exactlyOnce(t *testing.T, sent []events.Event, got [][]read) {
	t.Helper()
	type place struct {
		partition int32
		game      string
	}
	want := map[place][]ledger.Record{}
	for _, e := range sent {
		at := place{partitionOf(e), e.Game}
		want[at] = append(want[at], ledger.Record{ID: e.ID(0), Sum: events.Sum(e.Data(0))})
	}
	for p, reads := range got {
		for _, r := range reads {
			at := place{int32(p), r.ID.Game}
			if len(want[at]) == 0 || want[at][0] != r.Record {
				t.Fatalf("partition %d, offset %d: %s: repeated, out of order or altered; %d of its game are not read yet", p, r.offset, r.ID, len(want[at]))
			}
			want[at] = want[at][1:]
		}
	}
	for at, rest := range want {
		if len(rest) > 0 {
			t.Fatalf("partition %d: %d events of a game are missing, the first is %s", at.partition, len(rest), rest[0].ID)
		}
	}
}

// killInfo is one kill, for the record.
type killInfo struct {
	Committed     int64 `json:"committed_events"`
	Open          int64 `json:"open_transactions"`
	CrashedStarts int   `json:"crashed_starts"`
	ReadyMillis   int64 `json:"ready_ms"`
}

// killer kills the server in the middle of each share of the events, while
// transactions are open.
func killer(ctx context.Context, server *harness.Server, did *counts, total int64, logf func(string, ...any)) ([]killInfo, error) {
	rng := rand.New(rand.NewPCG(*seed, 0))
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	var done []killInfo
	for k := range int64(*kills) {
		share := total / int64(*kills)
		at := k*share + rng.Int64N(share/2+1)
		for did.committed.Load() < at || did.open.Load() == 0 {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return done, fmt.Errorf("wait to kill at %d of %d events: %w", did.committed.Load(), total, ctx.Err())
			}
		}
		info := killInfo{Committed: did.committed.Load(), Open: did.open.Load()}
		if err := server.Kill(); err != nil {
			return done, err
		}
		for range rng.IntN(3) {
			info.CrashedStarts++
			if err := server.CrashStart(time.Duration(rng.Int64N(int64(40 * time.Millisecond)))); err != nil {
				return done, err
			}
		}
		if err := server.Restart(ctx); err != nil {
			return done, err
		}
		info.ReadyMillis = server.Took().Milliseconds()
		done = append(done, info)
		logf("kill %d: %d events committed, %d transactions open, %d starts crashed, ready in %d ms", k+1, info.Committed, info.Open, info.CrashedStarts, info.ReadyMillis)
	}
	return done, nil
}
