package disk_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/identity"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

// benchLog opens a log with the default options on the real file system.
func benchLog(b *testing.B, change func(*disk.Options)) *disk.Log {
	b.Helper()
	return open(b, vfs.OS{}, func(o *disk.Options) {
		*o = disk.Options{FS: vfs.OS{}, Dir: b.TempDir(), Clock: clock.System()}
		if change != nil {
			change(o)
		}
	})
}

// rawSync reports what one write and fdatasync of size bytes costs here, in a
// file written before: the floor for one durable append.
func rawSync(b *testing.B, size int) {
	b.Helper()
	f, err := vfs.OS{}.OpenFile(b.TempDir()+"/raw", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	const span = 16 << 20
	if _, err := f.WriteAt(make([]byte, span), 0); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, size)
	var took []time.Duration
	for i := range 300 {
		began := time.Now()
		if _, err := f.WriteAt(buf, int64(i*size)%(span-int64(size))); err != nil {
			b.Fatal(err)
		}
		if err := f.SyncData(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "raw-us")
}

// appendLoop runs b.N appends of batches of size bytes from n goroutines, each
// with a partition of its own, one append under way each.
func appendLoop(b *testing.B, l log.Log, n, size int) {
	for i := range n {
		must(b, l, create(pid(uint64(i+1)), log.Config{}))
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	took := make([][]time.Duration, n)
	var wg sync.WaitGroup
	b.ResetTimer()
	for i := range n {
		wg.Go(func() {
			req := data(pid(uint64(i+1)), rawBatch(1, make([]byte, size-61)))
			done := make(chan error, 1)
			ack := func(rs []log.Result) { done <- rs[0].Err }
			for left.Add(-1) >= 0 {
				began := time.Now()
				l.Append(req, ack)
				if err := <-done; err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(began))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acks/s")
	b.ReportMetric(float64(all[len(all)/2].Nanoseconds())/1e3, "p50-us")
	b.ReportMetric(float64(all[len(all)*99/100].Nanoseconds())/1e3, "p99-us")
}

func BenchmarkAppend1KiB(b *testing.B) {
	for _, n := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", n), func(b *testing.B) {
			l := benchLog(b, nil)
			appendLoop(b, l, n, 1<<10)
			rawSync(b, 1<<10)
			closeLog(b, l)
		})
	}
}

func BenchmarkAppend1KiBWritten(b *testing.B) {
	l := benchLog(b, func(o *disk.Options) { o.Durability = log.Written })
	appendLoop(b, l, 16, 1<<10)
	closeLog(b, l)
}

func BenchmarkAppend500KiB(b *testing.B) {
	for _, n := range []int{1, 4} {
		b.Run(fmt.Sprintf("writers=%d", n), func(b *testing.B) {
			l := benchLog(b, nil)
			appendLoop(b, l, n, 500<<10)
			rawSync(b, 500<<10)
			closeLog(b, l)
		})
	}
}

// BenchmarkRead reads 1 KiB batches, 1 MiB a call, from memory and from segments.
func BenchmarkRead(b *testing.B) {
	for _, from := range []string{"tail", "segment"} {
		b.Run(from, func(b *testing.B) {
			l := benchLog(b, func(o *disk.Options) {
				if from == "tail" {
					o.FlushBytes = 1 << 40
				}
			})
			must(b, l, create(pid(1), log.Config{}))
			const n = 16 << 10
			for range n / 64 {
				var req log.Request
				for range 64 {
					req.Entries = append(req.Entries, log.Entry{Partition: pid(1), Batch: rawBatch(1, make([]byte, 1<<10-61))})
				}
				must(b, l, req)
			}
			if from == "segment" {
				if err := l.Checkpoint(); err != nil {
					b.Fatal(err)
				}
				// Push it out of the tail.
				must(b, l, create(pid(2), log.Config{}))
				for range 80 {
					must(b, l, data(pid(2), rawBatch(1, make([]byte, 500<<10))))
				}
			}
			b.SetBytes(1 << 10)
			b.ReportAllocs()
			b.ResetTimer()
			at := int64(0)
			for read := 0; read < b.N; {
				got, err := l.Read(pid(1), at, 1<<20, log.Uncommitted)
				if err != nil {
					b.Fatal(err)
				}
				read += len(got.List)
				at += int64(len(got.List))
				if at == n {
					at = 0
				}
				got.Release()
			}
			b.StopTimer()
			closeLog(b, l)
		})
	}
}

// BenchmarkCheckpoint10000 is one checkpoint of 10,000 partitions with four new
// batches each, while 16 writers append to others.
func BenchmarkCheckpoint10000(b *testing.B) {
	const parts, writers = 10000, 16
	l := benchLog(b, nil)
	var req log.Request
	for p := range uint64(parts + writers) {
		req.Entries = append(req.Entries, log.Entry{Kind: log.Create, Partition: pid(p)})
	}
	must(b, l, req)
	var during []time.Duration
	for b.Loop() {
		b.StopTimer()
		for p := range uint64(parts) {
			var req log.Request
			for range 4 {
				req.Entries = append(req.Entries, log.Entry{Partition: pid(p), Batch: rawBatch(1, make([]byte, 1<<10))})
			}
			l.Append(req, func([]log.Result) {})
		}
		must(b, l, data(pid(0), rawBatch(1, nil))) // what is queued before is acknowledged with it
		stop := make(chan struct{})
		took := make([][]time.Duration, writers)
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				put := data(pid(uint64(parts+i)), rawBatch(1, make([]byte, 1<<10)))
				for {
					select {
					case <-stop:
						return
					default:
					}
					began := time.Now()
					must(b, l, put)
					took[i] = append(took[i], time.Since(began))
				}
			})
		}
		b.StartTimer()
		if err := l.Checkpoint(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		close(stop)
		wg.Wait()
		during = append(during, slices.Concat(took...)...)
		b.StartTimer()
	}
	slices.Sort(during)
	b.ReportMetric(float64(during[len(during)/2].Microseconds()), "put-p50-us")
	b.ReportMetric(float64(during[len(during)*99/100].Microseconds()), "put-p99-us")
	b.ReportMetric(float64(during[len(during)-1].Microseconds()), "put-max-us")
	closeLog(b, l)
}

