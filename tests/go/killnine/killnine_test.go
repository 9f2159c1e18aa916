// Package killnine kills the real binary with SIGKILL, again and again, while
// two kinds of client write, and holds what is read afterwards against a ledger
// that the clients kept.
package killnine

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/tests/events"
	"thalweg/tests/harness"
	"thalweg/tests/ledger"
	"thalweg/tests/sdk"
)

var (
	kills      = flag.Int("kills", 3, "how often to kill the server")
	newAcks    = flag.Int64("acks", 10_000, "records to be acknowledged between two kills, at least")
	unanswered = flag.Int("unanswered", 8, "calls that each kill must leave unanswered, at least")
	workers    = flag.Int("workers", 24, "concurrent writers, half with the SDK, half with the lean client")
	eventCount = flag.String("events", "60000", `how many player events make one run: a number, or "all"`)
	seed       = flag.Uint64("seed", 0, "seed of the kill moments and batch sizes; 0 picks one")
)

const (
	stream = "players"
	shards = 4
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

// TestKillNine: every acknowledged record is there once at its sequence number,
// repeats are those of unanswered calls only, order and rising sequence numbers
// hold across the restarts; and readers that kept their iterators through every
// kill saw the very log that is read in the end, so nothing that was shown was
// ever taken back.
func TestKillNine(t *testing.T) {
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
	rng := rand.New(rand.NewPCG(*seed, 0))
	server := harness.ForTest(t, harness.Options{})
	client := sdk.Client(server.URL(), sdk.NoRetry)
	list, err := sdk.CreateStream(t.Context(), client, stream, shards)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ledger")
	book, err := ledger.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	owned := set.Split(*workers)
	c := &crowd{server: server, book: book, gate: newGate(), stop: make(chan struct{})}
	live := make([][]ledger.Read, shards)
	var killed []killInfo
	err = harness.Parallel(t.Context(), *workers+shards+1, func(ctx context.Context, i int) error {
		switch {
		case i < *workers:
			w := &worker{crowd: c, events: owned[i], rng: rand.New(rand.NewPCG(*seed, uint64(i)+1))}
			if i%2 == 0 {
				w.put = newSDKPutter(server.URL()).put
			} else {
				w.put = newLeanPutter(server.Addr()).put
			}
			return w.run(ctx)
		case i < *workers+shards:
			i -= *workers
			var err error
			live[i], err = c.follow(ctx, client, *list[i].ShardId)
			return err
		}
		defer close(c.stop)
		var err error
		killed, err = c.killer(ctx, rng, t.Logf)
		return err
	})
	if err := errors.Join(err, book.Close()); err != nil {
		t.Fatal(err)
	}
	report, total := verdict(t, server, client, list, path, live)
	t.Logf("%d kills: %+v", len(killed), report)
	harness.Evidence(t, "killnine", map[string]any{
		"seed": *seed, "origin": set.Origin, "kills": len(killed), "each": killed, "workers": *workers,
		"runs_of_the_events": int(c.runs.Load()), "report": report, "records_in_log": total,
	})
}

// verdict reads everything back, twice with a kill between, and checks it.
func verdict(t *testing.T, server *harness.Server, client *kinesis.Client, list []types.Shard,
	path string, live [][]ledger.Read,
) (ledger.Report, int) {
	t.Helper()
	final, err := sdk.DrainAll(t.Context(), client, stream, list)
	if err != nil {
		t.Fatal(err)
	}
	calls, err := ledger.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	report := ledger.Check(calls, final)
	if report.Err != nil {
		t.Error(report.Err)
	}
	total := 0
	for i, s := range list {
		total += len(final[*s.ShardId])
		if at := firstDifference(live[i], final[*s.ShardId]); at >= 0 {
			t.Errorf("%s: what the reader saw through the kills (%d records) differs from the log (%d) at record %d",
				*s.ShardId, len(live[i]), len(final[*s.ShardId]), at)
		}
	}
	if err := errors.Join(server.Kill(), server.Verify(t.Context()), server.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	again, err := sdk.DrainAll(t.Context(), client, stream, list)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(final, again) {
		t.Error("the log reads differently after one more kill")
	}
	if err := errors.Join(server.Stop(), server.Verify(t.Context())); err != nil {
		t.Error(err)
	}
	return report, total
}

// firstDifference returns the index of the first record in which two readings
// differ, -1 if none.
func firstDifference(a, b []ledger.Read) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return i
		}
	}
	return -1
}

// killInfo is one kill, for the record.
type killInfo struct {
	NewAcks        int64 `json:"new_acks"`
	Unanswered     int64 `json:"unanswered_calls"`
	CrashedStarts  int   `json:"crashed_starts"`
	ReadyMillis    int64 `json:"ready_ms"`
	unansweredBase int64
}

// killer kills the server until enough kills have met both conditions.
func (c *crowd) killer(ctx context.Context, rng *rand.Rand, logf func(string, ...any)) ([]killInfo, error) {
	var done []killInfo
	base := int64(0)
	for tries := 0; len(done) < *kills; tries++ {
		if tries > 3**kills+10 {
			return done, fmt.Errorf("%d kills, only %d of them with %d calls unanswered", tries, len(done), *unanswered)
		}
		if err := c.await(ctx, func() bool { return c.acked.Load() >= base+*newAcks }); err != nil {
			return done, fmt.Errorf("wait for %d new acknowledgements, have %d: %w", *newAcks, c.acked.Load()-base, err)
		}
		if err := pause(ctx, time.Duration(rng.Int64N(int64(50*time.Millisecond)))); err != nil {
			return done, err
		}
		if err := c.await(ctx, func() bool { return c.inFlight.Load() >= int64(*unanswered) }); err != nil {
			return done, fmt.Errorf("wait for %d calls in flight: %w", *unanswered, err)
		}
		k := killInfo{unansweredBase: c.unanswered.Load()}
		c.gate.close()
		if err := c.server.Kill(); err != nil {
			return done, err
		}
		// Every call that was in flight has to notice.
		if err := c.await(ctx, func() bool { return c.inFlight.Load() == 0 }); err != nil {
			return done, err
		}
		k.NewAcks, k.Unanswered = c.acked.Load()-base, c.unanswered.Load()-k.unansweredBase
		if rng.IntN(2) == 0 {
			k.CrashedStarts = 1 + rng.IntN(2)
		}
		for range k.CrashedStarts {
			if err := c.server.CrashStart(time.Duration(rng.Int64N(int64(40 * time.Millisecond)))); err != nil {
				return done, err
			}
		}
		if err := c.server.Restart(ctx); err != nil {
			return done, err
		}
		k.ReadyMillis = c.server.Took().Milliseconds()
		base = c.acked.Load()
		c.gate.open()
		if k.Unanswered >= int64(*unanswered) {
			done = append(done, k)
			logf("kill %d: %d new acks, %d calls unanswered, %d starts crashed, ready in %d ms",
				len(done), k.NewAcks, k.Unanswered, k.CrashedStarts, k.ReadyMillis)
		}
	}
	// Let the last restart prove that writing goes on.
	return done, c.await(ctx, func() bool { return c.acked.Load() >= base+*newAcks/10 })
}
