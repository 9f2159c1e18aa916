package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"thalweg/tests/harness"
	"thalweg/tests/lean"
)

const (
	shardCount = 4
	perPuts    = 500 // records of one PutRecords
	putsConns  = 4   // connections of a PutRecords workload
	warmUp     = 300 * time.Millisecond
	prebuilt   = 8  // different requests that a connection sends in turn
	longest    = 10 // times the asked time that a slow server gets for its first answer
)

// workload is one way to load a server.
type workload struct {
	name, client string
	// open makes what one of conns connections does again and again: a call,
	// which returns how many records it moved.
	conns int
	open  func(s *server, o options, conn int) (call func() (int, error), done func() error, err error)
	// stream is made first; "" for none. encrypted has it stored so.
	stream    string
	encrypted bool
}

func workloads(t target, o options) []workload {
	put := func(size, conns int, kind string) workload {
		w := workload{
			name: fmt.Sprintf("PutRecord %s x%d%s", sizeName(size), conns, kind), client: "lean", encrypted: kind != "",
			conns: conns, stream: fmt.Sprintf("put-%d-%d-%s", size, conns, strings.TrimSpace(kind)),
		}
		w.open = func(s *server, o options, conn int) (func() (int, error), func() error, error) {
			signer := s.signer(o.sign)
			return openPut(s.addr, putRequests(&signer, w.stream, size, uint64(conn)), 1, putAnswer)
		}
		return w
	}
	puts := func(size int, kind string) workload {
		w := workload{
			name: fmt.Sprintf("PutRecords %d x %s%s", perPuts, sizeName(size), kind), client: "lean", encrypted: kind != "",
			conns: putsConns, stream: fmt.Sprintf("puts-%d-%s", size, strings.TrimSpace(kind)),
		}
		w.open = func(s *server, o options, conn int) (func() (int, error), func() error, error) {
			signer := s.signer(o.sign)
			return openPut(s.addr, putsRequests(&signer, w.stream, size, uint64(conn)), perPuts, putsAnswer)
		}
		return w
	}
	list := []workload{
		put(1024, 1, ""), put(1024, 16, ""), puts(200, ""), puts(1024, ""),
		{name: "GetRecords drain 1 KiB", client: "lean", conns: shardCount, open: openDrain("puts-1024-")},
	}
	if t.primary {
		const sealed = " encrypted"
		list = append(list, sdkPut(), sdkPuts(), put(1024, 16, sealed), puts(1024, sealed),
			workload{name: "GetRecords drain 1 KiB" + sealed, client: "lean", conns: shardCount, open: openDrain("puts-1024-encrypted")})
	}
	return list
}

func sizeName(size int) string {
	if size%1024 == 0 {
		return fmt.Sprintf("%d KiB", size/1024)
	}
	return fmt.Sprintf("%d B", size)
}

// result is one measured workload.
type result struct {
	Server        string  `json:"server"`
	Workload      string  `json:"workload"`
	Client        string  `json:"client"`
	Records       int64   `json:"records"`
	PerSecond     float64 `json:"records_per_second"`
	CPUPerMillion float64 `json:"server_cpu_s_per_million"`
	MBPerSecond   float64 `json:"mb_per_second,omitempty"`
	CPUPerGB      float64 `json:"server_cpu_s_per_gb,omitempty"`
	P50Millis     float64 `json:"p50_ms"`
	P99Millis     float64 `json:"p99_ms"`
	RSS           int64   `json:"rss_bytes"`
}

// run loads the server, first uncounted, then for o.seconds.
func (w workload) run(ctx context.Context, s *server, o options) (result, error) {
	if w.stream != "" {
		if err := createStream(s, w.stream, shardCount, w.encrypted); err != nil {
			return result{}, err
		}
	}
	var (
		counting atomic.Bool
		stop     atomic.Bool
		records  atomic.Int64
		mu       sync.Mutex
		took     []time.Duration // guarded by mu
	)
	worker := func(ctx context.Context, i int) error {
		call, done, err := w.open(s, o, i)
		if err != nil {
			return err
		}
		var own []time.Duration
		for !stop.Load() && ctx.Err() == nil {
			one := time.Now()
			n, err := call()
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			if counting.Load() {
				own = append(own, time.Since(one))
				records.Add(int64(n))
			}
		}
		mu.Lock()
		took = append(took, own...)
		mu.Unlock()
		return done()
	}
	var res result
	err := harness.Parallel(ctx, w.conns+1, func(ctx context.Context, i int) error {
		if i < w.conns {
			return worker(ctx, i)
		}
		defer stop.Store(true)
		if err := wait(ctx, warmUp); err != nil {
			return err
		}
		return res.watch(ctx, s.pid(), o.seconds, &counting, func() bool { return records.Load() > 0 })
	})
	if err != nil {
		return result{}, err
	}
	if res.Records = records.Load(); res.Records == 0 {
		return result{}, fmt.Errorf("no call ended within %v", longest*o.seconds)
	}
	res.PerSecond *= float64(res.Records)
	res.CPUPerMillion *= 1e6 / float64(res.Records)
	slices.Sort(took)
	res.P50Millis, res.P99Millis = millis(quantile(took, 0.50)), millis(quantile(took, 0.99))
	return res, nil
}

