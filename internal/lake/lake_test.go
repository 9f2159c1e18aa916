package lake_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/lake"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/objstore"
	"thalweg/internal/objstore/fs"
	"thalweg/internal/vfs"
)

var (
	ctx   = context.Background()
	start = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	here  = lake.Scope{Account: "111122223333", Region: "eu-west-1"}
)

func free(int64) error { return nil }

// world is a catalog on a log and objects of its own.
type world struct {
	fs      *vfs.Mem
	log     *disk.Log
	objects *fs.Store
	catalog *lake.Catalog
	memory  *limits.Budget
}

func open(m *vfs.Mem) (*world, error) {
	w := &world{fs: m, memory: limits.NewBudget(1 << 20)}
	c := clock.NewManual(start)
	var err error
	if w.log, err = disk.Open(ctx, disk.Options{FS: m, Dir: "data", Clock: c, Manual: true, WALFileBytes: 256 << 10}); err != nil {
		return nil, err
	}
	if w.objects, err = fs.Open(fs.Options{FS: m, Dir: "/data/objects", Clock: c}); err == nil {
		w.catalog, err = lake.Open(ctx, lake.Options{Log: w.log, Partition: log.PartitionID{Index: 8}, Clock: c, Objects: w.objects,
			Memory: w.memory, MaxBytes: 64 << 10})
	}
	if err != nil {
		return nil, errors.Join(err, w.log.Close(ctx))
	}
	return w, nil
}

