package disk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

func TestSecondProcessIsToldThePid(t *testing.T) {
	fsys := vfs.NewMem(1)
	l := open(t, fsys, nil)
	defer closeLog(t, l)
	_, err := tryOpen(fsys, nil)
	if errs.KindOf(err) != errs.InUse || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatalf("second open: %v", err)
	}
	if _, err := disk.Verify(fsys, "/d", nil); errs.KindOf(err) != errs.InUse {
		t.Fatalf("verify of an open directory: %v", err)
	}
}

func TestFormatIsChecked(t *testing.T) {
	fsys := vfs.NewMem(1)
	closeLog(t, open(t, fsys, nil))
	text := string(load(t, fsys, "/d/FORMAT"))
	write := func(s string) {
		t.Helper()
		if err := vfs.WriteFile(fsys, "/d", "FORMAT", []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Replace(text, `"version":3`, `"version":4`, 1))
	_, err := tryOpen(fsys, nil)
	var e *errs.Error
	if !errors.As(err, &e) || e.Kind != errs.Unsupported || e.Hint == "" {
		t.Fatalf("newer version: %v", err)
	}
	write(strings.Replace(text, `"history":"`, `"history":"0`, 1))
	if _, err := tryOpen(fsys, nil); errs.KindOf(err) != errs.Corrupt {
		t.Fatalf("changed history: %v", err)
	}
	if err := fsys.Remove("/d/FORMAT"); err != nil {
		t.Fatal(err)
	}
	if _, err := tryOpen(fsys, nil); errs.KindOf(err) != errs.Corrupt {
		t.Fatalf("missing FORMAT: %v", err)
	}
}

func TestReadOnlyNeedsADirectory(t *testing.T) {
	_, err := tryOpen(vfs.NewMem(1), func(o *disk.Options) { o.ReadOnly = true })
	if errs.KindOf(err) != errs.NotFound {
		t.Fatalf("read-only open of nothing: %v", err)
	}
}

func TestBackupWhileRunning(t *testing.T) {
	fsys := vfs.NewMem(1)
	l := open(t, fsys, func(o *disk.Options) { o.Manual = false })
	for p := range uint64(3) {
		must(t, l, create(pid(p), log.Config{}))
	}
	put := func(from, to int) {
		for i := from; i < to; i++ {
			for p := range uint64(3) {
				must(t, l, data(pid(p), rawBatch(1, body(pid(p), i, 500))))
			}
		}
	}
	put(0, 50)
	var wg sync.WaitGroup
	wg.Go(func() { put(50, 150) })
	if err := l.Backup(context.Background(), fsys, "/b"); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if err := l.Backup(context.Background(), fsys, "/b"); errs.KindOf(err) != errs.Exists {
		t.Fatalf("backup over a backup: %v", err)
	}
	if err := disk.Restore(fsys, "/b", "/r", nil); err != nil {
		t.Fatal(err)
	}
	r := open(t, fsys, func(o *disk.Options) { o.Dir = "/r" })
	for p := range uint64(3) {
		got := readAll(t, r, pid(p), 1000)
		if len(got) < 50 || len(got) > 150 {
			t.Fatalf("%d batches restored", len(got))
		}
		checkBodies(t, pid(p), got, 0, len(got), 500)
	}
	if in, _ := r.Info(pid(0)); in.LeaderEpoch == 0 {
		t.Error("a restored log has the epoch of the one it was copied from")
	}
	closeLog(t, r)
	closeLog(t, l)

	names, err := fsys.ReadDir("/b/seg")
	if err != nil {
		t.Fatal(err)
	}
	store(t, fsys, "/b/seg/"+names[0], 200, []byte{0xff, 0, 0xff})
	if err := disk.Restore(fsys, "/b", "/r2", nil); errs.KindOf(err) != errs.Corrupt {
		t.Fatalf("restore of a damaged backup: %v", err)
	}
}

func TestSpaceComesBack(t *testing.T) {
	fsys := vfs.NewMem(1)
	l := open(t, fsys, nil)
	must(t, l, create(pid(1), log.Config{}))
	n := 0
	put := func() error {
		_, err := log.Do(l, data(pid(1), rawBatch(1, body(pid(1), n, 900))))
		if err == nil {
			n++
		}
		return err
	}
	for range 3 {
		fsys.SetCapacity(fsys.Used() + 20<<10)
		var err error
		for err == nil {
			err = put()
		}
		if !errors.Is(err, log.ErrNoSpace) || !l.State().Full || !l.State().Writable {
			t.Fatalf("on a full disk: %v, %+v", err, l.State())
		}
		checkBodies(t, pid(1), readAll(t, l, pid(1), 5000), 0, n, 900)
		fsys.SetCapacity(0)
		if err := put(); err != nil {
			t.Fatalf("with space again: %v", err)
		}
		if st := l.State(); st.Full || !st.Writable {
			t.Fatalf("with space again: %+v", st)
		}
	}
	fsys = fsys.Crash(1)
	l = open(t, fsys, nil)
	checkBodies(t, pid(1), readAll(t, l, pid(1), 5000), 0, n, 900)
	closeLog(t, l)
}

func TestMaxDisk(t *testing.T) {
	l := open(t, vfs.NewMem(1), func(o *disk.Options) { o.MaxDisk = 200 << 10 })
	defer closeLog(t, l)
	must(t, l, create(pid(1), log.Config{}))
	must(t, l, create(pid(2), log.Config{}))
	fill := func() (n int) {
		for {
			_, err := log.Do(l, data(pid(1), rawBatch(1, make([]byte, 1000))))
			if errors.Is(err, log.ErrNoSpace) {
				return n
			}
			if err != nil {
				t.Fatal(err)
			}
			if n++; n%10 == 0 {
				if err := l.Step(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	n := fill()
	if used := l.Stats().DiskBytes; n < 100 || used > 220<<10 {
		t.Fatalf("refused after %d KiB, %d bytes on disk", n, used)
	}
	if in, _ := l.Info(pid(1)); in.Start != 0 {
		t.Fatal("a full log deleted by itself")
	}
	must(t, l, log.Request{Entries: []log.Entry{{Kind: log.Trim, Partition: pid(1), Offset: int64(n) / 2}}})
	for range 3 {
		if err := l.Step(); err != nil {
			t.Fatal(err)
		}
	}
	if more := fill(); more < 30 {
		t.Fatalf("after trimming %d of %d only %d more fit", n/2, n, more)
	}
	note := log.Entry{Kind: log.Data, Partition: pid(1), Batch: rawBatch(1, make([]byte, 100))}
	if _, err := log.Do(l, log.Request{Atomic: true, Entries: []log.Entry{note, {Kind: log.Create, Partition: pid(3)}}}); !errors.Is(err, log.ErrNoSpace) {
		t.Fatalf("a full log took data beside a new partition: %v", err)
	}
	note.Batch = rawBatch(1, make([]byte, 100))
	configure := func(c log.Config) error {
		note.Batch = rawBatch(1, make([]byte, 100))
		_, err := log.Do(l, log.Request{Atomic: true, Entries: []log.Entry{note, {Kind: log.Configure, Partition: pid(2), Config: c}}})
		return err
	}
	for _, c := range []struct {
		config log.Config
		frees  bool
	}{
		{log.Config{}, false}, {log.Config{MaxAge: 2 * time.Hour}, true}, {log.Config{MaxAge: 2 * time.Hour}, false},
		{log.Config{MaxAge: 3 * time.Hour}, false}, {log.Config{}, false}, {log.Config{MaxAge: time.Hour}, true},
		{log.Config{MaxAge: time.Hour, MaxBytes: 10}, true}, {log.Config{MaxAge: time.Hour, MaxBytes: 11}, false},
	} {
		if err := configure(c.config); c.frees && err != nil || !c.frees && !errors.Is(err, log.ErrNoSpace) {
			t.Errorf("%+v in a full log: %v", c.config, err)
		}
	}
	note.Batch = rawBatch(1, make([]byte, 100))
	must(t, l, log.Request{Atomic: true, Entries: []log.Entry{note, {Kind: log.Delete, Partition: pid(2)}}})
}

func TestRetentionByAge(t *testing.T) {
	c := clock.NewManual(start)
	l := open(t, vfs.NewMem(1), func(o *disk.Options) { o.Clock = c; o.RetentionBytes = 20 << 10 })
	defer closeLog(t, l)
	must(t, l, create(pid(1), log.Config{MaxAge: time.Hour}))
	for range 100 {
		must(t, l, data(pid(1), rawBatch(1, make([]byte, 1000))))
		c.Advance(time.Minute)
	}
	begin := func() int64 {
		t.Helper()
		if err := l.Step(); err != nil {
			t.Fatal(err)
		}
		in, err := l.Info(pid(1))
		if err != nil {
			t.Fatal(err)
		}
		return in.Start
	}
	if got := begin(); got != 0 {
		t.Fatalf("the first sweep trimmed to %d: the time is not confirmed", got)
	}
	for begin() < 40 { // some 20 a sweep
	}
	if got := begin(); got != 40 {
		t.Fatalf("log start %d, want 40: batches older than an hour", got)
	}
	// A jump that is taken back does nothing; one that stays, a bounded amount.
	c.Advance(10 * 365 * 24 * time.Hour)
	if got := begin(); got != 40 {
		t.Fatalf("one sweep after a jump trimmed to %d", got)
	}
	c.Set(start.Add(100 * time.Minute))
	if got := begin(); got != 40 {
		t.Fatalf("a jump taken back trimmed to %d", got)
	}
	c.Advance(10 * 365 * 24 * time.Hour)
	begin()
	if got := begin(); got <= 40 || got >= 80 {
		t.Fatalf("a jump that stays trimmed to %d in one sweep, want some", got)
	}
}

func TestRetentionBySize(t *testing.T) {
	l := open(t, vfs.NewMem(1), nil)
	defer closeLog(t, l)
	must(t, l, create(pid(1), log.Config{MaxBytes: 30 << 10}))
	for i := range 300 {
		must(t, l, data(pid(1), rawBatch(1, make([]byte, 1000))))
		if i%5 == 0 {
			if err := l.Step(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	in, _ := l.Info(pid(1))
	if kept := in.End - in.Start; kept < 25 || kept > 36 {
		t.Fatalf("%d batches of 1 KiB kept, want about 30", kept)
	}
	if st := l.Stats(); st.DiskSegments > 120<<10 {
		t.Fatalf("%d bytes of segments for 30 KiB of data", st.DiskSegments)
	}
}

func TestBudget(t *testing.T) {
	b := limits.NewBudget(64 << 10)
	l := open(t, vfs.NewMem(1), func(o *disk.Options) { o.Memory = b; o.TailBytes = 32 << 10 })
	must(t, l, create(pid(1), log.Config{}))
	b.Take(40 << 10)
	if _, err := log.Do(l, data(pid(1), rawBatch(1, make([]byte, 40<<10)))); !errors.Is(err, log.ErrOverloaded) {
		t.Fatalf("append beyond the budget: %v", err)
	}
	b.Release(40 << 10)
	for i := range 200 {
		must(t, l, data(pid(1), rawBatch(1, body(pid(1), i, 1000))))
	}
	if err := l.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	got, err := l.Read(pid(1), 0, 8<<10, log.Uncommitted)
	if err != nil || len(got.List) == 0 || b.Used() > 64<<10 {
		t.Fatalf("read: %v, %d bytes used", err, b.Used())
	}
	got.Release()
	closeLog(t, l)
	if b.Used() != 0 {
		t.Fatalf("%d bytes of the budget are gone", b.Used())
	}
}

func TestManyIdleWaiters(t *testing.T) {
	l := open(t, vfs.NewMem(1), nil)
	defer closeLog(t, l)
	var at []log.Position
	for p := range uint64(50) {
		must(t, l, create(pid(p), log.Config{}))
		at = append(at, log.Position{Partition: pid(p)})
	}
	var idle []*log.Waiter
	for range 2000 {
		idle = append(idle, l.Watch(at[1:], 1))
	}
	w := l.Watch(at, 1)
	must(t, l, data(pid(0), rawBatch(1, nil)))
	select {
	case <-w.C:
	default:
		t.Fatal("watch has not fired")
	}
	for _, i := range idle {
		select {
		case <-i.C:
			t.Fatal("a watch of other partitions fired")
		default:
		}
		i.Stop()
		i.Stop()
	}
}

func TestManyPartitionsNeedFewFilesAndSyncs(t *testing.T) {
	const parts = 1000
	fsys := vfs.NewMem(1)
	l := open(t, fsys, func(o *disk.Options) { o.OpenFiles, o.SyncBytes = 8, 1<<20 })
	var req log.Request
	for p := range uint64(parts) {
		req.Entries = append(req.Entries, log.Entry{Kind: log.Create, Partition: pid(p)})
	}
	must(t, l, req)
	for p := range uint64(parts) {
		must(t, l, data(pid(p), rawBatch(1, body(pid(p), 0, 300))))
	}
	before := l.Stats()
	if err := l.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	st := l.Stats()
	if n := st.SegmentSyncs - before.SegmentSyncs; n > 2 || st.OpenFiles > 8 {
		t.Fatalf("a checkpoint of %d partitions took %d syncs and %d open files", parts, n, st.OpenFiles)
	}
	closeLog(t, l)
	l = open(t, fsys, nil)
	for p := range uint64(parts) {
		checkBodies(t, pid(p), readAll(t, l, pid(p), 1000), 0, 1, 300)
	}
	closeLog(t, l)
}

// TestProducersBeginWithZero: where it is asked for, a producer of whose epoch
// nothing is known begins with sequence 0, and its next epoch after a marker too.
func TestProducersBeginWithZero(t *testing.T) {
	l := open(t, vfs.NewMem(1), nil)
	must(t, l, create(pid(1), log.Config{}))
	fromZero := func(b []byte) log.Request {
		req := data(pid(1), b)
		req.Entries[0].FromZero = true
		return req
	}
	refused := func(epoch int16, sequence int32) {
		t.Helper()
		if _, err := log.Do(l, fromZero(producerBatch(1, nil, 7, epoch, sequence, 0x10))); !errors.Is(err, log.ErrOutOfOrderSequence) {
			t.Fatalf("epoch %d, sequence %d: %v", epoch, sequence, err)
		}
	}
	refused(0, 1)
	must(t, l, fromZero(producerBatch(1, nil, 7, 0, 0, 0x10)))
	must(t, l, fromZero(producerBatch(1, nil, 7, 0, 1, 0x10)))
	must(t, l, data(pid(1), marker(7, 1, true)))
	refused(1, 1)
	must(t, l, fromZero(producerBatch(1, nil, 7, 1, 0, 0x10)))
}

func TestProducerStateSurvives(t *testing.T) {
	for _, checkpoint := range []bool{false, true} {
		fsys := vfs.NewMem(1)
		l := open(t, fsys, nil)
		must(t, l, create(pid(1), log.Config{}))
		first := producerBatch(2, []byte("a"), 7, 1, 0, 0x10)
		must(t, l, data(pid(1), bytes.Clone(first)))
		must(t, l, data(pid(1), producerBatch(1, []byte("b"), 7, 1, 2, 0x10)))
		if checkpoint {
			if err := l.Checkpoint(); err != nil {
				t.Fatal(err)
			}
		}
		fsys = fsys.Crash(1)
		l = open(t, fsys, nil)
		if r := must(t, l, data(pid(1), bytes.Clone(first)))[0]; !r.Duplicate || r.Offset != 0 {
			t.Fatalf("duplicate after a crash: %+v", r)
		}
		if _, err := log.Do(l, data(pid(1), producerBatch(1, nil, 7, 1, 9, 0x10))); !errors.Is(err, log.ErrOutOfOrderSequence) {
			t.Fatalf("gap after a crash: %v", err)
		}
		if in, _ := l.Info(pid(1)); in.Stable != 0 || in.LeaderEpoch != 1 {
			t.Fatalf("open transaction after a crash: %+v", in)
		}
		must(t, l, data(pid(1), marker(7, 1, false)))
		b, err := l.Read(pid(1), 0, 1000, log.Committed)
		if err != nil || b.Stable != 4 || len(b.Aborted) != 1 || b.Aborted[0] != (log.AbortedTxn{ProducerID: 7, LastOffset: 3}) {
			t.Fatalf("after the abort: %+v, %v", b, err)
		}
		b.Release()
		closeLog(t, l)
	}
}

func TestSyncFailureLatches(t *testing.T) {
	fsys := vfs.NewMem(1)
	var told error
	l := open(t, fsys, func(o *disk.Options) { o.Events.Latched = func(err error) { told = err } })
	must(t, l, create(pid(1), log.Config{}))
	must(t, l, data(pid(1), rawBatch(1, []byte("kept"))))
	failing := true
	fsys.Inject(func(op vfs.Op) error {
		if failing && op.Kind == vfs.OpSyncData {
			return vfs.ErrNoSpace // even this: what a failed sync left behind is unknown
		}
		return nil
	})
	if _, err := log.Do(l, data(pid(1), rawBatch(1, []byte("lost")))); !errors.Is(err, log.ErrReadOnly) {
		t.Fatalf("append whose sync failed: %v", err)
	}
	failing = false
	if _, err := log.Do(l, data(pid(1), rawBatch(1, []byte("late")))); !errors.Is(err, log.ErrReadOnly) {
		t.Fatalf("append after a failed sync: %v", err)
	}
	if in, _ := l.Info(pid(1)); told == nil || in.End != 1 || l.State().Writable {
		t.Fatalf("told %v, end %d, %+v", told, in.End, l.State())
	}
	calls := fsys.Calls()
	closeLog(t, l)
	if fsys.Calls() != calls {
		t.Error("close of a latched log wrote")
	}
}

// TestRestartsDoNotPileUpFiles: whether the log is stopped or killed, the WAL does
// not grow by a file with each start.
func TestRestartsDoNotPileUpFiles(t *testing.T) {
	for _, how := range []string{"stopped", "killed"} {
		t.Run(how, func(t *testing.T) {
			fsys := vfs.NewMem(1)
			p := log.PartitionID{Stream: 1}
			for i := range 12 {
				l := open(t, fsys, nil)
				if i == 0 {
					must(t, l, log.Request{Entries: []log.Entry{{Kind: log.Create, Partition: p}}})
				}
				must(t, l, log.Request{Entries: []log.Entry{{Kind: log.Fence, Partition: p}}})
				if err := l.Step(); err != nil {
					t.Fatal(err)
				}
				if how == "stopped" {
					closeLog(t, l)
				} else {
					fsys = fsys.Kill()
				}
			}
			names, err := fsys.ReadDir("/d/wal")
			if err != nil || len(names) > 6 {
				t.Errorf("%d WAL files after 12 starts (%v)", len(names), err)
			}
		})
	}
}
