// Package logtest is the conformance suite of [log.Log]: what the interface's
// comments promise, each promise one test, run against an implementation that
// the caller opens. Every implementation passes all of it.
//
// It tests what a single healthy process can see. What a crash may leave is
// tested by tests/crash.
package logtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// Harness is one freshly opened, empty log. The suite never closes the log
// except through Log.Close; whoever opens it frees what is beneath.
type Harness struct {
	Log log.Log
	// Clock is the log's clock. Nil when it cannot be set; tests of time are then
	// skipped.
	Clock *clock.Manual
	// Reopen closes the log in order and opens it again on the same storage. Nil
	// when nothing can be reopened; tests of what persists are then skipped.
	Reopen func(t *testing.T) log.Log
	// Keys are encryption keys that the log has, three at least, for RunKeys.
	Keys []uint32
	// MaxBatch is the largest batch in bytes that the log takes; 0 when it has no
	// limit below 2 MiB.
	MaxBatch int
	// Stamps tells that the log writes a batch's arrival into it, as Apache Kafka
	// does under LogAppendTime: maximum timestamp, the attribute that says so, and
	// the checksum. Every other byte is the sender's all the same.
	Stamps bool
}

// Open returns a Harness for one test and registers its cleanup with t.
type Open func(t *testing.T) Harness

// patience is how long the suite waits for what must happen.
const patience = 20 * time.Second

// Except are tests that a log cannot pass, "group" or "group/test", each with the
// reason. They are not run, which the test's output says; of those that are run
// none may skip. A log that passes all has nil.
type Except map[string]string

// Run runs the suite, except the parts about producers and encryption.
func Run(t *testing.T, open Open, except Except) { runPart(t, "", open, except) }

// RunProducers runs the part of the suite about idempotent producers and
// transactions.
func RunProducers(t *testing.T, open Open, except Except) { runPart(t, "producers", open, except) }

// RunKeys runs the part of the suite about encryption.
func RunKeys(t *testing.T, open Open, except Except) { runPart(t, "keys", open, except) }

// group is some tests, which [Run] or, with another part, one of its siblings runs.
type group struct {
	name, part string
	tests      []test
}

func groups() []group {
	return []group{
		{"append", "", appendTests}, {"atomic", "", atomicTests}, {"batch", "", batchTests},
		{"read", "", readTests}, {"watch", "", watchTests}, {"partition", "", partitionTests},
		{"time", "", timeTests}, {"state", "", stateTests}, {"keys", "keys", keyTests},
		{"producers", "producers", producerTests}, {"transactions", "producers", transactionTests},
	}
}

func runPart(t *testing.T, part string, open Open, except Except) {
	for _, g := range groups() {
		if g.part == part {
			runGroup(t, g, open, except)
		}
	}
}

type test struct {
	name string
	run  func(s *suite)
}

func runGroup(t *testing.T, g group, open Open, except Except) {
	t.Helper()
	if reason := except[g.name]; reason != "" {
		t.Logf("not run: %s: %s", g.name, reason)
		return
	}
	t.Run(g.name, func(t *testing.T) {
		for _, tc := range g.tests {
			if reason := except[g.name+"/"+tc.name]; reason != "" {
				t.Logf("not run: %s: %s", tc.name, reason)
				continue
			}
			t.Run(tc.name, func(t *testing.T) {
				s := &suite{T: t, h: open(t)}
				s.l = s.h.Log
				if except != nil {
					t.Cleanup(func() {
						if t.Skipped() {
							t.Error("skips, and is not named as an exception")
						}
					})
				}
				tc.run(s)
			})
		}
	})
}

// suite is one test at work on its log.
type suite struct {
	*testing.T
	h Harness
	l log.Log
}

// Names lists the suite as keys of [Except]: every group and every test.
func Names() []string {
	var names []string
	for _, g := range groups() {
		names = append(names, g.name)
		for _, tc := range g.tests {
			names = append(names, g.name+"/"+tc.name)
		}
	}
	return names
}