// machine is a file system with a data directory that a crash leaves there.
func machine(seed uint64) *vfs.Mem {
	m := vfs.NewMem(seed)
	if err := errors.Join(m.MkdirAll("/data", 0o700), m.SyncDir("/")); err != nil {
		panic(err)
	}
	return m
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w, err := open(machine(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.log.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := w.prepare(); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) prepare() error {
	return errors.Join(w.objects.CreateBucket(ctx, objstore.Bucket{Name: "bucket", Owner: here.Account}),
		w.catalog.CreateNamespace(ctx, here, []string{"n"}, map[string]string{"a": "1"}))
}

func updates(text string) []lake.Update {
	var out []lake.Update
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		panic(err)
	}
	return out
}

const makeTable = `[{"action":"assign-uuid","uuid":"u"},{"action":"add-schema","schema":{"type":"struct","fields":[{"id":1,"name":"a","type":"long","required":false}]}},
	{"action":"set-current-schema","schema-id":-1},{"action":"add-spec","spec":{"fields":[]}},{"action":"set-default-spec","spec-id":-1},
	{"action":"add-sort-order","sort-order":{"fields":[]}},{"action":"set-default-sort-order","sort-order-id":-1},
	{"action":"set-location","location":"s3://bucket/n/t"}]`

func id(name string) lake.Ident { return lake.Ident{Namespace: []string{"n"}, Name: name} }

func create() []lake.Requirement { return []lake.Requirement{{Type: "assert-create"}} }

func (w *world) makeTable(name string) error {
	_, _, err := w.catalog.Commit(ctx, here, id(name), create(), updates(makeTable), free)
	return err
}

// count is a table's property "n", by which commits are told apart.
func (w *world) count(name string) (string, error) {
	_, raw, err := w.catalog.Load(ctx, here, id(name), free)
	if err != nil {
		return "", err
	}
	var m struct{ Properties map[string]string }
	err = json.Unmarshal(raw, &m)
	return m.Properties["n"], err
}

func setCount(n int) []lake.Update {
	return updates(fmt.Sprintf(`[{"action":"set-properties","updates":{"n":"%d"}}]`, n))
}

func TestNamespaces(t *testing.T) {
	w := newWorld(t)
	c := w.catalog
	wants := func(err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
	}
	wants(c.CreateNamespace(ctx, here, []string{"n"}, nil), lake.ErrNamespace)
	wants(c.CreateNamespace(ctx, here, []string{"x", "y"}, nil), lake.ErrNoNamespace)
	wants(c.CreateNamespace(ctx, here, []string{"n", "inner"}, nil), nil)
	wants(c.DropNamespace(ctx, here, []string{"n"}), lake.ErrNotEmpty)
	wants(c.DropNamespace(ctx, here, []string{"n", "inner"}), nil)
	wants(w.makeTable("t"), nil)
	wants(c.DropNamespace(ctx, here, []string{"n"}), lake.ErrNotEmpty)
	wants(c.Drop(ctx, here, id("t")), nil)
	wants(c.Drop(ctx, here, id("t")), lake.ErrNoTable)
	wants(c.DropNamespace(ctx, here, []string{"n"}), nil)
	wants(c.DropNamespace(ctx, here, []string{"n"}), lake.ErrNoNamespace)
	for _, bad := range [][]string{{}, {""}, {"a/b"}, {"a\x1fb"}, {strings.Repeat("x", 256)}} {
		if err := c.CreateNamespace(ctx, here, bad, nil); errs.KindOf(err) != errs.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := c.CreateNamespace(ctx, here, []string{"p"}, map[string]string{"k": strings.Repeat("x", 20_000)}); errs.KindOf(err) != errs.Invalid {
		t.Error(err)
	}
	if other, err := c.Namespaces(lake.Scope{Account: "999900001111", Region: here.Region}, nil); err != nil || len(other) != 0 {
		t.Error("another account sees", other, err)
	}
}

// A table's places are its account's own buckets.
func TestPlaces(t *testing.T) {
	w := newWorld(t)
	if err := w.objects.CreateBucket(ctx, objstore.Bucket{Name: "foreign", Owner: "999900001111"}); err != nil {
		t.Fatal(err)
	}
	if err := w.makeTable("t"); err != nil {
		t.Fatal(err)
	}
	for location, kind := range map[string]errs.Kind{"s3://foreign/t": errs.Denied, "s3://none/t": errs.NotFound, "file:///etc": errs.Invalid} {
		u := updates(fmt.Sprintf(`[{"action":"set-location","location":%q},{"action":"set-properties","updates":{"write.metadata.path":%q}}]`, location, location))
		if _, _, err := w.catalog.Commit(ctx, here, id("t"), nil, u, free); errs.KindOf(err) != kind {
			t.Errorf("%s: %v", location, err)
		}
		if _, err := w.catalog.Register(ctx, here, id("r"), location+"/x.json", free); errs.KindOf(err) != kind {
			t.Errorf("register %s: %v", location, err)
		}
	}
}

// What a commit makes of a table, and what it refuses.
func TestUpdates(t *testing.T) {
	w := newWorld(t)
	if err := w.makeTable("t"); err != nil {
		t.Fatal(err)
	}
	try := func(requirements, text string) error {
		var r []lake.Requirement
		if err := json.Unmarshal([]byte(requirements), &r); err != nil {
			t.Fatal(err)
		}
		_, _, err := w.catalog.Commit(ctx, here, id("t"), r, updates(text), free)
		return err
	}
	snap := func(n, seq int, parent string) string {
		return fmt.Sprintf(`{"action":"add-snapshot","snapshot":{"snapshot-id":%d,"sequence-number":%d,"timestamp-ms":%d,"manifest-list":"m","summary":{"operation":"append","thalweg.offset":"%d"}%s}}`,
			n, seq, start.UnixMilli()+int64(n), n, parent)
	}
	main := func(n int) string {
		return fmt.Sprintf(`{"action":"set-snapshot-ref","ref-name":"main","type":"branch","snapshot-id":%d}`, n)
	}
	for _, c := range []struct{ requirements, updates, fails string }{
		{`[]`, `[` + snap(11, 1, "") + `,` + main(11) + `]`, ""},
		{`[{"type":"assert-ref-snapshot-id","ref":"main","snapshot-id":11}]`, `[` + snap(12, 2, `,"parent-snapshot-id":11`) + `,` + main(12) + `]`, ""},
		{`[{"type":"assert-ref-snapshot-id","ref":"main","snapshot-id":11}]`, `[` + main(11) + `]`, "conflict"},
		{`[{"type":"assert-ref-snapshot-id","ref":"main","snapshot-id":null}]`, `[]`, "conflict"},
		{`[{"type":"assert-ref-snapshot-id","ref":"tag","snapshot-id":1}]`, `[]`, "conflict"},
		{`[{"type":"assert-table-uuid","uuid":"other"}]`, `[]`, "conflict"},
		{`[{"type":"assert-current-schema-id","current-schema-id":1}]`, `[]`, "conflict"},
		{`[{"type":"assert-last-assigned-field-id","last-assigned-field-id":2}]`, `[]`, "conflict"},
		{`[{"type":"assert-unknown"}]`, `[]`, "invalid"},
		{`[{"type":"assert-create"}]`, `[]`, "exists"},
		{`[]`, `[` + snap(12, 3, "") + `]`, "conflict"},
		{`[]`, `[` + snap(13, 2, `,"parent-snapshot-id":12`) + `]`, "conflict"},
		{`[]`, `[` + main(99) + `]`, "invalid"},
		{`[]`, `[{"action":"unknown"}]`, "invalid"},
		{`[]`, `[{"action":"add-schema","schema":{"fields":[{"id":1,"name":"a","type":"long"},{"id":1,"name":"b","type":"long"}]}}]`, "invalid"},
		{`[]`, `[{"action":"add-schema","schema":{"fields":[{"id":1,"name":"a","type":{"type":"list","element-id":1,"element":"long"}}]}}]`, "invalid"},
		{`[]`, `[{"action":"set-current-schema","schema-id":7}]`, "invalid"},
		{`[]`, `[{"action":"remove-schemas","schema-ids":[0]}]`, "invalid"},
		{`[]`, `[{"action":"upgrade-format-version","format-version":1}]`, "unsupported"},
		{`[]`, `[{"action":"upgrade-format-version","format-version":3}]`, "unsupported"},
		{`[]`, `[{"action":"assign-uuid","uuid":"other"}]`, "invalid"},
		{`[{"type":"assert-table-uuid","uuid":"u"}]`, `[{"action":"add-schema","schema":{"type":"struct","fields":[{"id":5,"name":"b","type":{"type":"map","key-id":6,"key":"string","value-id":9,"value":"long"}}]}},
			{"action":"set-current-schema","schema-id":-1},{"action":"add-spec","spec":{"fields":[{"source-id":5,"name":"p","transform":"identity"}]}},
			{"action":"set-default-spec","spec-id":-1},{"action":"set-snapshot-ref","ref-name":"v1","type":"tag","snapshot-id":11},{"action":"set-properties","updates":{"k":"v"}}]`, ""},
		{`[{"type":"assert-last-assigned-field-id","last-assigned-field-id":9},{"type":"assert-last-assigned-partition-id","last-assigned-partition-id":1000},
			{"type":"assert-default-spec-id","default-spec-id":1},{"type":"assert-current-schema-id","current-schema-id":1},{"type":"assert-default-sort-order-id","default-sort-order-id":0}]`,
			`[{"action":"remove-properties","removals":["k"]},{"action":"remove-snapshots","snapshot-ids":[11]}]`, ""},
	} {
		err := try(c.requirements, c.updates)
		var late *lake.Conflict
		got := ""
		switch {
		case err == nil:
		case errors.As(err, &late):
			got = "conflict"
		default:
			got = errs.KindOf(err).String()
		}
		if got != c.fails {
			t.Errorf("%s %s: %v, want %q", c.requirements, c.updates, err, c.fails)
		}
	}
	_, raw, err := w.catalog.Load(ctx, here, id("t"), free)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	log := got["metadata-log"].([]any)
	if len(log) != 4 {
		t.Errorf("%d places in the metadata log", len(log))
	}
	ms := float64(start.UnixMilli())
	for name, want := range map[string]any{
		"current-snapshot-id": 12.0, "last-sequence-number": 2.0, "last-column-id": 9.0, "last-partition-id": 1000.0, "default-spec-id": 1.0,
		"refs":            map[string]any{"main": map[string]any{"snapshot-id": 12.0, "type": "branch"}},
		"snapshot-log":    []any{map[string]any{"snapshot-id": 12.0, "timestamp-ms": ms + 12}},
		"properties":      map[string]any{},
		"last-updated-ms": ms + 12,
		"partition-specs": []any{map[string]any{"spec-id": 0.0, "fields": []any{}}, map[string]any{"spec-id": 1.0, "fields": []any{
			map[string]any{"field-id": 1000.0, "name": "p", "source-id": 5.0, "transform": "identity"}}}},
	} {
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Of commits that meet, each is there or was refused, and none is lost.
func TestCommitsThatMeet(t *testing.T) {
	w := newWorld(t)
	if err := w.makeTable("t"); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for n := range 10 {
				u := updates(fmt.Sprintf(`[{"action":"set-properties","updates":{"w%d.%d":"x"}}]`, i, n))
				for {
					_, _, err := w.catalog.Commit(ctx, here, id("t"), nil, u, free)
					var late *lake.Conflict
					if errors.As(err, &late) {
						continue
					}
					if err != nil {
						t.Error(err)
					}
					break
				}
			}
		})
	}
	group.Wait()
	_, raw, err := w.catalog.Load(ctx, here, id("t"), free)
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ Properties map[string]string }
	if err := json.Unmarshal(raw, &m); err != nil || len(m.Properties) != 40 {
		t.Fatalf("%d properties of 40, %v", len(m.Properties), err)
	}
}

