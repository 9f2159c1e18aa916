package tables

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"thalweg/internal/clock"
	"thalweg/internal/log/disk"
	"thalweg/internal/tables/expr"
	"thalweg/internal/tables/value"
	"thalweg/internal/vfs"
)

// BenchmarkRenewals renews leases on a real disk, each writer its own: a
// condition, an update, a sync.
func BenchmarkRenewals(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			ctx := context.Background()
			l, err := disk.Open(ctx, disk.Options{FS: vfs.OS{}, Dir: b.TempDir(), Clock: clock.System()})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close(ctx)
			s := openTables(b, l, clock.System())
			if _, err := s.Create(ctx, counters()); err != nil {
				b.Fatal(err)
			}
			var next atomic.Int64
			b.SetParallelism(writers / 2) // there are two processors
			b.RunParallel(func(pb *testing.PB) {
				id := value.Item{"id": str(fmt.Sprint("shard", next.Add(1)))}
				n := 0
				for pb.Next() {
					w := Write{Table: "counters", Op: Change, Key: id, Update: &expr.Update{Adds: []expr.Change{{Path: expr.Attribute("n"), Value: num(b, "1")}}}}
					if n > 0 {
						w.Condition = expr.Comparison{Op: "=", Left: expr.Attribute("n"), Right: expr.Given{Value: num(b, fmt.Sprint(n))}}
					}
					if _, err := s.Write(ctx, scope, w); err != nil {
						b.Error(err)
						return
					}
					n++
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "renewals/s")
		})
	}
}
