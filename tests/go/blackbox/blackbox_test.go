// Package blackbox puts the player events through the real binary with
// aws-sdk-go-v2 and reads them back while they are being written.
package blackbox

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
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
	eventCount = flag.String("events", "all", `how many player events to send: a number, or "all"`)
	producers  = flag.Int("producers", 8, "concurrent producers, each the owner of some games")
)

const (
	stream   = "players"
	shards   = 4
	perCall  = 500 // records of one PutRecords, the most that the API takes
	pollWait = 5 * time.Millisecond
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

// TestEventsThroughAndBack: every event through PutRecords into four shards is
// read by four readers while it is being written: the same multiset, in order,
// with sequence numbers that rise strictly, in the shard that its key hashes
// to; and after a kill -9 the log holds the very same.
func TestEventsThroughAndBack(t *testing.T) {
	n, err := events.Count(*eventCount)
	if err != nil {
		t.Fatal(err)
	}
	set, err := events.Load(harness.Root(), n)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(set.Origin)
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

	began := time.Now()
	var read atomic.Int64
	live := make([][]ledger.Read, shards)
	owned := set.Split(*producers)
	err = harness.Parallel(t.Context(), *producers+shards, func(ctx context.Context, i int) error {
		if i < *producers {
			return produce(ctx, client, book, owned[i])
		}
		i -= *producers
		var err error
		live[i], err = follow(ctx, client, *list[i].ShardId, &read, int64(len(set.Events)))
		return err
	})
	took := time.Since(began)
	if err := errors.Join(err, book.Close()); err != nil {
		t.Fatal(err)
	}

	byShard, home := map[string][]ledger.Read{}, map[string]string{}
	for i, s := range list {
		byShard[*s.ShardId] = live[i]
		for _, r := range live[i] {
			if home[r.ID.Game] == "" {
				home[r.ID.Game] = sdk.ShardOf(list, r.ID.Game)
			}
			if want := home[r.ID.Game]; want != *s.ShardId {
				t.Fatalf("%s stands in %s, its key hashes to %s", r.ID, *s.ShardId, want)
			}
		}
	}
	report := check(t, path, byShard)
	if report.Acked != len(set.Events) || report.ReadBack != len(set.Events) || report.Repeats != 0 {
		t.Errorf("sent %d events: %+v", len(set.Events), report)
	}

	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := sdk.DrainAll(t.Context(), client, stream, list)
	if err != nil {
		t.Fatal(err)
	}
	for id, reads := range byShard {
		if !reflect.DeepEqual(reads, after[id]) {
			t.Errorf("%s: %d records read live, %d others or other ones after kill -9", id, len(reads), len(after[id]))
		}
	}
	rate := float64(len(set.Events)) / took.Seconds()
	t.Logf("%d events written and read in %.1f s (%.0f/s); ready %d ms after kill -9",
		len(set.Events), took.Seconds(), rate, server.Took().Milliseconds())
	harness.Evidence(t, "events", map[string]any{
		"events": len(set.Events), "origin": set.Origin, "shards": shards, "producers": *producers,
		"seconds": took.Seconds(), "records_per_second": int(rate), "report": report,
		"ready_after_kill_ms": server.Took().Milliseconds(),
	})
}

func check(t *testing.T, path string, byShard map[string][]ledger.Read) ledger.Report {
	t.Helper()
	calls, err := ledger.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	report := ledger.Check(calls, byShard)
	if report.Err != nil {
		t.Errorf("%+v\n%v", report, report.Err)
	}
	return report
}

// produce sends the events in order, one call at a time.
func produce(ctx context.Context, client *kinesis.Client, book *ledger.Ledger, owned []events.Event) error {
	name := aws.String(stream)
	for len(owned) > 0 {
		batch := owned[:min(perCall, len(owned))]
		owned = owned[len(batch):]
		records := make([]ledger.Record, len(batch))
		entries := make([]types.PutRecordsRequestEntry, len(batch))
		for i, e := range batch {
			data := e.Data(0)
			records[i] = ledger.Record{ID: e.ID(0), Sum: events.Sum(data)}
			entries[i] = types.PutRecordsRequestEntry{Data: data, PartitionKey: aws.String(e.Key())}
		}
		call := book.Sent(records)
		out, err := client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: name, Records: entries})
		if err != nil {
			book.Failed(call, err)
			return fmt.Errorf("put: %w", err)
		}
		if n := aws.ToInt32(out.FailedRecordCount); n != 0 || len(out.Records) != len(batch) {
			return fmt.Errorf("put: %d of %d records failed, %d results", n, len(batch), len(out.Records))
		}
		places := make([]ledger.Place, len(batch))
		for i, r := range out.Records {
			places[i] = ledger.Place{Shard: aws.ToString(r.ShardId), Seq: aws.ToString(r.SequenceNumber)}
		}
		book.Acked(call, places)
	}
	return nil
}

// follow reads a shard until all readers together have total records.
func follow(ctx context.Context, client *kinesis.Client, shard string, read *atomic.Int64, total int64) ([]ledger.Read, error) {
	f, err := sdk.Follow(ctx, client, stream, shard)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(pollWait)
	defer tick.Stop()
	var all []ledger.Read
	for {
		page, _, err := f.Next(ctx)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", shard, err)
		}
		all = append(all, page...)
		if read.Add(int64(len(page))) >= total {
			return all, nil
		}
		if len(page) == 0 {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil, fmt.Errorf("read %s: %w after %d records, %d of %d in all shards", shard, ctx.Err(), len(all), read.Load(), total)
			}
		}
	}
}
