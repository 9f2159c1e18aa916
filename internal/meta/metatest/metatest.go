// Package metatest is the suite that package meta passes on every log: what a
// commit promises, through reopening, fencing and failure. An implementation of
// log.Log calls [Run] from its tests.
package metatest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"thalweg/internal/clock"
	"thalweg/internal/log"
	"thalweg/internal/meta"
)

// Partition is where the suite keeps its state.
var Partition = log.PartitionID{Stream: 1}

// Table is a [meta.Machine] of names and values: events "name=value", and
// "name=" to remove.
type Table struct {
	mu   sync.Mutex
	rows map[string]string
}

// Reset implements [meta.Machine].
func (m *Table) Reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows = map[string]string{}
}

// Apply implements [meta.Machine].
func (m *Table) Apply(event []byte) error {
	name, value, ok := strings.Cut(string(event), "=")
	if !ok {
		return fmt.Errorf("event %q", event)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if value == "" {
		delete(m.rows, name)
	} else {
		m.rows[name] = value
	}
	return nil
}

// Snapshot implements [meta.Machine].
func (m *Table) Snapshot(emit func([]byte)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(m.rows)) {
		emit([]byte(name + "=" + m.rows[name]))
	}
}

// Rows returns a copy of the table.
func (m *Table) Rows() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.rows)
}

// Open opens a Table on l that takes a snapshot after so many bytes of events.
func Open(l log.Log, snapshotBytes int64) (*meta.Store, *Table, error) {
	m := &Table{}
	s, err := meta.Open(context.Background(), meta.Options{
		Log: l, Partition: Partition, Clock: clock.System(), Machine: m, SnapshotBytes: snapshotBytes,
	})
	return s, m, err
}

// Put commits events, and entries with them.
func Put(s *meta.Store, events []string, entries ...log.Entry) error {
	_, err := s.Commit(context.Background(), func() (meta.Change, error) {
		c := meta.Change{Entries: entries}
		for _, e := range events {
			c.Events = append(c.Events, []byte(e))
		}
		return c, nil
	})
	return err
}

// Run runs the suite. newLog returns a new empty log, closed by the test's
// cleanup.
func Run(t *testing.T, newLog func(t *testing.T) log.Log) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, log.Log)
	}{
		{"replay", testReplay}, {"snapshot", testSnapshot}, {"large snapshot", testLargeSnapshot},
		{"atomic", testAtomic}, {"refused", testRefused}, {"fenced", testFenced}, {"concurrent", testConcurrent},
		{"bad event", testBadEvent},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, newLog(t)) })
	}
}

func open(t *testing.T, l log.Log, snapshotBytes int64) (*meta.Store, *Table) {
	t.Helper()
	s, m, err := Open(l, snapshotBytes)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s, m
}

func put(t *testing.T, s *meta.Store, events ...string) {
	t.Helper()
	if err := Put(s, events); err != nil {
		t.Fatalf("commit %q: %v", events, err)
	}
}

func want(t *testing.T, m *Table, rows map[string]string) {
	t.Helper()
	if got := m.Rows(); !maps.Equal(got, rows) {
		t.Fatalf("state is %v, want %v", got, rows)
	}
}

func testReplay(t *testing.T, l log.Log) {
	s, m := open(t, l, 0)
	want(t, m, map[string]string{})
	put(t, s, "a=1", "b=2")
	put(t, s, "a=3")
	put(t, s, "b=")
	want(t, m, map[string]string{"a": "3"})
	_, m = open(t, l, 0)
	want(t, m, map[string]string{"a": "3"})
}

func testSnapshot(t *testing.T, l log.Log) {
	s, m := open(t, l, 2000)
	for i := range 300 {
		put(t, s, fmt.Sprintf("k%d=%d", i%7, i))
	}
	info, err := l.Info(Partition)
	if err != nil || info.Start == 0 || info.End-info.Start > 250 {
		t.Fatalf("nothing was trimmed: %+v %v", info, err)
	}
	_, again := open(t, l, 2000)
	want(t, again, m.Rows())
	if err := s.Snapshot(); !errors.Is(err, log.ErrFenced) {
		t.Fatalf("snapshot of an older writer: %v", err)
	}
}