// BenchmarkEncrypted is what encryption adds to an append and to a read from the
// tail and from a segment, over a file system in memory and on one goroutine.
func BenchmarkEncrypted(b *testing.B) {
	for _, size := range []int{1 << 10, 500 << 10} {
		for _, key := range []uint32{0, 1} {
			name := fmt.Sprintf("size=%d/key=%d", size, key)
			keys := identity.NewKeystore()
			fill := func(b *testing.B, tail int64) (*disk.Log, int64) {
				l := open(b, vfs.NewEphemeral(), func(o *disk.Options) {
					*o = disk.Options{FS: o.FS, Dir: "/d", Clock: clock.System(), Manual: true, Keys: keys, TailBytes: tail}
				})
				must(b, l, create(pid(1), log.Config{KeyID: key}))
				n := int64(16<<20) / int64(size)
				for range n {
					must(b, l, data(pid(1), rawBatch(1, make([]byte, size-61))))
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				return l, n
			}
			b.Run("append/"+name, func(b *testing.B) {
				l, _ := fill(b, 32<<20)
				req := data(pid(1), rawBatch(1, make([]byte, size-61)))
				trim := log.Entry{Kind: log.Trim, Partition: pid(1)}
				for b.Loop() {
					trim.Offset = must(b, l, req)[0].Offset
					if trim.Offset%(64<<20/int64(size)) == 0 { // bound the memory
						must(b, l, log.Request{Entries: []log.Entry{trim}})
						if err := l.Checkpoint(); err != nil {
							b.Fatal(err)
						}
					}
				}
				closeLog(b, l)
			})
			for from, tail := range map[string]int64{"tail": 32 << 20, "segment": 1} {
				b.Run("read/"+from+"/"+name, func(b *testing.B) {
					l, n := fill(b, tail)
					if err := l.Checkpoint(); err != nil {
						b.Fatal(err)
					}
					at := int64(0)
					for read := 0; read < b.N; {
						got, err := l.Read(pid(1), at, 1<<20, log.Uncommitted)
						if err != nil {
							b.Fatal(err)
						}
						read += len(got.List)
						at = (at + int64(len(got.List))) % n
						got.Release()
					}
					closeLog(b, l)
				})
			}
		}
	}
}

// BenchmarkOffsetForTimestamp finds a timestamp in the middle of 256 MiB in segments,
// and the latest; scan is what it took to read up to there.
func BenchmarkOffsetForTimestamp(b *testing.B) {
	l := benchLog(b, func(o *disk.Options) { o.Durability = log.Written })
	defer closeLog(b, l)
	p := pid(1)
	must(b, l, create(p, log.Config{}))
	const batches = 16384
	value := bytes.Repeat([]byte("v"), 1000)
	for i := range batches {
		var w batch.Builder
		for range 16 {
			w.Append(batch.Record{Timestamp: int64(i), Key: []byte("key"), Value: value})
		}
		must(b, l, data(p, w.Finish()))
	}
	if err := l.Checkpoint(); err != nil {
		b.Fatal(err)
	}
	b.Run("find", func(b *testing.B) {
		for b.Loop() {
			if got, err := l.OffsetForTimestamp(p, 0, batches/2); err != nil || got != batches/2*16 {
				b.Fatal(got, err)
			}
		}
	})
	b.Run("latest", func(b *testing.B) {
		for b.Loop() {
			if got, err := l.LatestTimestamp(p, 1<<62); err != nil || got != batches-1 {
				b.Fatal(got, err)
			}
		}
	})
	b.Run("scan", func(b *testing.B) {
		for b.Loop() {
			for at := int64(0); at < batches/2*16; {
				got, err := l.Read(p, at, 1<<20, log.Uncommitted)
				if err != nil {
					b.Fatal(err)
				}
				last := got.List[len(got.List)-1]
				at = last.Base + int64(last.Count)
				got.Release()
			}
		}
	})
}
