package tables

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/log/disk"
	"thalweg/internal/tables/expr"
	"thalweg/internal/tables/value"
	"thalweg/internal/vfs"
)

var crashes = flag.Int("tables.crashes", 200, "crash points to try")

// crashTables opens tables over a small log, which snapshots often.
func crashTables(fs *vfs.Mem, c clock.Clock, manual bool) (*Service, *disk.Log, error) {
	l, err := disk.Open(context.Background(), disk.Options{FS: fs, Dir: "data", Clock: c, Manual: manual,
		WALFileBytes: 64 << 10, TailBytes: 128 << 10, FlushBytes: 4 << 10})
	if err != nil {
		return nil, nil, err
	}
	s, err := Open(context.Background(), Options{Log: l, Partition: partition, Clock: c, SnapshotBytes: 2 << 10})
	if err != nil {
		l.Close(context.Background())
	}
	return s, l, err
}

// dump is everything in the tables as text, after a check that every index has
// what it should.
func dump(t testing.TB, s *Service) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var b strings.Builder
	var cost int64
	for _, tab := range s.state.list() {
		cost += tab.weight
		fmt.Fprintf(&b, "%d %s %v %v\n", tab.def.Number, tab.def.Name, tab.def.Protected, tab.count)
		want := map[string][]string{}
		var count, bytes int64
		for e := range tab.rows.up("") {
			it := e.row.item()
			fmt.Fprintf(&b, " %x\n", e.row.data)
			count, bytes, cost = count+1, bytes+int64(it.Size()), cost+tab.def.cost(e.key, e.row)
			for i := range tab.def.Indexes {
				x := &tab.def.Indexes[i]
				if at, ok := tab.def.placeIn(x, it); ok {
					want[x.Name] = append(want[x.Name], at+e.key)
				}
			}
		}
		if count != tab.count || bytes != tab.bytes {
			t.Errorf("%s counts %d items of %d bytes, has %d of %d", tab.def.Name, tab.count, tab.bytes, count, bytes)
		}
		for name, rows := range tab.indexes {
			var got []string
			for e := range rows.up("") {
				got = append(got, e.key)
			}
			slices.Sort(want[name])
			if !slices.Equal(got, want[name]) {
				t.Errorf("index %s of %s does not have what the table has", name, tab.def.Name)
			}
		}
	}
	if cost += tokenCost * int64(len(s.state.order)); cost != s.state.cost {
		t.Errorf("items cost %d, not %d", cost, s.state.cost)
	}
	var tokens []string
	for k, d := range s.state.tokens {
		tokens = append(tokens, k.Token+" "+d.Sum)
	}
	slices.Sort(tokens)
	return b.String() + strings.Join(tokens, "\n")
}

func bank() *Definition {
	return &Definition{Scope: scope, Name: "bank", Key: Schema{Partition: "id"}, Types: map[string]value.Kind{"id": value.String}}
}

func addTo(t testing.TB, id, by string) Write {
	return Write{Table: "bank", Op: Change, Key: value.Item{"id": str(id)},
		Update: &expr.Update{Adds: []expr.Change{{Path: expr.Attribute("n"), Value: num(t, by)}},
			Sets: []expr.Set{{Path: expr.Attribute("owner"), Value: expr.Term{First: expr.Given{Value: str("o" + by)}}}}}}
}

// steps are the writes of the script.
const steps = 240

// script makes writes of every kind, always the same ones.
func script(t testing.TB, s *Service) []func() error {
	ctx := context.Background()
	all := []func() error{func() error { _, err := s.Create(ctx, bank()); return err }}
	rng := rand.New(rand.NewPCG(1, 2))
	name := func() string { return fmt.Sprintf("a%d", rng.IntN(6)) }
	for i := range steps - 1 {
		a, b := name(), name()
		by := fmt.Sprint(rng.IntN(9) - 4)
		var step func() error
		switch i % 6 {
		case 0, 1:
			step = func() error { _, err := s.Write(ctx, scope, addTo(t, a, by)); return err }
		case 2:
			step = func() error {
				return s.Batch(ctx, scope, []Write{{Table: "bank", Op: Put, Item: value.Item{"id": str("p" + a), "owner": str("x"), "n": num(t, by)}},
					{Table: "bank", Op: Remove, Key: value.Item{"id": str("q" + a)}}, {Table: "bank", Op: Put, Item: value.Item{"id": str("q" + b)}}})
			}
			if a == b {
				step = func() error {
					_, err := s.Write(ctx, scope, Write{Table: "bank", Op: Remove, Key: value.Item{"id": str(a)}})
					return err
				}
			}
		case 3:
			step = func() error {
				return s.Transact(ctx, scope, []Write{addTo(t, "left", by), addTo(t, "right", "-"+strings.TrimPrefix(by, "-"))}, fmt.Sprint("token", i), fmt.Sprint(i))
			}
		case 4:
			step = func() error {
				_, err := s.Update(ctx, scope, "bank", func(d *Definition) error {
					d.Protected = !d.Protected
					if d.Index("owners") == nil {
						d.Types["owner"] = value.String
						d.Indexes = append(d.Indexes, Index{Name: "owners", Key: Schema{Partition: "owner"}, Projection: KeysOnly})
					} else {
						delete(d.Types, "owner")
						d.Indexes = nil
					}
					return nil
				})
				return err
			}
		case 5:
			step = func() error {
				other := counters()
				if _, err := s.Create(ctx, other); err == nil || i%12 == 5 {
					return err
				}
				_, err := s.Delete(ctx, scope, other.Name)
				return err
			}
		}
		all = append(all, step)
	}
	return all
}