// story is what a script was told: the tables that are there and the count of each, and
// what the call under way when it ended would have made of one.
type story struct {
	ready  bool
	counts map[string]int
	name   string
	maybe  int // -1: gone
}

func tell(m *vfs.Mem) *story {
	s := &story{counts: map[string]int{}}
	w, err := open(m)
	if err != nil {
		return s
	}
	defer w.log.Close(ctx)
	if w.prepare() != nil {
		return s
	}
	s.ready = true
	for n := range 6 {
		s.name, s.maybe = fmt.Sprint("t", n%3), n
		if _, there := s.counts[s.name]; !there {
			s.maybe = 0
			if w.makeTable(s.name) != nil {
				return s
			}
			s.counts[s.name] = 0
			s.maybe = n
		}
		if _, _, err := w.catalog.Commit(ctx, here, id(s.name), nil, setCount(n), free); err != nil {
			return s
		}
		s.counts[s.name] = n
	}
	s.name, s.maybe = "t1", -1
	if w.catalog.Drop(ctx, here, id("t1")) != nil {
		return s
	}
	delete(s.counts, "t1")
	s.name = ""
	return s
}

// A power cut at every call leaves each table as its last answered commit left it, or
// as the one under way would have: never between them, never without its metadata.
func TestCrash(t *testing.T) {
	m := machine(1)
	if s := tell(m); s.name != "" || len(s.counts) != 2 {
		t.Fatalf("%+v", s)
	}
	const points = 300
	total := m.Calls()
	for at := 1; at <= total; at += max(1, total/points) {
		m := machine(uint64(at))
		m.Inject(func(op vfs.Op) error {
			if op.N == at {
				return vfs.ErrPowerCut
			}
			return nil
		})
		told := tell(m)
		for _, left := range []*vfs.Mem{m.Crash(uint64(at)), m.Kill()} {
			told.check(t, at, left)
		}
	}
}

