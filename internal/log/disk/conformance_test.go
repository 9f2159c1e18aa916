package disk_test

import (
	"context"
	"testing"

	"thalweg/internal/clock"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/log/logtest"
	"thalweg/internal/vfs"
)

// TestConformance runs the suite with every size small, so that appends roll WAL
// files and segments, and with the defaults.
func TestConformance(t *testing.T) {
	const maxBatch = 2 << 20
	for _, tc := range []struct {
		name   string
		change func(*disk.Options)
	}{
		{"small", func(o *disk.Options) {}},
		{"defaults", func(o *disk.Options) { *o = disk.Options{FS: o.FS, Dir: o.Dir, Clock: o.Clock} }},
		{"written", func(o *disk.Options) { o.Durability = log.Written }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			opener := func(t *testing.T) logtest.Harness {
				c := clock.NewManual(start)
				fsys := vfs.NewMem(1)
				change := func(o *disk.Options) {
					o.Clock = c
					tc.change(o)
					o.Manual, o.MaxBatchBytes = false, maxBatch
				}
				l := open(t, fsys, change)
				t.Cleanup(func() { _ = l.Close(context.Background()) })
				return logtest.Harness{Log: l, Clock: c, MaxBatch: maxBatch, Reopen: func(t *testing.T) log.Log {
					closeLog(t, l)
					l = open(t, fsys, change)
					return l
				}}
			}
			logtest.Run(t, opener)
			logtest.RunProducers(t, opener)
		})
	}
}
