package firehose

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/tests/events"
	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

var (
	kills      = flag.Int("kills", 3, "how often to kill the server")
	eventCount = flag.String("events", "6000", `how many player events each source gets: a number, or "all"`)
	workers    = flag.Int("workers", 4, "writers to a source that has many")
	seed       = flag.Uint64("seed", 0, "seed of the kill moments and faults; 0 picks one")

	withPostgres = flag.Bool("postgres", false, "deliver to Debian's PostgreSQL, too, and kill it, too")
	python       = flag.String("python", "", "a Python with pyarrow, duckdb and pyiceberg, which then read the Parquet, too, and Iceberg tables")
)

// TestKillNine kills the server amid puts, deliveries and recoveries. Puts go to delivery
// streams and to a Kinesis stream that others read, one of each with every kind of
// destination. What was acknowledged is in buckets, in tables and in an index once,
// whatever was answered. To an endpoint and a collector it may go again where they did
// not answer as they should, or where the server died over it. A reader of the bucket
// sees nothing half done.
//
// Writers to delivery streams leave repeating to the SDK, so that of their events none is
// there twice; the writers of the Kinesis stream do not repeat a call, so an event whose
// call was not answered is there once or not at all.
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
	s := newSuite(t)
	sinks, disturb := s.sinks(rng)
	streams := sdk.Client(s.server.URL(), sdk.NoRetry)
	if _, err := sdk.CreateStream(t.Context(), streams, "source", 2); err != nil {
		t.Fatal(err)
	}
	for _, to := range sinks {
		s.create("own-"+to.name, "own-"+to.name+"/", func(in *firehose.CreateDeliveryStreamInput) { to.configure(in, "own-"+to.name) })
		s.create("read-"+to.name, "read-"+to.name+"/", func(in *firehose.CreateDeliveryStreamInput) {
			to.configure(in, "read-"+to.name)
			in.DeliveryStreamType = types.DeliveryStreamTypeKinesisStreamAsSource
			in.KinesisStreamSourceConfiguration = &types.KinesisStreamSourceConfiguration{
				KinesisStreamARN: aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/source"), RoleARN: role,
			}
		})
	}
	var acked atomic.Int64
	doubtful := &doubt{of: map[events.ID]bool{}}
	owned := set.Split(*workers)
	reader, done := &lister{s: s, seen: map[string]string{}}, make(chan struct{})
	err = harness.Parallel(t.Context(), len(sinks)+*workers+2, func(ctx context.Context, i int) error {
		switch {
		case i < len(sinks):
			return putOwn(ctx, s.server.URL(), "own-"+sinks[i].name, set.Events, &acked)
		case i < len(sinks)+*workers:
			return putSource(ctx, s.server.URL(), streams, owned[i-len(sinks)], &acked, doubtful)
		case i == len(sinks)+*workers:
			return reader.run(ctx, t, done)
		}
		defer close(done)
		total := int64((len(sinks) + 1) * len(set.Events))
		for k := range *kills {
			at := total * int64(k+1) / int64(*kills+1)
			for acked.Load() < at-rng.Int64N(total/int64(4**kills)) {
				if err := pause(ctx); err != nil {
					return err
				}
			}
			if err := errors.Join(s.server.Kill(), disturb(k)); err != nil {
				return err
			}
			if k%3 == 1 { // the next one does not come far
				if err := s.server.CrashStart(time.Duration(rng.IntN(200)) * time.Millisecond); err != nil {
					return err
				}
			}
			if err := s.server.Restart(ctx); err != nil {
				return err
			}
			for _, to := range sinks {
				if to.change == nil {
					continue
				}
				if err := errors.Join(to.change(ctx, "own-"+to.name, k), to.change(ctx, "read-"+to.name, k)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	figures := map[string]any{"seed": *seed, "events": len(set.Events), "origin": set.Origin, "kills": *kills, "doubtful": len(doubtful.of)}
	var names []string
	for _, to := range sinks {
		names = append(names, to.name)
		for _, stream := range []string{"own-" + to.name, "read-" + to.name} {
			s.flush(stream)
			unsure := doubtful.of
			if strings.HasPrefix(stream, "own-") {
				unsure = nil
			}
			to.check(t, stream, set, unsure)
		}
	}
	reader.end(t)
	figures["destinations"], figures["objects"] = names, len(reader.seen)
	if !t.Failed() {
		harness.Evidence(t, "firehose-kills", figures)
	}
}

// sinks are the destinations of the test, and what is done to them when the server is
// killed for the k-th time.
func (s *suite) sinks(rng *rand.Rand) ([]*sink, func(k int) error) {
	all := append(s.bucketSinks(), s.changingSink(), s.parquetSink(), s.httpSink(rng), s.splunkSink(rng), s.searchSink(rng))
	if *python != "" {
		all = append(all, s.icebergSink())
	}
	if !*withPostgres {
		return all, func(int) error { return nil }
	}
	database, to := s.tableSink()
	return append(all, to), func(k int) error {
		if k%2 == 1 {
			return nil
		}
		return database.Crash()
	}
}

// pause lets the writers go on for a moment.
func pause(ctx context.Context) error {
	timer := time.NewTimer(2 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const perCall = 100

// putOwn puts events with an SDK that repeats for as long as it takes.
func putOwn(ctx context.Context, url, name string, list []events.Event, acked *atomic.Int64) error {
	client := newClient(url, &http.Transport{})
	for len(list) > 0 {
		n := min(perCall, len(list))
		in := &firehose.PutRecordBatchInput{DeliveryStreamName: &name}
		for _, e := range list[:n] {
			in.Records = append(in.Records, types.Record{Data: append(e.Data(0), '\n')})
		}
		out, err := client.PutRecordBatch(ctx, in, patient)
		if err != nil {
			return err
		}
		if *out.FailedPutCount != 0 {
			return fmt.Errorf("%d records failed", *out.FailedPutCount)
		}
		acked.Add(int64(n))
		list = list[n:]
	}
	return nil
}

// patient repeats a call for as long as it takes.
func patient(o *firehose.Options) {
	o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
		r.MaxAttempts, r.MaxBackoff = 1000, 100*time.Millisecond
		r.RateLimiter = noLimit{}
	})
}

// noLimit lets every attempt be made.
type noLimit struct{}

func (noLimit) GetToken(context.Context, uint) (func() error, error) {
	return func() error { return nil }, nil
}
func (noLimit) AddTokens(uint) error { return nil }

// doubt are the events whose calls were not answered.
type doubt struct {
	mu sync.Mutex
	of map[events.ID]bool
}

// putSource puts events, each call once.
func putSource(ctx context.Context, url string, client *kinesis.Client, list []events.Event, acked *atomic.Int64, d *doubt) error {
	for len(list) > 0 {
		n := min(perCall, len(list))
		in := &kinesis.PutRecordsInput{StreamName: aws.String("source")}
		for _, e := range list[:n] {
			in.Records = append(in.Records, kinesistypes.PutRecordsRequestEntry{Data: append(e.Data(0), '\n'), PartitionKey: aws.String(e.Key())})
		}
		out, err := client.PutRecords(ctx, in)
		switch {
		case err != nil && !sdk.Lost(err):
			return err
		case err != nil:
			d.mu.Lock()
			for _, e := range list[:n] {
				d.of[e.ID(0)] = true
			}
			d.mu.Unlock()
			if err := serving(ctx, url); err != nil {
				return err
			}
		case *out.FailedRecordCount != 0:
			return fmt.Errorf("%d records failed", *out.FailedRecordCount)
		}
		acked.Add(int64(n))
		list = list[n:]
	}
	return nil
}

// serving waits until the server answers.
func serving(ctx context.Context, url string) error {
	for {
		req, err := http.NewRequestWithContext(ctx, "GET", url+"/_thalweg/health", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			return resp.Body.Close()
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// check holds the objects below a prefix against what was put. Within an object the
// events of a player rise.
func check(t *testing.T, what string, all map[string][]byte, prefix string, set events.Set, doubtful map[events.ID]bool) {
	t.Helper()
	got := newTally()
	for key, body := range all {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		got.begin()
		if err := got.lines(body); err != nil {
			t.Fatalf("%s: object %s: %v", what, key, err)
		}
	}
	got.check(t, what, set, doubtful)
}
