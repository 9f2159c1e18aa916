package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"thalweg/internal/clock"
)

// fakeStream stores records per key and misbehaves as told.
type fakeStream struct {
	mu     sync.Mutex
	rng    *rand.Rand
	stored map[string][]int
	calls  int
	// refuse is the chance that a record is refused. prefix makes every later
	// record of its key in the call refused too.
	refuse float64
	prefix bool
	// lose is the chance that a call is carried out and its answer lost.
	lose float64
	// fail, when not nil, answers every call.
	fail error
}

func (f *fakeStream) PutRecords(_ context.Context, in *kinesis.PutRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error) {
	<-clock.System().NewTimer(time.Millisecond).C() // virtual
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.fail != nil {
		return nil, f.fail
	}
	out := &kinesis.PutRecordsOutput{}
	refused := map[string]bool{}
	for _, r := range in.Records {
		key := *r.PartitionKey
		if f.rng.Float64() < f.refuse || (f.prefix && refused[key]) {
			refused[key] = true
			out.Records = append(out.Records, types.PutRecordsResultEntry{ErrorCode: aws.String("ProvisionedThroughputExceededException")})
			continue
		}
		n, err := strconv.Atoi(string(r.Data))
		if err != nil {
			return nil, err
		}
		f.stored[key] = append(f.stored[key], n)
		out.Records = append(out.Records, types.PutRecordsResultEntry{ShardId: aws.String("shardId-000000000000"), SequenceNumber: aws.String("1")})
	}
	if f.rng.Float64() < f.lose {
		return nil, &smithyhttp.RequestSendError{Err: io.ErrUnexpectedEOF}
	}
	return out, nil
}