func testLargeSnapshot(t *testing.T, l log.Log) {
	s, m := open(t, l, 1<<40)
	value := strings.Repeat("v", 100_000)
	for i := range 30 {
		put(t, s, fmt.Sprintf("k%02d=%s", i, value))
	}
	if err := s.Snapshot(); err != nil {
		t.Fatal(err)
	}
	put(t, s, "k00=last")
	info, err := l.Info(Partition)
	if err != nil || info.Start != 30 || info.End != 62 { // 30 events; the mark and 30 more; one
		t.Fatalf("%+v %v", info, err)
	}
	found, err := l.Read(Partition, info.Start, 100<<20, log.Uncommitted)
	if err != nil || len(found.List) < 4 {
		t.Fatalf("the snapshot is in %d batches: %v", len(found.List), err)
	}
	found.Release()
	_, again := open(t, l, 0)
	want(t, again, m.Rows())
}

func testAtomic(t *testing.T, l log.Log) {
	s, m := open(t, l, 0)
	p := log.PartitionID{Stream: 9}
	create := log.Entry{Kind: log.Create, Partition: p}
	if err := Put(s, []string{"stream=9"}, create); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Info(p); err != nil {
		t.Fatalf("partition made with an event: %v", err)
	}
	other := log.Entry{Kind: log.Create, Partition: log.PartitionID{Stream: 10}}
	if err := Put(s, []string{"stream=10"}, other, create); !errors.Is(err, log.ErrExists) {
		t.Fatalf("partition made twice: %v", err)
	}
	if _, err := l.Info(other.Partition); !errors.Is(err, log.ErrNotFound) {
		t.Fatalf("half of a refused commit: %v", err)
	}
	want(t, m, map[string]string{"stream": "9"})
	_, again := open(t, l, 0)
	want(t, again, map[string]string{"stream": "9"})
}

func testRefused(t *testing.T, l log.Log) {
	s, m := open(t, l, 0)
	put(t, s, "a=1")
	info, _ := l.Info(Partition)
	refuse := errors.New("no")
	if _, err := s.Commit(context.Background(), func() (meta.Change, error) { return meta.Change{}, refuse }); err != refuse {
		t.Fatalf("decide's error: %v", err)
	}
	if err := Put(s, nil); err != nil {
		t.Fatalf("nothing to commit: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Commit(ctx, func() (meta.Change, error) { t.Error("decided after the end"); return meta.Change{}, nil }); err == nil {
		t.Fatal("commit after its context's end")
	}
	after, _ := l.Info(Partition)
	if info.End != after.End {
		t.Fatalf("something was written: %d to %d", info.End, after.End)
	}
	want(t, m, map[string]string{"a": "1"})
}

func testFenced(t *testing.T, l log.Log) {
	old, oldTable := open(t, l, 0)
	put(t, old, "a=1")
	s, m := open(t, l, 0)
	if err := Put(old, []string{"a=2"}); !errors.Is(err, log.ErrFenced) {
		t.Fatalf("older writer: %v", err)
	}
	want(t, oldTable, map[string]string{"a": "1"})
	put(t, s, "b=1")
	want(t, m, map[string]string{"a": "1", "b": "1"})
}

// Every commit adds one to a counter that it reads: none may be lost.
func testConcurrent(t *testing.T, l log.Log) {
	s, m := open(t, l, 3000)
	const writers, each = 4, 50
	var wg sync.WaitGroup
	for range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range each {
				_, err := s.Commit(context.Background(), func() (meta.Change, error) {
					n := len(m.Rows()["n"])
					return meta.Change{Events: [][]byte{[]byte("n=" + strings.Repeat("x", n+1))}}, nil
				})
				if err != nil {
					t.Errorf("commit: %v", err)
				}
			}
		}()
	}
	wg.Wait()
	_, again := open(t, l, 0)
	want(t, again, map[string]string{"n": strings.Repeat("x", writers*each)})
}

func testBadEvent(t *testing.T, l log.Log) {
	s, _ := open(t, l, 0)
	if err := Put(s, []string{"no event"}); err == nil {
		t.Fatal("an event that cannot be applied")
	}
	if err := Put(s, []string{"a=1"}); err == nil {
		t.Fatal("a commit after one that could not be applied")
	}
	if _, _, err := Open(l, 0); err == nil {
		t.Fatal("replayed")
	}
}
