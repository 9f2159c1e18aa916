package firehose

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
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
	eventCount = flag.String("events", "60000", `how many player events each source gets: a number, or "all"`)
	workers    = flag.Int("workers", 4, "writers to each source")
	seed       = flag.Uint64("seed", 0, "seed of the kill moments; 0 picks one")
)

// TestKillNine kills the server amid puts and deliveries, to a delivery stream and to
// a Kinesis stream that another one reads. Every event that was acknowledged is in the
// bucket once. Writers of the first leave repeating to the SDK, so that of them nothing
// is there twice, whatever was answered; writers of the second do not repeat a call, so
// an event whose call was not answered is there once or not at all.
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
	s.create("own", "own/", nil)
	streams := sdk.Client(s.server.URL(), sdk.NoRetry)
	if _, err := sdk.CreateStream(t.Context(), streams, "source", 2); err != nil {
		t.Fatal(err)
	}
	s.create("read", "read/", func(in *firehose.CreateDeliveryStreamInput) {
		in.DeliveryStreamType = types.DeliveryStreamTypeKinesisStreamAsSource
		in.KinesisStreamSourceConfiguration = &types.KinesisStreamSourceConfiguration{
			KinesisStreamARN: aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/source"),
			RoleARN:          aws.String("arn:aws:iam::000000000000:role/firehose"),
		}
	})
	var acked atomic.Int64
	doubtful := &doubt{of: map[events.ID]bool{}}
	owned := set.Split(*workers)
	err = harness.Parallel(t.Context(), 2**workers+1, func(ctx context.Context, i int) error {
		switch {
		case i < *workers:
			return putOwn(ctx, s.server.URL(), owned[i], &acked)
		case i < 2**workers:
			return putSource(ctx, s.server.URL(), streams, owned[i-*workers], &acked, doubtful)
		}
		total := int64(2 * len(set.Events))
		for k := range *kills {
			at := total * int64(k+1) / int64(*kills+1)
			for acked.Load() < at-rng.Int64N(total/int64(4**kills)) {
				if err := pause(ctx); err != nil {
					return err
				}
			}
			if err := s.server.Kill(); err != nil {
				return err
			}
			if err := s.server.Restart(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.flush("own")
	s.flush("read")
	all := s.objects("")
	check(t, "put", all, "own/", set, nil)
	check(t, "read of the stream", all, "read/", set, doubtful.of)
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
func putOwn(ctx context.Context, url string, list []events.Event, acked *atomic.Int64) error {
	client := newClient(url, &http.Transport{})
	for len(list) > 0 {
		n := min(perCall, len(list))
		in := &firehose.PutRecordBatchInput{DeliveryStreamName: aws.String("own")}
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
	seen := map[events.ID]int{}
	objects := 0
	for key, body := range all {
		if !bytes.HasPrefix([]byte(key), []byte(prefix)) {
			continue
		}
		objects++
		last := map[string]int64{}
		for line := range bytes.Lines(body) {
			id, err := events.Identify(bytes.TrimSpace(line))
			if err != nil {
				t.Fatalf("%s: object %s: %v", what, key, err)
			}
			seen[id]++
			if who := id.Game + "/" + id.Player; last[who] >= id.Seq && last[who] != 0 {
				t.Errorf("%s: object %s: event %s stands behind %d", what, key, id, last[who])
			} else {
				last[who] = id.Seq
			}
		}
	}
	missing, twice := 0, 0
	for _, e := range set.Events {
		switch n := seen[e.ID(0)]; {
		case n == 0 && !doubtful[e.ID(0)]:
			missing++
		case n > 1:
			twice++
		}
		delete(seen, e.ID(0))
	}
	if missing > 0 || twice > 0 || len(seen) > 0 {
		t.Errorf("%s: of %d events %d are missing, %d are there more than once, and %d were never put", what, len(set.Events), missing, twice, len(seen))
	}
	t.Logf("%s: %d events in %d objects, %d of doubtful calls", what, len(set.Events), objects, len(doubtful))
}