func produce(t *testing.T, f *fakeStream, cfg ProducerConfig, keys, perKey int) (*Producer, map[string]int) {
	t.Helper()
	acked := map[string]int{}
	var mu sync.Mutex
	cfg.API, cfg.Stream, cfg.Clock, cfg.Buffer = f, "s", clock.System(), 4096
	cfg.OnAck = func(a Ack) {
		mu.Lock()
		defer mu.Unlock()
		if want := strconv.Itoa(acked[a.Key]); string(a.Data) != want {
			t.Errorf("key %s: acknowledged %s, want %s", a.Key, a.Data, want)
		}
		acked[a.Key]++
	}
	p := NewProducer(cfg)
	ctx := t.Context()
	for i := range perKey {
		for k := range keys {
			if err := p.Put(ctx, Record{Key: fmt.Sprint("k", k), Data: []byte(strconv.Itoa(i))}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(ctx); err != nil {
		t.Fatal(err)
	}
	return p, acked
}

func TestProducerKeepsOrder(t *testing.T) {
	for _, tc := range []struct {
		name         string
		refuse, lose float64
		prefix       bool
		perKey       int
	}{
		{name: "healthy"},
		{name: "refuses single records", refuse: 0.3, perKey: 1},
		{name: "refuses from a record on", refuse: 0.3, prefix: true},
		{name: "loses answers", lose: 0.2, refuse: 0.1, perKey: 1},
	} {
		for seed := range uint64(5) {
			t.Run(fmt.Sprintf("%s/%d", tc.name, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := &fakeStream{refuse: tc.refuse, prefix: tc.prefix, lose: tc.lose,
						rng: rand.New(rand.NewPCG(seed, 1)), stored: map[string][]int{}}
					const keys, perKey = 7, 200
					p, acked := produce(t, f, ProducerConfig{PerKey: tc.perKey}, keys, perKey)
					checkStored(t, f, acked, keys, perKey, f.lose > 0)
					s := p.Stats()
					if s.Acked != keys*perKey || s.Reordered != 0 || (s.Resent > 0) != (f.lose > 0) || (s.Refused > 0) != (f.refuse > 0) {
						t.Errorf("stats %+v", s)
					}
				})
			})
		}
	}
}

// checkStored wants 0, 1, 2 ... of every key; with repeats, a stretch may come
// again, but nothing is skipped.
func checkStored(t *testing.T, f *fakeStream, acked map[string]int, keys, perKey int, repeats bool) {
	t.Helper()
	if len(f.stored) != keys {
		t.Fatalf("%d keys stored, want %d", len(f.stored), keys)
	}
	for key, got := range f.stored {
		next := 0
		for _, n := range got {
			if n > next || (n < next && !repeats) {
				t.Fatalf("key %s: %d stored when %d was due", key, n, next)
			}
			next = max(next, n+1)
		}
		if next != perKey || acked[key] != perKey {
			t.Errorf("key %s: stored %d, acknowledged %d, want %d", key, next, acked[key], perKey)
		}
	}
}

// Against a server that stores around a refused record an unbounded producer
// must notice and turn careful.
func TestProducerNoticesReordering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStream{refuse: 0.5, rng: rand.New(rand.NewPCG(3, 3)), stored: map[string][]int{}}
		p := NewProducer(ProducerConfig{API: f, Stream: "s", Clock: clock.System(), Calls: 1})
		recs := make([]Record, 100)
		for i := range recs {
			recs[i] = Record{Key: "k", Data: []byte(strconv.Itoa(i))}
		}
		if err := p.Put(t.Context(), recs...); err != nil {
			t.Fatal(err)
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := p.Stats().Reordered
		if before == 0 {
			t.Fatal("the reordering went unnoticed")
		}
		if err := p.Put(t.Context(), recs...); err != nil {
			t.Fatal(err)
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after := p.Stats().Reordered; after != before {
			t.Errorf("reordered again: %d then %d", before, after)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestProducerFails(t *testing.T) {
	fatal := &smithy.GenericAPIError{Code: "ResourceNotFoundException", Message: "no such stream"}
	passing := &smithy.GenericAPIError{Code: "ProvisionedThroughputExceededException"}
	for _, tc := range []struct {
		name  string
		err   error
		least time.Duration // how long it must have kept trying
	}{
		{"at once when it can never succeed", fatal, 0},
		{"after patience when it might", passing, time.Minute},
		{"after patience without a server", &smithyhttp.RequestSendError{Err: errors.New("connection refused")}, time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				f := &fakeStream{fail: tc.err}
				waits, why := 0, error(nil)
				p := NewProducer(ProducerConfig{API: f, Stream: "s", Clock: clock.System(), Patience: time.Minute, Calls: 1,
					OnWait: func(_ time.Time, err error) { waits, why = waits+1, err }})
				if err := p.Put(t.Context(), Record{Key: "k", Data: []byte("0")}); err != nil {
					t.Fatal(err)
				}
				err := p.Flush(t.Context())
				if err == nil || !errors.Is(p.Close(t.Context()), err) {
					t.Errorf("Flush and Close disagree: %v", err)
				}
				if took := time.Since(start); took < tc.least || (tc.least == 0 && took > time.Second) {
					t.Errorf("took %v", took)
				}
				if told := waits > 0 && errors.Is(why, tc.err); told != (tc.least > 0) {
					t.Errorf("told of %d waits: %v", waits, why)
				}
				if err := p.Put(t.Context(), Record{Key: "k"}); err == nil {
					t.Error("a failed producer took a record")
				}
			})
		})
	}
}

// Two callers that wait for room sleep: they do not keep waking each other, or
// the bubble's time would stand still.
func TestProducerWaitersSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStream{fail: &smithy.GenericAPIError{Code: "ThrottlingException"}}
		p := NewProducer(ProducerConfig{API: f, Stream: "s", Clock: clock.System(), Buffer: 10, Patience: time.Hour, Calls: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		records := make([]Record, 20)
		for i := range records {
			records[i] = Record{Key: "k", Data: []byte("1234")}
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := p.Put(ctx, records...); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("err = %v, want the deadline", err)
				}
			})
		}
		wg.Wait()
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestProducerBlocksWhenFullAndObeysContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStream{fail: &smithy.GenericAPIError{Code: "ThrottlingException"}}
		p := NewProducer(ProducerConfig{API: f, Stream: "s", Clock: clock.System(), Buffer: 10, Patience: time.Hour, Calls: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var err error
		for i := 0; err == nil && i < 100; i++ {
			err = p.Put(ctx, Record{Key: "k", Data: []byte("1234")})
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want the deadline", err)
		}
		if err := p.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush: %v", err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
