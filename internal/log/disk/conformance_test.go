package disk_test

import (
	"context"
	"slices"
	"testing"

	"thalweg/internal/clock"
	"thalweg/internal/identity"
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
		key    uint32
	}{
		{"small", func(o *disk.Options) {}, 0},
		{"defaults", func(o *disk.Options) { *o = disk.Options{FS: o.FS, Dir: o.Dir, Clock: o.Clock} }, 0},
		{"written", func(o *disk.Options) { o.Durability = log.Written }, 0},
		{"encrypted", func(o *disk.Options) {}, 3},
		{"encrypted, from disk", func(o *disk.Options) { o.TailBytes = 1 }, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			keys := identity.NewKeystore()
			opener := func(t *testing.T) logtest.Harness {
				c := clock.NewManual(start)
				fsys := vfs.NewMem(1)
				change := func(o *disk.Options) {
					o.Clock = c
					tc.change(o)
					o.Manual, o.MaxBatchBytes, o.Keys = false, maxBatch, keys
				}
				l := open(t, fsys, change)
				t.Cleanup(func() { _ = l.Close(context.Background()) })
				h := logtest.Harness{Log: keyed(l, tc.key), Clock: c, MaxBatch: maxBatch, Reopen: func(t *testing.T) log.Log {
					closeLog(t, l)
					l = open(t, fsys, change)
					return keyed(l, tc.key)
				}}
				h.Keys = []uint32{1, 2, 1 << 31}
				return h
			}
			logtest.Run(t, opener, nil)
			logtest.RunProducers(t, opener, nil)
			if tc.key == 0 { // else every partition has one already
				logtest.RunKeys(t, opener, nil)
			}
		})
	}
}

// keyed encrypts every partition of l under a key, unseen; 0 is none.
func keyed(l log.Log, key uint32) log.Log {
	if key == 0 {
		return l
	}
	return keyedLog{l, key}
}

type keyedLog struct {
	log.Log
	key uint32
}

func (l keyedLog) Append(req log.Request, done func([]log.Result)) {
	req.Entries = slices.Clone(req.Entries)
	for i := range req.Entries {
		if k := req.Entries[i].Kind; k == log.Create || k == log.Configure {
			req.Entries[i].Config.KeyID = l.key
		}
	}
	l.Log.Append(req, done)
}

func (l keyedLog) Info(p log.PartitionID) (log.Info, error) {
	in, err := l.Log.Info(p)
	if in.Config.KeyID == l.key {
		in.Config.KeyID = 0
	}
	return in, err
}
