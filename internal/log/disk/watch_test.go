package disk_test

import (
	"testing"

	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

// TestWatchOfAnyReadsNothing: whether there is anything at all in the middle of an
// extent is known without a look at the disk; whether there is enough is not.
func TestWatchOfAnyReadsNothing(t *testing.T) {
	fsys := vfs.NewMem(1)
	l := open(t, fsys, func(o *disk.Options) { o.TailBytes = 4 << 10 })
	defer closeLog(t, l)
	must(t, l, create(pid(1), log.Config{}))
	const batches, size = 10, 700
	for i := range batches {
		must(t, l, data(pid(1), rawBatch(1, body(pid(1), i, size))))
	}
	if err := l.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	must(t, l, create(pid(2), log.Config{}))
	for range 10 { // the ring is another partition's
		must(t, l, data(pid(2), rawBatch(1, make([]byte, 2000))))
	}
	reads := 0
	fsys.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpRead {
			reads++
		}
		return nil
	})
	fires := func(offset, minBytes int64) bool {
		w := l.Watch([]log.Position{{Partition: pid(1), Offset: offset}}, minBytes)
		defer w.Stop()
		select {
		case <-w.C:
			return true
		default:
			return false
		}
	}
	for offset := range int64(batches) {
		if !fires(offset, 1) || reads > 0 {
			t.Fatalf("a watch of one byte at %d fires not, or only after %d reads", offset, reads)
		}
	}
	if fires(batches, 1) {
		t.Error("a watch fires at the end")
	}
	if rest := int64(batches-1) * (size + batch.HeaderSize); !fires(1, rest) || fires(1, rest+1) {
		t.Error("a watch of all but a batch fires at another size")
	}
	if reads == 0 {
		t.Error("the test measures nothing: no read was seen")
	}
}