func (s *suite) needClock() *clock.Manual {
	s.Helper()
	if s.h.Clock == nil {
		s.Skip("the log's clock cannot be set")
	}
	return s.h.Clock
}

// reopen closes and opens the log, or skips the rest of the test.
func (s *suite) reopen() {
	s.Helper()
	if s.h.Reopen == nil {
		s.Skip("the log cannot be reopened")
	}
	s.l = s.h.Reopen(s.T)
}

// Batch returns a valid batch of n records (>= 1), each with a value of size
// bytes, all derived from seed.
func Batch(n, size int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	var b batch.Builder
	for range n {
		value := make([]byte, size)
		for i := range value {
			value[i] = byte(r.Uint32())
		}
		b.Append(batch.Record{
			Timestamp: 1_700_000_000_000 + int64(r.IntN(1000)),
			Key:       key(seed),
			Value:     value,
		})
	}
	return b.Finish()
}

// key is the key of every record of a [Batch] made from seed.
func key(seed uint64) []byte { return binary.AppendUvarint([]byte("key-"), seed) }

// firstKey is the key of a batch's first record, nil if it cannot be read.
func firstKey(b []byte) []byte {
	it, err := batch.Records(b)
	if err != nil || !it.Next() {
		return nil
	}
	return it.Record().Key
}

// fixCRC writes the checksum that b's bytes ask for.
func fixCRC(b []byte) []byte {
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], batch.Castagnoli))
	return b
}

// same reports whether got is sent as the log may have changed it.
func (s *suite) same(sent []byte, got log.Batch) bool {
	if s.h.Stamps {
		sent = bytes.Clone(sent)
		sent[22] |= batch.TimestampLogTime
		binary.BigEndian.PutUint64(sent[35:], uint64(got.Arrival))
		fixCRC(sent)
	}
	return sameBatch(sent, got.Bytes)
}

// sameBatch reports whether got is sent, but for the base offset and the leader
// epoch that the log wrote.
func sameBatch(sent, got []byte) bool {
	return len(sent) == len(got) && len(got) > 16 &&
		bytes.Equal(sent[8:12], got[8:12]) && bytes.Equal(sent[16:], got[16:])
}

func part(stream uint64, index uint32) log.PartitionID {
	return log.PartitionID{Stream: stream, Generation: 1, Index: index}
}

// create makes partitions 0 to n-1 of stream 7.
func (s *suite) create(n int) []log.PartitionID {
	s.Helper()
	ids := make([]log.PartitionID, n)
	var req log.Request
	for i := range ids {
		ids[i] = part(7, uint32(i))
		req.Entries = append(req.Entries, log.Entry{Kind: log.Create, Partition: ids[i]})
	}
	s.do(req)
	return ids
}

func data(p log.PartitionID, b []byte) log.Entry {
	return log.Entry{Kind: log.Data, Partition: p, Batch: bytes.Clone(b)}
}

func entry(kind log.Kind, p log.PartitionID) log.Entry {
	return log.Entry{Kind: kind, Partition: p}
}

func request(entries ...log.Entry) log.Request { return log.Request{Entries: entries} }

func atomically(entries ...log.Entry) log.Request {
	return log.Request{Entries: entries, Atomic: true}
}

// submit appends and returns a function that waits for the results.
func (s *suite) submit(req log.Request) func() []log.Result {
	s.Helper()
	ch := make(chan []log.Result, 2)
	s.l.Append(req, func(r []log.Result) { ch <- r })
	return func() []log.Result {
		s.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		select {
		case r := <-ch:
			if len(r) != len(req.Entries) {
				s.Fatalf("%d results for %d entries", len(r), len(req.Entries))
			}
			return r
		case <-ctx.Done():
			s.Fatalf("no result after %v", patience)
			return nil
		}
	}
}

// try appends, waits and returns what came.
func (s *suite) try(req log.Request) []log.Result {
	s.Helper()
	return s.submit(req)()
}

