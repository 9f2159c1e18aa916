package tables

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/tables/expr"
	"thalweg/internal/tables/value"
	"thalweg/internal/vfs"
)

var (
	scope     = Scope{"000000000000", "us-east-1"}
	partition = log.PartitionID{Index: 2}
)

func openLog(t testing.TB, fs vfs.FS, c clock.Clock, manual bool) *disk.Log {
	t.Helper()
	l, err := disk.Open(context.Background(), disk.Options{FS: fs, Dir: "data", Clock: c, Manual: manual, WALFileBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func openTables(t testing.TB, l log.Log, c clock.Clock) *Service {
	t.Helper()
	s, err := Open(context.Background(), Options{Log: l, Partition: partition, Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newTables(t testing.TB) *Service {
	c := clock.NewManual(time.Unix(1_700_000_000, 0))
	l := openLog(t, vfs.NewMem(1), c, true)
	t.Cleanup(func() { l.Close(context.Background()) })
	return openTables(t, l, c)
}

func str(s string) value.Value { return value.Value{Kind: value.String, Text: s} }

func num(t testing.TB, s string) value.Value {
	n, err := value.ParseNumber(s)
	if err != nil {
		t.Fatal(err)
	}
	return value.Value{Kind: value.Numeric, Num: n}
}

func counters() *Definition {
	return &Definition{Scope: scope, Name: "counters", Key: Schema{Partition: "id"}, Types: map[string]value.Kind{"id": value.String}}
}

// TestIncrementsAddUp has many clients raise one number, each on the condition
// that it is what they last saw: every success counts once.
func TestIncrementsAddUp(t *testing.T) {
	c := clock.System()
	l := openLog(t, vfs.NewMem(1), c, false)
	defer l.Close(context.Background())
	s := openTables(t, l, c)
	ctx := context.Background()
	if _, err := s.Create(ctx, counters()); err != nil {
		t.Fatal(err)
	}
	key := value.Item{"id": str("n")}
	if _, err := s.Write(ctx, scope, Write{Table: "counters", Op: Put, Item: value.Item{"id": str("n"), "v": num(t, "0")}}); err != nil {
		t.Fatal(err)
	}
	const clients, each = 16, 25
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for done := 0; done < each; {
				it, err := s.Get(scope, "counters", key)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = s.Write(ctx, scope, Write{Table: "counters", Op: Change, Key: key,
					Condition: expr.Comparison{Op: "=", Left: expr.Attribute("v"), Right: expr.Given{Value: it["v"]}},
					Update:    &expr.Update{Adds: []expr.Change{{Path: expr.Attribute("v"), Value: num(t, "1")}}}})
				var failed *ConditionFailed
				switch {
				case err == nil:
					done++
				case !errors.As(err, &failed):
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	it, err := s.Get(scope, "counters", key)
	if err != nil || it["v"].Num.String() != fmt.Sprint(clients*each) {
		t.Fatalf("%v %v", it, err)
	}
}