func (s *story) check(t *testing.T, at int, m *vfs.Mem) {
	t.Helper()
	w, err := open(m)
	if err != nil {
		t.Fatalf("crash at call %d: %v", at, err)
	}
	defer w.log.Close(ctx)
	if !s.ready {
		return
	}
	names, err := w.catalog.Tables(here, []string{"n"})
	if err != nil {
		t.Fatalf("crash at call %d: %v", at, err)
	}
	for _, name := range names {
		got, err := w.count(name)
		if err != nil {
			t.Fatalf("crash at call %d: %s: %v", at, name, err)
		}
		want, there := s.counts[name]
		ok := there && (got == fmt.Sprint(want) || got == "" && want == 0) || name == s.name && (got == fmt.Sprint(s.maybe) || got == "" && s.maybe == 0)
		if !ok {
			t.Fatalf("crash at call %d: %s is at %q, was left at %d (there: %v), under way %q to %d", at, name, got, want, there, s.name, s.maybe)
		}
	}
	for name := range s.counts {
		if !slices.Contains(names, name) && (name != s.name || s.maybe != -1) {
			t.Fatalf("crash at call %d: %s is gone", at, name)
		}
	}
}

// Names and places are drawn on the memory, to a bound, and given back.
func TestMemory(t *testing.T) {
	w := newWorld(t)
	first := w.memory.Used()
	n := 0
	for ; n < 1000; n++ {
		if err := w.makeTable(fmt.Sprint("t", n)); errors.Is(err, lake.ErrLimit) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n < 50 || n == 1000 || w.memory.Used() > 64<<10 {
		t.Fatalf("%d tables, %d bytes", n, w.memory.Used())
	}
	if _, err := w.catalog.UpdateNamespace(ctx, here, []string{"n"}, nil, map[string]string{"k": strings.Repeat("x", 15_000)}); !errors.Is(err, lake.ErrLimit) {
		t.Fatal(err)
	}
	if err := w.catalog.Rename(ctx, here, id("t0"), id("another name")); err != nil {
		t.Fatal(err)
	}
	names, err := w.catalog.Tables(here, []string{"n"})
	if err != nil || len(names) != n {
		t.Fatal(len(names), err)
	}
	for _, name := range names {
		if err := w.catalog.Drop(ctx, here, id(name)); err != nil {
			t.Fatal(err)
		}
	}
	if w.memory.Used() != first {
		t.Fatalf("%d bytes, began with %d", w.memory.Used(), first)
	}
}

// A catalog that was closed is the same when it is opened again, snapshots included.
func TestReopen(t *testing.T) {
	m := machine(1)
	w, err := open(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.prepare(); err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		if err := w.makeTable(fmt.Sprint("t", n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.catalog.Rename(ctx, here, id("t3"), id("renamed")); err != nil {
		t.Fatal(err)
	}
	say := func(c *lake.Catalog) (all []string) {
		c.Snapshot(func(e []byte) { all = append(all, string(e)) })
		slices.Sort(all)
		return all
	}
	before := say(w.catalog)
	if err := w.log.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if w, err = open(m); err != nil {
		t.Fatal(err)
	}
	defer w.log.Close(ctx)
	if diff := cmp.Diff(before, say(w.catalog)); diff != "" || len(before) != 21 {
		t.Fatal(len(before), diff)
	}
	again := &lake.Catalog{}
	again.Reset()
	w.catalog.Snapshot(func(e []byte) {
		if err := again.Apply(e); err != nil {
			t.Fatal(err)
		}
	})
	if diff := cmp.Diff(before, say(again)); diff != "" {
		t.Fatal(diff)
	}
}

func FuzzCommit(f *testing.F) {
	f.Add(makeTable)
	f.Add(`[{"action":"add-snapshot","snapshot":{"snapshot-id":1,"timestamp-ms":1}},{"action":"remove-snapshots","snapshot-ids":[1]}]`)
	f.Add(`[{"action":"add-schema","schema":{"fields":[{"id":1,"type":{"type":"struct","fields":[]}}]}}]`)
	w, err := open(machine(1))
	if err != nil {
		f.Fatal(err)
	}
	if err := w.prepare(); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var u []lake.Update
		if json.Unmarshal([]byte(text), &u) != nil {
			return
		}
		raw, err := w.catalog.Stage(here, id("t"), u)
		if err == nil && !json.Valid(raw) {
			t.Fatalf("%s", raw)
		}
	})
}