// watch measures for d, or for a slow server until a first call has ended:
// PerSecond becomes 1/seconds, CPUPerMillion the CPU seconds used, RSS the most
// resident; run scales them by the records.
func (r *result) watch(ctx context.Context, pid int, d time.Duration, counting *atomic.Bool, some func() bool) error {
	before, err := harness.CPU(pid)
	if err != nil {
		return err
	}
	began := time.Now()
	counting.Store(true)
	for time.Since(began) < d || (!some() && time.Since(began) < longest*d) {
		if err := wait(ctx, min(50*time.Millisecond, max(d-time.Since(began), time.Millisecond))); err != nil {
			return err
		}
		mem, err := harness.MemoryOf(pid)
		if err != nil {
			return err
		}
		r.RSS = max(r.RSS, mem.RSS)
	}
	counting.Store(false)
	elapsed := time.Since(began)
	after, err := harness.CPU(pid)
	r.PerSecond, r.CPUPerMillion = 1/elapsed.Seconds(), (after - before).Seconds()
	return err
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// openPut dials and returns a call that sends the requests in turn.
func openPut(addr string, requests [][]byte, records int, check func(lean.Response, error) error) (func() (int, error), func() error, error) {
	conn, err := lean.Dial(addr)
	if err != nil {
		return nil, nil, err
	}
	next := 0
	return func() (int, error) {
		r, err := conn.Do(requests[next])
		next = (next + 1) % len(requests)
		return records, check(r, err)
	}, conn.Close, nil
}

func putAnswer(r lean.Response, err error) error {
	if err == nil && r.Status != 200 {
		return fmt.Errorf("status %d: %.300s", r.Status, r.Body)
	}
	return err
}

func putsAnswer(r lean.Response, err error) error {
	if err := putAnswer(r, err); err != nil {
		return err
	}
	if !bytes.Contains(r.Body, []byte(`"FailedRecordCount":0`)) {
		return fmt.Errorf("some records failed: %.300s", r.Body)
	}
	return nil
}

// randomRecords returns n records of size bytes that do not compress, with
// keys that spread over the shards.
func randomRecords(n, size int, rng *rand.Rand) []lean.Record {
	records := make([]lean.Record, n)
	for i := range records {
		data := make([]byte, size)
		for j := range data {
			data[j] = byte(rng.Uint32())
		}
		records[i] = lean.Record{Key: fmt.Sprintf("%016x", rng.Uint64()), Data: data}
	}
	return records
}

func putRequests(signer *lean.Signer, stream string, size int, seed uint64) [][]byte {
	rng := rand.New(rand.NewPCG(1, seed))
	requests := make([][]byte, prebuilt)
	for i, r := range randomRecords(prebuilt, size, rng) {
		requests[i] = signer.Request("PutRecord", lean.PutRecordBody(stream, r))
	}
	return requests
}

func putsRequests(signer *lean.Signer, stream string, size int, seed uint64) [][]byte {
	rng := rand.New(rand.NewPCG(2, seed))
	requests := make([][]byte, prebuilt)
	for i := range requests {
		requests[i] = signer.Request("PutRecords", lean.PutRecordsBody(stream, randomRecords(perPuts, size, rng)))
	}
	return requests
}

// openDrain reads one shard of a stream from its beginning to its tip, over and
// over.
func openDrain(stream string) func(s *server, o options, conn int) (func() (int, error), func() error, error) {
	return func(s *server, o options, shard int) (func() (int, error), func() error, error) {
		conn, err := lean.Dial(s.addr)
		if err != nil {
			return nil, nil, err
		}
		signer := s.signer(o.sign)
		body := fmt.Appendf(nil, `{"StreamName":"%s","ShardId":"shardId-%012d","ShardIteratorType":"TRIM_HORIZON"}`, stream, shard)
		iterator := ""
		call := func() (int, error) {
			if iterator == "" {
				var out struct{ ShardIterator string }
				if err := conn.Call(signer.Request("GetShardIterator", body), &out); err != nil {
					return 0, err
				}
				iterator = out.ShardIterator
			}
			r, err := conn.Do(signer.Request("GetRecords", lean.GetRecordsBody(iterator, 0)))
			if err := putAnswer(r, err); err != nil {
				return 0, err
			}
			page, err := lean.ScanPage(r.Body)
			if err != nil {
				return 0, err
			}
			iterator = string(page.Next)
			if page.AtTip {
				iterator = ""
			}
			return page.Records, nil
		}
		return call, conn.Close, nil
	}
}

// createStream makes a stream, encrypted or not, and waits until it is active.
func createStream(s *server, name string, shards int, encrypted bool) error {
	conn, err := lean.Dial(s.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	signer := s.signer(true)
	body := fmt.Appendf(nil, `{"StreamName":"%s","ShardCount":%d}`, name, shards)
	if err := conn.Call(signer.Request("CreateStream", body), nil); err != nil {
		return err
	}
	if encrypted {
		body = fmt.Appendf(nil, `{"StreamName":"%s","EncryptionType":"KMS","KeyId":"alias/aws/kinesis"}`, name)
		if err := conn.Call(signer.Request("StartStreamEncryption", body), nil); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	body = fmt.Appendf(nil, `{"StreamName":"%s"}`, name)
	for {
		var out struct {
			StreamDescriptionSummary struct{ StreamStatus string }
		}
		if err := conn.Call(signer.Request("DescribeStreamSummary", body), &out); err != nil {
			return err
		}
		if out.StreamDescriptionSummary.StreamStatus == "ACTIVE" {
			return nil
		}
		if err := wait(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("wait for stream %s: %w", name, err)
		}
	}
}