// do appends what must succeed.
func (s *suite) do(req log.Request) []log.Result {
	s.Helper()
	rs := s.try(req)
	for i, r := range rs {
		if r.Err != nil {
			s.Fatalf("entry %d (kind %d of %v): %v", i, req.Entries[i].Kind, req.Entries[i].Partition, r.Err)
		}
	}
	return rs
}

// put appends one batch that must succeed.
func (s *suite) put(p log.PartitionID, b []byte) log.Result {
	s.Helper()
	return s.do(request(data(p, b)))[0]
}

// refused appends one entry that must fail with want.
func (s *suite) refused(e log.Entry, want error) {
	s.Helper()
	if r := s.try(request(e))[0]; !errors.Is(r.Err, want) {
		s.Errorf("kind %d of %v: error %v, want %v", e.Kind, e.Partition, r.Err, want)
	}
}

func (s *suite) info(p log.PartitionID) log.Info {
	s.Helper()
	info, err := s.l.Info(p)
	if err != nil {
		s.Fatalf("info of %v: %v", p, err)
	}
	return info
}

// readAll returns copies of all batches from offset on, read maxBytes at a time,
// and checks that they join and stay below the end.
func (s *suite) readAll(p log.PartitionID, offset int64, maxBytes int) []log.Batch {
	s.Helper()
	var all []log.Batch
	for {
		got, err := s.l.Read(p, offset, maxBytes, log.Uncommitted)
		if err != nil {
			s.Fatalf("read %v from %d: %v", p, offset, err)
		}
		for _, b := range got.List {
			if err := checkBatch(b, offset, got.End); err != nil {
				s.Fatalf("read %v from %d: %v", p, offset, err)
			}
			b.Bytes = bytes.Clone(b.Bytes)
			all = append(all, b)
			offset = b.Base + int64(b.Count)
		}
		done := len(got.List) == 0
		end := got.End
		got.Release()
		if done {
			if offset != end {
				s.Fatalf("read %v: nothing at %d, but the end is %d", p, offset, end)
			}
			return all
		}
	}
}

// checkBatch checks one batch of a read that has come to offset next.
func checkBatch(b log.Batch, next, end int64) error {
	h, err := batch.ParseHeader(b.Bytes)
	switch {
	case err != nil:
		return err
	case h.Size() != len(b.Bytes) || !batch.CheckCRC(b.Bytes, h):
		return fmt.Errorf("batch at %d is damaged", b.Base)
	case h.BaseOffset != b.Base || h.LastOffsetDelta+1 != b.Count:
		return fmt.Errorf("batch says %d+%d, result says %d+%d", h.BaseOffset, h.LastOffsetDelta+1, b.Base, b.Count)
	case b.Base > next || b.Base+int64(b.Count) <= next:
		return fmt.Errorf("batch %d+%d does not hold offset %d", b.Base, b.Count, next)
	case b.Base+int64(b.Count) > end:
		return fmt.Errorf("batch %d+%d goes beyond the end %d", b.Base, b.Count, end)
	}
	return nil
}

// wantBatches reads p from offset and compares.
func (s *suite) wantBatches(p log.PartitionID, offset int64, want [][]byte) []log.Batch {
	s.Helper()
	got := s.readAll(p, offset, 1<<20)
	if len(got) != len(want) {
		s.Fatalf("%v holds %d batches from %d on, want %d", p, len(got), offset, len(want))
	}
	for i := range got {
		if !s.same(want[i], got[i]) {
			s.Fatalf("%v: batch %d at offset %d is not what was sent", p, i, got[i].Base)
		}
	}
	return got
}

// firesSoon waits for a watch.
func (s *suite) firesSoon(w *log.Waiter, why string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case <-w.C:
	case <-ctx.Done():
		s.Fatalf("watch has not fired after %v: %s", patience, why)
	}
}

func hasFired(w *log.Waiter) bool {
	select {
	case <-w.C:
		return true
	default:
		return false
	}
}

// together runs fn n times at once and waits for all.
func together(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}