// run does the script until the log fails, and returns how many steps were
// answered, and what the tables were after each.
func run(t testing.TB, fs *vfs.Mem) (answered int, dumps []string) {
	c := clock.NewManual(time.Unix(1_700_000_000, 0))
	s, l, err := crashTables(fs, c, true)
	if err != nil {
		return 0, nil
	}
	defer l.Close(context.Background())
	for i, step := range script(t, s) {
		err := step()
		var canceled *Canceled
		if err != nil && l.State().Writable == false || errors.Is(err, vfs.ErrPowerCut) {
			return answered, dumps
		}
		if err != nil && !errors.As(err, &canceled) {
			t.Logf("step %d: %v", i, err)
		}
		answered++
		dumps = append(dumps, dump(t, s))
		if i%16 == 15 && l.Step() != nil {
			break
		}
	}
	return answered, dumps
}

// TestCrash cuts the power at call after call of a script of writes. What is
// there afterwards is what was there after the last write that was answered, or
// after the one under way: nothing else, and no part of one.
func TestCrash(t *testing.T) {
	whole := vfs.NewMem(0)
	n, dumps := run(t, whole)
	if n != steps {
		t.Fatalf("%d steps", n)
	}
	total := whole.Calls()
	every := max(1, total / *crashes)
	for at := 1; at < total; at += every {
		fs := vfs.NewMem(uint64(at))
		fs.Inject(func(op vfs.Op) error {
			if op.N == at {
				return vfs.ErrPowerCut
			}
			return nil
		})
		answered, _ := run(t, fs)
		s, l, err := crashTables(fs.Crash(uint64(at)), clock.NewManual(time.Unix(1_700_000_000, 0)), true)
		if err != nil {
			t.Fatalf("crash at call %d: %v", at, err)
		}
		after := func(k int) string {
			if k == 0 {
				return ""
			}
			return dumps[min(k, n)-1]
		}
		if got := dump(t, s); got != after(answered) && got != after(answered+1) {
			t.Fatalf("crash at call %d of %d, after %d answers:\n%s\nwant\n%s\nor\n%s", at, total, answered, got, after(answered), after(answered+1))
		}
		l.Close(context.Background())
	}
	t.Logf("%d crash points of %d calls", (total+every-1)/every, total)
}

// TestTransactionsUnderPowerCuts has clients raise a shared number and a number
// of their own in one transaction each until the power goes. Afterwards every
// client's number is the one that was last acknowledged, or the next, and the
// shared one is the sum.
func TestTransactionsUnderPowerCuts(t *testing.T) {
	const clients = 8
	for seed := range uint64(12) {
		fs := vfs.NewMem(seed)
		var armed atomic.Int64
		fs.Inject(func(op vfs.Op) error {
			if at := armed.Load(); at > 0 && int64(op.N) >= at {
				return vfs.ErrPowerCut
			}
			return nil
		})
		s, l, err := crashTables(fs, clock.System(), false)
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		if _, err := s.Create(ctx, bank()); err != nil {
			t.Fatal(err)
		}
		armed.Store(int64(fs.Calls()) + 20 + int64(seed)*7)
		acked := make([]int, clients)
		var group sync.WaitGroup
		for i := range clients {
			group.Go(func() {
				own := fmt.Sprint("client", i)
				for {
					var held expr.Condition = expr.Not{Condition: expr.Exists{Path: expr.Attribute("id")}}
					if acked[i] > 0 {
						held = expr.Comparison{Op: "=", Left: expr.Attribute("n"), Right: expr.Given{Value: num(t, fmt.Sprint(acked[i]))}}
					}
					w := addTo(t, own, "1")
					w.Condition = held
					if err := s.Transact(ctx, scope, []Write{addTo(t, "shared", "1"), w}, "", ""); err != nil {
						var canceled *Canceled
						if errors.As(err, &canceled) {
							t.Errorf("seed %d: %s was raised by another: %v", seed, own, canceled.Reasons)
						}
						return
					}
					acked[i]++
				}
			})
		}
		group.Wait()
		l.Close(ctx)
		s, l, err = crashTables(fs.Crash(seed), clock.System(), true)
		if err != nil {
			t.Fatal(err)
		}
		sum, total := 0, 0
		for i := range clients {
			it, err := s.Get(scope, "bank", value.Item{"id": str(fmt.Sprint("client", i))})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			fmt.Sscan(it["n"].Num.String(), &n)
			if n != acked[i] && n != acked[i]+1 {
				t.Errorf("seed %d: client %d has %d, was told %d", seed, i, n, acked[i])
			}
			sum += n
		}
		it, err := s.Get(scope, "bank", value.Item{"id": str("shared")})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Sscan(it["n"].Num.String(), &total)
		if total != sum {
			t.Errorf("seed %d: shared is %d, the clients' are %d", seed, total, sum)
		}
		dump(t, s)
		l.Close(ctx)
	}
}
