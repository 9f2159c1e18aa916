package kinesis

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"thalweg/internal/awsapi"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/invariants"
	"thalweg/internal/log/disk"
	"thalweg/internal/streams"
	"thalweg/internal/vfs"
)

var puts = flag.Int("kinesis.puts", 400, "calls in the concurrency test")

// putRecordsBody is a request of n records of size bytes each.
func putRecordsBody(stream string, n, size int) []byte {
	data := make([]byte, size)
	rng := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	b.WriteString(`{"Records":[`)
	for i := range n {
		for j := range data {
			data[j] = byte(rng.Uint32())
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"Data":"%s","PartitionKey":"player-%d"}`, base64.StdEncoding.EncodeToString(data), i)
	}
	fmt.Fprintf(&b, `],"StreamName":"%s"}`, stream)
	return b.Bytes()
}

// door is a door over a log, with a stream "s", and a context of its owner.
func newDoor(t testing.TB, o disk.Options, shards int) (*Door, context.Context) {
	o.Dir = "data"
	if o.FS == nil {
		o.FS = vfs.NewMem(1)
	} else {
		o.Dir = t.TempDir()
	}
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	l, err := disk.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(context.Background()) })
	cat, err := catalog.Open(context.Background(), l, o.Clock)
	if err != nil {
		t.Fatal(err)
	}
	svc, err := streams.New(streams.Options{Log: l, Catalog: cat, Clock: o.Clock, Keys: fixedKeys{}})
	if err != nil {
		t.Fatal(err)
	}
	caller := awsapi.Caller{Account: "000000000000", Region: "us-east-1"}
	err = svc.Create(context.Background(), streams.NewStream{
		Scope: scopeOf(caller), Name: "s", Mode: catalog.Provisioned, Shards: shards,
	})
	if err != nil {
		t.Fatal(err)
	}
	return New(svc, nil, nil), awsapi.WithCaller(context.Background(), caller)
}

// iterator is a fresh iterator at the oldest record of a shard.
func iterator(t testing.TB, d *Door, ctx context.Context, shard int) string {
	t.Helper()
	r, sh, err := d.streams.Shard(scopeOf(awsapi.CallerFrom(ctx)), "s", fmt.Sprint(shard))
	if err != nil {
		t.Fatal(err)
	}
	pos, err := d.streams.Locate(r, sh, streams.StartingAt{Type: streams.TrimHorizon})
	if err != nil {
		t.Fatal(err)
	}
	return string(d.streams.AppendIterator(nil, pos))
}

// TestFastPathsAllocate pins what a call costs the garbage collector: a few
// objects each, none per record.
func TestFastPathsAllocate(t *testing.T) {
	d, ctx := newDoor(t, disk.Options{Manual: true}, 4)
	out := make([]byte, 0, 4<<20)
	check := func(name string, limit float64, call func() ([]byte, bool, error)) {
		t.Helper()
		run := func() {
			if _, handled, err := call(); !handled || err != nil {
				t.Fatalf("%s: handled %v, %v", name, handled, err)
			}
		}
		run()
		got := testing.AllocsPerRun(20, run)
		t.Logf("%s: %v allocations", name, got)
		if got > limit && !invariants.Enabled { // the race detector empties pools at random
			t.Errorf("%s: %v allocations, at most %v wanted", name, got, limit)
		}
	}
	many, one := putRecordsBody("s", 500, 100), []byte(`{"StreamName":"s","PartitionKey":"a","Data":"AAAA"}`)
	check("PutRecords", 40, func() ([]byte, bool, error) { return d.fastPutRecords(ctx, awsapi.JSON, many, out) })
	check("PutRecord", 25, func() ([]byte, bool, error) { return d.fastPutRecord(ctx, awsapi.JSON, one, out) })
	get := []byte(`{"ShardIterator":"` + iterator(t, d, ctx, 0) + `"}`)
	check("GetRecords", 40, func() ([]byte, bool, error) { return d.fastGetRecords(ctx, awsapi.JSON, get, out) })
}

// TestConcurrentPuts puts from many goroutines while others read, and wants each
// shard to hold every record once, in the order of its numbers, each writer's
// records in order.
func TestConcurrentPuts(t *testing.T) {
	d, ctx := newDoor(t, disk.Options{}, 2)
	const writers = 4
	var wg sync.WaitGroup
	for w := range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range *puts / writers {
				body := fmt.Sprintf(`{"StreamName":"s","PartitionKey":"w%d","Data":"%s"}`, w,
					base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%d %d", w, i)))
				if _, handled, err := d.fastPutRecord(ctx, awsapi.JSON, []byte(body), nil); !handled || err != nil {
					t.Errorf("put: %v %v", handled, err)
				}
			}
		}()
	}
	next := make([]int, writers)
	var mu sync.Mutex
	total := 0
	for shard := range 2 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			it, last := iterator(t, d, ctx, shard), ""
			for {
				out, handled, err := d.fastGetRecords(ctx, awsapi.JSON, []byte(`{"ShardIterator":"`+it+`","Limit":7}`), nil)
				if !handled || err != nil {
					t.Errorf("get: %v %v", handled, err)
					return
				}
				var page struct {
					NextShardIterator string
					Records           []struct {
						Data           []byte
						SequenceNumber string
					}
				}
				if err := json.Unmarshal(out, &page); err != nil {
					t.Errorf("answer: %v", err)
					return
				}
				mu.Lock()
				for _, r := range page.Records {
					var w, i int
					fmt.Sscan(string(r.Data), &w, &i)
					if next[w] != i || r.SequenceNumber <= last {
						t.Errorf("writer %d: record %d, want %d (%s after %s)", w, i, next[w], r.SequenceNumber, last)
					}
					next[w], last = i+1, r.SequenceNumber
				}
				total += len(page.Records)
				done := total >= *puts/writers*writers
				mu.Unlock()
				if done || t.Failed() {
					return
				}
				it = page.NextShardIterator
			}
		}()
	}
	wg.Wait()
}

// cpu is the processor time of the process so far, in seconds.
func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// perMillion reports processor seconds per million records since before.
func perMillion(b *testing.B, before float64, recordsPerOp int) {
	b.ReportMetric((cpu(b)-before)/float64(b.N)/float64(recordsPerOp)*1e6, "cpu-s/M")
}

func BenchmarkScanPutRecords(b *testing.B) {
	for _, size := range []int{200, 1024, 10240} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			d, ctx := newDoor(b, disk.Options{Manual: true}, 4)
			body := putRecordsBody("s", 500, size)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			before := cpu(b)
			for b.Loop() {
				scan := d.scans.Get().(*putScan)
				if !scan.put(body) {
					b.Fatal("not taken")
				}
				d.beginPut(ctx, scan).Release()
				d.putBack(scan)
			}
			perMillion(b, before, 500)
		})
	}
}

func BenchmarkPutRecords(b *testing.B) {
	for _, size := range []int{200, 1024} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			d, ctx := newDoor(b, disk.Options{FS: vfs.OS{}}, 4)
			body := putRecordsBody("s", 500, size)
			out := make([]byte, 0, 1<<20)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			before := cpu(b)
			for b.Loop() {
				if _, handled, err := d.fastPutRecords(ctx, awsapi.JSON, body, out); !handled || err != nil {
					b.Fatal(handled, err)
				}
			}
			perMillion(b, before, 500)
		})
	}
}

func BenchmarkPutRecord(b *testing.B) {
	d, ctx := newDoor(b, disk.Options{FS: vfs.OS{}}, 4)
	data := base64.StdEncoding.EncodeToString(make([]byte, 1024))
	body := []byte(`{"StreamName":"s","PartitionKey":"player-1","Data":"` + data + `"}`)
	b.SetParallelism(8)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	before := cpu(b)
	b.RunParallel(func(pb *testing.PB) {
		out := make([]byte, 0, 1<<10)
		for pb.Next() {
			if _, handled, err := d.fastPutRecord(ctx, awsapi.JSON, body, out); !handled || err != nil {
				b.Error(handled, err)
				return
			}
		}
	})
	perMillion(b, before, 1)
}

func BenchmarkGetRecords(b *testing.B) {
	for _, size := range []int{200, 1024} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			d, ctx := newDoor(b, disk.Options{Manual: true}, 1)
			for range 10 {
				if _, handled, err := d.fastPutRecords(ctx, awsapi.JSON, putRecordsBody("s", 500, size), nil); !handled || err != nil {
					b.Fatal(handled, err)
				}
			}
			body := []byte(`{"ShardIterator":"` + iterator(b, d, ctx, 0) + `"}`)
			out := make([]byte, 0, 16<<20)
			b.SetBytes(int64(5000 * size))
			b.ReportAllocs()
			before := cpu(b)
			for b.Loop() {
				if _, handled, err := d.fastGetRecords(ctx, awsapi.JSON, body, out); !handled || err != nil {
					b.Fatal(handled, err)
				}
			}
			perMillion(b, before, 5000)
		})
	}
}
