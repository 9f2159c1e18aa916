package schemas

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

var (
	begin = time.Date(2026, 11, 22, 13, 14, 15, 0, time.UTC)
	scope = Scope{"000000000000", "us-east-1"}
	other = Scope{"111111111111", "us-east-1"}
	ctx   = context.Background()
)

// world is a log that services are opened on, one after the other.
type world struct {
	log    log.Log
	clock  *clock.Manual
	memory *limits.Budget
}

func newWorld(t testing.TB) *world {
	t.Helper()
	c := clock.NewManual(begin)
	l, err := disk.Open(ctx, disk.Options{FS: vfs.NewMem(1), Dir: "d", Clock: c, WALFileBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(ctx) })
	return &world{l, c, limits.NewBudget(0)}
}

func (w *world) open(t testing.TB) *Service {
	t.Helper()
	w.memory = limits.NewBudget(0)
	s, err := Open(ctx, Options{Log: w.log, Partition: log.PartitionID{Index: 8}, Clock: w.clock, Memory: w.memory, MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// dump shows everything, and checks that what it takes is drawn on the budget.
func dump(t testing.TB, w *world, s *Service) string {
	t.Helper()
	var out []string
	size := int64(0)
	for _, sc := range []Scope{scope, other} {
		list, _ := s.Databases(sc, "", 1000)
		for _, d := range list {
			size += int64(len(d.Document)) + overhead
			out = append(out, fmt.Sprintf("%s %s %s %d", sc.Account, d.Name, d.Document, d.Created-begin.UnixMilli()))
			tables, _, err := s.Tables(sc, d.Name, "", 1000, func(string) bool { return true })
			if err != nil {
				t.Fatal(err)
			}
			for _, last := range tables {
				versions, err := s.Versions(sc, d.Name, last.Name)
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range versions {
					size += int64(len(v.Document)) + overhead
					out = append(out, fmt.Sprintf("  %s %d %s %d %d", v.Name, v.Version, v.Document, v.Created-begin.UnixMilli(), v.Updated-begin.UnixMilli()))
				}
			}
		}
	}
	if used := w.memory.Used(); used != size || s.state.bytes != size {
		t.Errorf("%d bytes drawn and %d counted for %d", used, s.state.bytes, size)
	}
	return strings.Join(out, "\n")
}

func TestLife(t *testing.T) {
	w := newWorld(t)
	s := w.open(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fails := func(err error, kind errs.Kind, text string) {
		t.Helper()
		if errs.KindOf(err) != kind || err == nil || err.Error() != text {
			t.Errorf("%v, want %s", err, text)
		}
	}
	must(s.CreateDatabase(ctx, scope, "Game", []byte(`{"a":1}`)))
	must(s.CreateDatabase(ctx, other, "game", []byte(`{"a":2}`)))
	fails(s.CreateDatabase(ctx, scope, "GAME", []byte(`{}`)), errs.Exists, "Database already exists.")
	w.clock.Advance(time.Second)
	must(s.CreateTable(ctx, scope, "game", "Moves", []byte(`{"v":0}`)))
	fails(s.CreateTable(ctx, scope, "game", "moves", []byte(`{}`)), errs.Exists, "Table already exists.")
	fails(s.CreateTable(ctx, scope, "none", "moves", []byte(`{}`)), errs.NotFound, "Database none not found.")
	w.clock.Advance(time.Second)
	must(s.UpdateTable(ctx, scope, "game", "moves", []byte(`{"v":1}`), true, Latest))
	must(s.UpdateTable(ctx, scope, "game", "moves", []byte(`{"v":2}`), false, 1))
	fails(s.UpdateTable(ctx, scope, "game", "moves", []byte(`{}`), true, 1), errs.Fenced, "The table's version is 2, not 1.")
	fails(s.UpdateTable(ctx, scope, "game", "none", []byte(`{}`), true, Latest), errs.NotFound, "Table none not found.")
	must(s.UpdateDatabase(ctx, scope, "game", []byte(`{"a":3}`)))
	must(s.CreateTable(ctx, scope, "game", "gone", []byte(`{}`)))
	must(s.DeleteTable(ctx, scope, "game", "Gone"))
	fails(s.DeleteTable(ctx, scope, "game", "gone"), errs.NotFound, "Table gone not found.")
	must(s.CreateDatabase(ctx, scope, "gone", []byte(`{}`)))
	must(s.CreateTable(ctx, scope, "gone", "t", []byte(`{}`)))
	must(s.DeleteDatabase(ctx, scope, "gone"))
	fails(s.DeleteDatabase(ctx, scope, "gone"), errs.NotFound, "Database gone not found.")
	fails(s.UpdateDatabase(ctx, scope, "gone", nil), errs.NotFound, "Database gone not found.")
	fails(s.CreateTable(ctx, scope, "game", "large", slices.Concat([]byte(`"`), make([]byte, MaxDocument), []byte(`"`))), errs.LimitExceeded,
		"The catalog takes no more: documents have 512 KiB each, and a part of the server's memory together.")
	want := strings.TrimSpace(`
000000000000 game {"a":3} 0
  moves 0 {"v":0} 1000 1000
  moves 2 {"v":2} 1000 2000
111111111111 game {"a":2} 0`)
	if got := dump(t, w, s); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := dump(t, w, w.open(t)); got != want {
		t.Errorf("after a restart\n%s\nwant\n%s", got, want)
	}
	if _, err := s.Table(scope, "game", "moves", 1); errs.KindOf(err) != errs.NotFound {
		t.Error(err)
	}
}

func TestBounds(t *testing.T) {
	w := newWorld(t)
	s := w.open(t)
	if err := s.CreateDatabase(ctx, scope, "d", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateTable(ctx, scope, "d", "t", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	for range MaxVersions + 10 {
		if err := s.UpdateTable(ctx, scope, "d", "t", []byte(`{}`), true, Latest); err != nil {
			t.Fatal(err)
		}
	}
	versions, err := s.Versions(scope, "d", "t")
	if err != nil || len(versions) != MaxVersions || versions[0].Version != 11 || versions[MaxVersions-1].Version != 110 {
		t.Errorf("%d versions: %v", len(versions), err)
	}
	large := []byte(`"` + strings.Repeat("x", 100<<10) + `"`)
	count := 0
	for ; count < 100; count++ {
		if err := s.CreateTable(ctx, scope, "d", fmt.Sprint("t", count), large); err != nil {
			if errs.KindOf(err) != errs.LimitExceeded {
				t.Fatal(err)
			}
			break
		}
	}
	if count != 9 {
		t.Errorf("%d tables of 100 KiB fit a MiB", count)
	}
	if err := s.DeleteTable(ctx, scope, "d", "t0"); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateTable(ctx, scope, "d", "again", large); err != nil {
		t.Errorf("what was removed makes no room: %v", err)
	}
	dump(t, w, s)
}

// Whatever is done, a service that is opened anew, or from a snapshot, is the same.
func TestReopened(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		s := w.open(t)
		name := rapid.SampledFrom([]string{"a", "b", "C"})
		for i := range rapid.IntRange(1, 60).Draw(rt, "steps") {
			sc := rapid.SampledFrom([]Scope{scope, other}).Draw(rt, "scope")
			d, n := name.Draw(rt, "database"), name.Draw(rt, "table")
			document := fmt.Appendf(nil, `{"i":%d}`, i)
			w.clock.Advance(time.Millisecond)
			var err error
			switch rapid.IntRange(0, 6).Draw(rt, "step") {
			case 0:
				err = s.CreateDatabase(ctx, sc, d, document)
			case 1:
				err = s.UpdateDatabase(ctx, sc, d, document)
			case 2:
				err = s.DeleteDatabase(ctx, sc, d)
			case 3:
				err = s.CreateTable(ctx, sc, d, n, document)
			case 4:
				err = s.UpdateTable(ctx, sc, d, n, document, rapid.Bool().Draw(rt, "archive"), Latest)
			case 5:
				err = s.DeleteTable(ctx, sc, d, n)
			case 6:
				var events [][]byte
				(*machine)(s).Snapshot(func(e []byte) { events = append(events, slices.Clone(e)) })
				copied := &Service{}
				(*machine)(copied).Reset()
				for _, e := range events {
					if err := (*machine)(copied).Apply(e); err != nil {
						rt.Fatal(err)
					}
				}
				copied.memory = w.memory
				if got, want := dump(t, w, copied), dump(t, w, s); got != want {
					rt.Fatalf("from a snapshot\n%s\nwant\n%s", got, want)
				}
			}
			if k := errs.KindOf(err); err != nil && k != errs.NotFound && k != errs.Exists {
				rt.Fatal(err)
			}
		}
		want := dump(t, w, s)
		if got := dump(t, w, w.open(t)); got != want {
			rt.Fatalf("after a restart\n%s\nwant\n%s", got, want)
		}
	})
}

func FuzzApply(f *testing.F) {
	f.Add([]byte(`{"kind":"database","database":"d","document":{}}`), []byte(`{"kind":"table","database":"d","table":"t","document":{}}`))
	f.Add([]byte(`{"kind":"no-database","database":"d"}`), []byte(`{`))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		s := &Service{}
		(*machine)(s).Reset()
		_ = (*machine)(s).Apply(one)
		_ = (*machine)(s).Apply(two)
		(*machine)(s).Snapshot(func([]byte) {})
		(*machine)(s).Reset()
		if s.state.bytes != 0 {
			t.Errorf("%d bytes are left", s.state.bytes)
		}
	})
}

func TestColumns(t *testing.T) {
	table := &Table{Document: []byte(`{"Name":"t","StorageDescriptor":{"Columns":[{"Name":"a","Type":"int","Comment":"x"},{"Name":"b","Type":"string"}]}}`)}
	got, err := table.Columns()
	if err != nil || fmt.Sprint(got) != "[{a int} {b string}]" {
		t.Errorf("%v %v", got, err)
	}
	if _, err := (&Table{Document: []byte(`[]`)}).Columns(); err == nil {
		t.Error("no document")
	}
}
