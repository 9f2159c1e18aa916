package tables

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"thalweg/internal/errs"
	"thalweg/internal/limits"
	"thalweg/internal/tables/expr"
	"thalweg/internal/tables/value"
)

// plays is a table with a sort key and an index, each of numbers.
func plays() *Definition {
	return &Definition{Scope: scope, Name: "plays", Key: Schema{"p", "at"},
		Types:   map[string]value.Kind{"p": value.String, "at": value.Numeric, "who": value.String, "score": value.Numeric},
		Indexes: []Index{{Name: "best", Key: Schema{"who", "score"}, Projection: All}}}
}

// pages collects all pages of a search.
func pages(t *rapid.T, s *Service, q Search) (found []value.Item) {
	for {
		page, err := s.Search(scope, &q)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, page.Items...)
		if q.After = page.Last; q.After == nil {
			return found
		}
	}
}

// TestSearchesFindWhatIsThere compares queries of the table and of its index,
// page by page and in both directions, and scans in segments, with a search of a
// list.
func TestSearchesFindWhatIsThere(outer *testing.T) {
	rapid.Check(outer, func(t *rapid.T) {
		s := newTables(outer)
		ctx := context.Background()
		if _, err := s.Create(ctx, plays()); err != nil {
			t.Fatal(err)
		}
		small := rapid.IntRange(-3, 3)
		all := map[string]value.Item{}
		for range rapid.IntRange(0, 60).Draw(t, "items") {
			p, at := rapid.SampledFrom([]string{"a", "b", "c\x00"}).Draw(t, "p"), small.Draw(t, "at")
			key := value.Item{"p": str(p), "at": number(at)}
			id := p + fmt.Sprint(at)
			if rapid.IntRange(0, 4).Draw(t, "gone") == 0 {
				delete(all, id)
				if _, err := s.Write(ctx, scope, Write{Table: "plays", Op: Remove, Key: key}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			it := key.Clone()
			if rapid.Bool().Draw(t, "indexed") {
				it["who"], it["score"] = str(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "who")), number(small.Draw(t, "score"))
			}
			all[id] = it
			if _, err := s.Write(ctx, scope, Write{Table: "plays", Op: Put, Item: it}); err != nil {
				t.Fatal(err)
			}
		}
		partition, sort, hash, q := "p", "at", str("a"), Search{Table: "plays"}
		if rapid.Bool().Draw(t, "index") {
			partition, sort, hash, q.Index = "who", "score", str("x"), "best"
		}
		cond := expr.KeyCondition{Hash: hash}
		at := expr.Attribute(sort)
		low, high := small.Draw(t, "low"), small.Draw(t, "high")
		if op := rapid.SampledFrom([]string{"", "=", "<", "<=", ">", ">=", "between"}).Draw(t, "op"); op == "between" {
			cond.Range = expr.Between{Operand: at, Low: expr.Given{Value: number(low)}, High: expr.Given{Value: number(high)}}
		} else if op != "" {
			cond.Range = expr.Comparison{Op: op, Left: at, Right: expr.Given{Value: number(low)}}
		}
		q.Key = func(string, string) (expr.KeyCondition, error) { return cond, nil }
		q.Limit = rapid.IntRange(0, 4).Draw(t, "limit")
		q.Backward = rapid.Bool().Draw(t, "backward")
		var want []value.Item
		for _, it := range all {
			if it[partition].Equal(hash) && (cond.Range == nil || cond.Range.Holds(it)) && it[sort].Kind != value.None {
				want = append(want, it)
			}
		}
		found := pages(t, s, q)
		if !sameItems(found, want) {
			t.Fatalf("%v found %v, want %v", cond, found, want)
		}
		if !slices.IsSortedFunc(found, func(a, b value.Item) int {
			order, _ := a[sort].Compare(b[sort])
			if q.Backward {
				return -order
			}
			return order
		}) {
			t.Fatalf("out of order: %v", found)
		}
		segments := rapid.IntRange(1, 5).Draw(t, "segments")
		var scanned, everything []value.Item
		for i := range segments {
			scanned = append(scanned, pages(t, s, Search{Table: "plays", Segment: i, Segments: segments, Limit: q.Limit})...)
		}
		for _, it := range all {
			everything = append(everything, it)
		}
		if !sameItems(scanned, everything) {
			t.Fatalf("scanned %d of %d", len(scanned), len(everything))
		}
	})
}

func number(n int) value.Value {
	v, _ := value.ParseNumber(fmt.Sprint(n))
	return value.Value{Kind: value.Numeric, Num: v}
}

func sameItems(a, b []value.Item) bool {
	text := func(list []value.Item) []string {
		var out []string
		for _, it := range list {
			out = append(out, string(value.AppendItem(nil, it)))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(text(a), text(b))
}

// TestPagesEndAtAMegabyte, and the next goes on where it ended.
func TestPagesEndAtAMegabyte(t *testing.T) {
	s := newTables(t)
	if _, err := s.Create(context.Background(), counters()); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		it := value.Item{"id": str(fmt.Sprint(i)), "v": str(strings.Repeat("x", 100_000))}
		if _, err := s.Write(context.Background(), scope, Write{Table: "counters", Op: Put, Item: it}); err != nil {
			t.Fatal(err)
		}
	}
	var sizes []int
	q := Search{Table: "counters"}
	for {
		page, err := s.Search(scope, &q)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(page.Items))
		if q.After = page.Last; q.After == nil {
			break
		}
	}
	if !slices.Equal(sizes, []int{11, 11, 8}) {
		t.Errorf("pages of %v items", sizes)
	}
}

// TestMemoryIsBounded: what does not fit is refused and changes nothing, by the
// tables' own bound and by the budget, and room that is made is used.
func TestMemoryIsBounded(t *testing.T) {
	ctx := context.Background()
	big := func(id string) Write {
		return Write{Table: "counters", Op: Put, Item: value.Item{"id": str(id), "v": str(strings.Repeat("x", 100_000))}}
	}
	for name, o := range map[string]Options{"bound": {MaxBytes: 1 << 20}, "budget": {Memory: limits.NewBudget(1 << 20)}} {
		t.Run(name, func(t *testing.T) {
			s := newTables(t)
			s.memory, s.max = o.Memory, max(o.MaxBytes, s.max)
			if o.MaxBytes > 0 {
				s.max = o.MaxBytes
			}
			if _, err := s.Create(ctx, counters()); err != nil {
				t.Fatal(err)
			}
			n := 0
			for ; n < 100; n++ {
				if _, err := s.Write(ctx, scope, big(fmt.Sprint(n))); err != nil {
					if errs.KindOf(err) != errs.Throttled {
						t.Fatal(err)
					}
					break
				}
			}
			if n != 10 || s.Stats().Items != 10 {
				t.Fatalf("%d items of 100 KB in 1 MiB", n)
			}
			if _, err := s.Write(ctx, scope, Write{Table: "counters", Op: Remove, Key: value.Item{"id": str("3")}}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Write(ctx, scope, big("again")); err != nil {
				t.Fatal(err)
			}
			if n, err := s.Clear(ctx); n != 1 || err != nil || s.Stats() != (Stats{}) || o.Memory.Used() != 0 {
				t.Fatalf("%d tables cleared, %v, %+v is left, %d held", n, err, s.Stats(), o.Memory.Used())
			}
		})
	}
}

// TestTransactionsAreBounded: small requests can make large items, whose commit
// must still fit the log.
func TestTransactionsAreBounded(t *testing.T) {
	ctx := context.Background()
	s := newTables(t)
	if _, err := s.Create(ctx, counters()); err != nil {
		t.Fatal(err)
	}
	writes := make([]Write, 12)
	for i := range writes {
		it := value.Item{"id": str(fmt.Sprint(i)), "v": str(strings.Repeat("x", 390<<10))}
		if _, err := s.Write(ctx, scope, Write{Table: "counters", Op: Put, Item: it}); err != nil {
			t.Fatal(err)
		}
		writes[i] = Write{Table: "counters", Op: Change, Key: value.Item{"id": it["id"]},
			Update: &expr.Update{Sets: []expr.Set{{Path: expr.Attribute("n"), Value: expr.Term{First: expr.Given{Value: number(i)}}}}}}
	}
	if err := s.Transact(ctx, scope, writes, "", ""); errs.KindOf(err) != errs.Invalid {
		t.Errorf("4.6 MB: %v", err)
	}
	if it, err := s.Get(scope, "counters", value.Item{"id": str("3")}); err != nil || it["n"].Kind != value.None {
		t.Errorf("%v %v", it["n"], err)
	}
	if err := s.Transact(ctx, scope, writes[:10], "", ""); err != nil {
		t.Errorf("3.9 MB: %v", err)
	}
}

// TestFailedLogFailsAll: when a write cannot be made durable, nothing of it is
// seen, and a refusal that may rest on it is no refusal.
func TestFailedLogFailsAll(t *testing.T) {
	s := newTables(t)
	ctx := context.Background()
	if _, err := s.Create(ctx, counters()); err != nil {
		t.Fatal(err)
	}
	put := Write{Table: "counters", Op: Put, Item: value.Item{"id": str("a")}}
	once := put
	once.Condition = expr.Not{Condition: expr.Exists{Path: expr.Attribute("id")}}
	jobs := make([]*job, 2)
	for i := range jobs {
		jobs[i] = &job{run: func(tx *txn) error {
			st, err := s.stage(tx, scope, []Write{once})
			if err == nil {
				tx.apply(st)
			}
			return single(err)
		}}
		s.queue = append(s.queue, jobs[i])
	}
	broken := errors.New("broken")
	s.queue = append(s.queue, &job{run: func(tx *txn) error {
		tx.events = append(tx.events, make([]byte, 40<<20)) // more than the log takes
		return broken
	}})
	s.committing.Lock()
	s.round(ctx)
	s.committing.Unlock()
	var failed *ConditionFailed
	for i, j := range jobs {
		if !j.finished || j.err == nil || errors.As(j.err, &failed) {
			t.Errorf("job %d: %v", i, j.err)
		}
	}
	if it, err := s.Get(scope, "counters", value.Item{"id": str("a")}); it != nil || err != nil {
		t.Errorf("%v %v", it, err)
	}
}

func FuzzApply(f *testing.F) {
	s := newTables(f)
	if _, err := s.Create(context.Background(), plays()); err != nil {
		f.Fatal(err)
	}
	for _, e := range [][]byte{
		encodeJSON(eventDefine, s.state.byNumber[1].def), encodeNumber(eventDrop, 1), encodeNumber(eventNext, 7),
		encodeJSON(eventToken, tokenEvent{token{scope, "t"}, done{"s", 1}}),
		encodeItems([]change{{table: s.state.byNumber[1], place: "p"}, {table: s.state.byNumber[1], row: newRow(value.Item{"p": str("a"), "at": number(1)})}}),
	} {
		f.Add(e)
	}
	f.Fuzz(func(t *testing.T, event []byte) {
		m := (*machine)(&Service{clock: s.clock})
		m.Reset()
		if err := m.Apply(encodeJSON(eventDefine, plays())); err != nil {
			t.Fatal(err)
		}
		if m.Apply(event) != nil {
			return
		}
		n := 0
		m.Snapshot(func(e []byte) {
			if n++; n == 1 {
				return
			}
		})
	})
}
