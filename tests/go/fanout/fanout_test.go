// Package fanout subscribes to shards of the real binary with aws-sdk-go-v2, over
// HTTP/1.1, HTTP/2 in the clear and HTTP/2 under TLS.
package fanout

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

const (
	stream = "s"
	shard  = "shardId-000000000000"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// world is a server whose clock can be moved, with a stream of one shard and a
// consumer of it.
type world struct {
	t        *testing.T
	server   *harness.Server
	client   *kinesis.Client
	consumer string
	put      int // records put so far; the n-th says n
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, server: harness.ForTest(t, harness.Options{Args: []string{"--test-aids"}})}
	w.client = sdk.Client(w.server.URL())
	if _, err := sdk.CreateStream(t.Context(), w.client, stream, 1); err != nil {
		t.Fatal(err)
	}
	w.consumer = w.register("c")
	return w
}

func (w *world) register(name string) string {
	w.t.Helper()
	arn, err := sdk.Register(w.t.Context(), w.client, stream, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return arn
}

func (w *world) putOne(ctx context.Context) error {
	_, err := w.client.PutRecord(ctx, &kinesis.PutRecordInput{
		StreamName: aws.String(stream), PartitionKey: aws.String("k"), Data: []byte(strconv.Itoa(w.put)),
	})
	if err == nil {
		w.put++
	}
	return err
}

func (w *world) puts(n int) {
	w.t.Helper()
	for range n {
		if err := w.putOne(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// advance moves the server's clock on.
func (w *world) advance(d time.Duration) {
	w.t.Helper()
	resp, err := http.Post(w.server.URL()+"/_thalweg/clock", "application/json", strings.NewReader(fmt.Sprintf(`{"advance":%q}`, d)))
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		w.t.Fatal(resp.Status)
	}
}

func (w *world) subscribe(c *kinesis.Client, at types.StartingPosition) *sdk.Subscription {
	w.t.Helper()
	s, err := sdk.Subscribe(w.t.Context(), c, w.consumer, shard, at)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	return s
}

// reader checks that records come once each and in order.
type reader struct {
	t            *testing.T
	next         int // the number to come
	continuation string
}

// event takes the next event of s; false is an orderly end.
func (r *reader) event(s *sdk.Subscription) bool {
	r.t.Helper()
	records, ok, err := s.Next()
	if err != nil {
		r.t.Fatal(err)
	}
	if ok {
		r.take(s, records)
	}
	return ok
}

// take checks the records of an event of s.
func (r *reader) take(s *sdk.Subscription, records []types.Record) {
	r.t.Helper()
	for _, rec := range records {
		if string(rec.Data) != strconv.Itoa(r.next) || *rec.PartitionKey != "k" {
			r.t.Fatalf("record %s of key %s came instead of %d", rec.Data, *rec.PartitionKey, r.next)
		}
		if *rec.SequenceNumber <= r.continuation {
			r.t.Fatalf("record %s is not after %s", *rec.SequenceNumber, r.continuation)
		}
		r.next++
		r.continuation = *rec.SequenceNumber
	}
	if s.Continuation < r.continuation {
		r.t.Fatalf("continuation %q is before %s", s.Continuation, r.continuation)
	}
	r.continuation = s.Continuation
}

// until reads events until n records have come in all.
func (r *reader) until(s *sdk.Subscription, n int) {
	r.t.Helper()
	for r.next < n {
		if !r.event(s) {
			r.t.Fatalf("the stream ended after %d of %d records", r.next, n)
		}
	}
}

// transports are the ways to a server.
func transports(t *testing.T, s *harness.Server) map[string]*kinesis.Client {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(s.DataDir(), "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	config := &tls.Config{RootCAs: roots}
	only := func(set func(*http.Protocols)) *http.Transport {
		p := new(http.Protocols)
		set(p)
		tr := &http.Transport{Protocols: p, TLSClientConfig: config.Clone()}
		t.Cleanup(tr.CloseIdleConnections)
		return tr
	}
	client := func(url string, tr *http.Transport) *kinesis.Client {
		return sdk.Client(url, sdk.NoRetry, func(o *kinesis.Options) { o.HTTPClient = sdk.WholeBody(&http.Client{Transport: tr}) })
	}
	secure := "https://" + strings.TrimPrefix(s.Ready().HTTPS, "https://")
	return map[string]*kinesis.Client{
		"HTTP/1.1":     client(s.URL(), only(func(p *http.Protocols) { p.SetHTTP1(true) })),
		"h2c":          client(s.URL(), only(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })),
		"TLS HTTP/1.1": client(secure, only(func(p *http.Protocols) { p.SetHTTP1(true) })),
		"TLS HTTP/2":   client(secure, only(func(p *http.Protocols) { p.SetHTTP2(true) })),
	}
}

// TestEveryTransport reads what was there and what comes, over each of them.
func TestEveryTransport(t *testing.T) {
	w := newWorld(t)
	w.puts(50)
	for name, client := range transports(t, w.server) {
		s := w.subscribe(client, sdk.From(types.ShardIteratorTypeTrimHorizon))
		r := &reader{t: t}
		r.until(s, w.put)
		w.puts(50)
		r.until(s, w.put)
		w.advance(5 * time.Minute)
		for r.event(s) {
		}
		if r.next != w.put {
			t.Errorf("%s: %d of %d records", name, r.next, w.put)
		}
	}
}

// TestRenewal subscribes again and again AFTER_SEQUENCE_NUMBER of the last
// continuation, while a producer writes.
func TestRenewal(t *testing.T) {
	const renewals = 20
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	produced := make(chan error, 1)
	go func() {
		for {
			if err := w.putOne(ctx); err != nil {
				if ctx.Err() != nil {
					err = nil
				}
				produced <- err
				return
			}
		}
	}()
	r := &reader{t: t}
	at := sdk.From(types.ShardIteratorTypeTrimHorizon)
	for range renewals {
		s := w.subscribe(w.client, at)
		r.until(s, r.next+20)
		w.advance(5 * time.Minute)
		for r.event(s) {
		}
		at = sdk.After(r.continuation)
	}
	cancel()
	if err := <-produced; err != nil {
		t.Fatal(err)
	}
	r.until(w.subscribe(w.client, at), w.put)
	t.Logf("%d records over %d renewals", r.next, renewals)
}

// TestTakeover has a second subscription refused within five seconds, and take
// over after them.
func TestTakeover(t *testing.T) {
	w := newWorld(t)
	first := w.subscribe(w.client, sdk.From(types.ShardIteratorTypeLatest))
	r := &reader{t: t}
	r.event(first)
	var inUse *types.ResourceInUseException
	if _, err := sdk.Subscribe(t.Context(), w.client, w.consumer, shard, sdk.From(types.ShardIteratorTypeLatest)); !errors.As(err, &inUse) {
		t.Fatalf("a second subscription at once: %v", err)
	}
	w.advance(5 * time.Second)
	second := w.subscribe(w.client, sdk.After(r.continuation))
	for ok := true; ok; {
		_, more, err := first.Next()
		if ok = more; !more && !errors.As(err, &inUse) {
			t.Fatalf("the first subscription ended with %v", err)
		}
	}
	w.puts(3)
	r.until(second, 3)
}

// TestRemoved ends subscriptions whose consumer or stream is removed.
func TestRemoved(t *testing.T) {
	w := newWorld(t)
	first := w.subscribe(w.client, sdk.From(types.ShardIteratorTypeLatest))
	gone := w.consumer
	w.consumer = w.register("other")
	second := w.subscribe(w.client, sdk.From(types.ShardIteratorTypeLatest))
	ends := func(s *sdk.Subscription) {
		t.Helper()
		for {
			_, ok, err := s.Next()
			if ok {
				continue
			}
			var notFound *types.ResourceNotFoundException
			if !errors.As(err, &notFound) {
				t.Errorf("ended with %v", err)
			}
			return
		}
	}
	if _, err := w.client.DeregisterStreamConsumer(t.Context(), &kinesis.DeregisterStreamConsumerInput{ConsumerARN: &gone}); err != nil {
		t.Fatal(err)
	}
	ends(first)
	in := &kinesis.DeleteStreamInput{StreamName: aws.String(stream)}
	var inUse *types.ResourceInUseException
	if _, err := w.client.DeleteStream(t.Context(), in); !errors.As(err, &inUse) {
		t.Fatalf("a stream with a consumer: %v", err)
	}
	in.EnforceConsumerDeletion = aws.Bool(true)
	if _, err := w.client.DeleteStream(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	ends(second)
}

// TestStop ends subscriptions in order when the server stops, without waiting for
// their time; after the next start they go on where they were.
func TestStop(t *testing.T) {
	w := newWorld(t)
	w.puts(10)
	for name, client := range transports(t, w.server) {
		s := w.subscribe(client, sdk.From(types.ShardIteratorTypeTrimHorizon))
		r := &reader{t: t}
		r.until(s, w.put)
		began := time.Now()
		if err := w.server.Stop(); err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		for r.event(s) {
		}
		if took > 5*time.Second {
			t.Errorf("%s: the server took %v to stop", name, took)
		}
		if err := w.server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.puts(5)
		again := w.subscribe(client, sdk.After(r.continuation))
		r.until(again, w.put)
		w.advance(time.Minute) // the next subscription is not too soon
	}
}

// TestKill kills the server again and again while records are put and pushed: what
// was acknowledged comes once, in order, after the continuation of the last event
// that came.
func TestKill(t *testing.T) {
	const kills = 5
	w := newWorld(t)
	r := &reader{t: t}
	at := sdk.From(types.ShardIteratorTypeTrimHorizon)
	for range kills {
		s := w.subscribe(w.client, at)
		w.puts(20)
		r.until(s, w.put-5) // some are on their way
		if err := w.server.Kill(); err != nil {
			t.Fatal(err)
		}
		for ok := true; ok; { // what had come already is good
			var records []types.Record
			if records, ok, _ = s.Next(); ok {
				r.take(s, records)
			}
		}
		if err := w.server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		at = sdk.After(r.continuation)
	}
	r.until(w.subscribe(w.client, at), w.put)
}
