package crash

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path"
	"runtime"
	"strings"
	"sync"
	"testing"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
	"thalweg/tests/harness"
)

var flagFlips = flag.Int("crash.flips", 1600, "how many bits to flip in each kind of file; 0 is every bit")

// exhibit is a directory whose files are flipped bit by bit.
type exhibit struct {
	fs    *vfs.Mem
	clock *clock.Manual
	model *model
	// lastRound is where the last round of the WAL begins, in file wal.
	wal                  string
	lastRound, walEnd    int64
	segment, index, pack string
}

// build makes a directory with a closed segment of at least 64 KiB that holds 20
// batches, its index, a pack, and more than 64 KiB of WAL that is nowhere else. All
// of it is stored under key, 0 for none.
func build(t *testing.T, key uint32) *exhibit {
	m := newMachine(vfs.NewMem(1), 1, epoch, log.Durable)
	m.opts.WALFileBytes, m.opts.SegmentBytes, m.opts.FlushBytes = 1<<20, 64<<10, 16<<10
	m.opts.IndexBytes, m.opts.CheckpointBytes = 8<<10, 1<<30
	m.open()
	ids := []log.PartitionID{{Stream: 1}, {Stream: 2}, {Stream: 3}}
	for _, id := range append(ids, meta) {
		m.append(log.Request{Entries: []log.Entry{{Kind: log.Create, Partition: id, Config: log.Config{KeyID: key}}}})
	}
	put := func(id log.PartitionID, size int) {
		m.clock.Advance(1e6)
		b := m.data(1, 1)
		for len(b) < size {
			b = m.data(1+size/2000, 4000)
		}
		m.append(log.Request{Entries: []log.Entry{{Kind: log.Data, Partition: id, Batch: b}}})
	}
	checkpoint := func() {
		if err := m.log.Checkpoint(); err != nil {
			m.fail("checkpoint: %w", err)
		}
	}
	for range 20 {
		put(ids[0], 3300)
	}
	put(ids[1], 500)
	checkpoint()
	put(ids[0], 20000) // goes into the next segment and closes the first
	checkpoint()
	for i := range 40 {
		put(ids[i%3], 2000)
	}
	x := &exhibit{fs: m.fs, clock: m.clock, model: m.model}
	x.wal = newest(t, m.fs, ".wal")
	x.lastRound = end(t, m.fs, x.wal)
	put(ids[2], 2000)
	x.walEnd = end(t, m.fs, x.wal)
	if m.failed != nil {
		t.Fatal(m.failed)
	}
	x.model = m.model
	x.fs = m.fs.Crash(3) // everything is synced: nothing is lost, nothing is clean
	x.index = first(t, x.fs, ".idx")
	x.segment = strings.TrimSuffix(x.index, ".idx") + ".seg"
	x.pack = first(t, x.fs, ".pack")
	if size := end(t, x.fs, x.segment); size < 64<<10 {
		t.Fatalf("closed segment of %d bytes only", size)
	}
	if x.walEnd < 64<<10 {
		t.Fatalf("WAL of %d bytes only", x.walEnd)
	}
	return x
}

func list(t *testing.T, fsys vfs.FS, ext string) []string {
	var out []string
	for _, dir := range []string{dataDir + "/wal", dataDir + "/seg"} {
		names, err := fsys.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			if path.Ext(n) == ext {
				out = append(out, dir+"/"+n)
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("no %s file", ext)
	}
	return out
}

func first(t *testing.T, fsys vfs.FS, ext string) string { return list(t, fsys, ext)[0] }

func newest(t *testing.T, fsys vfs.FS, ext string) string {
	all := list(t, fsys, ext)
	return all[len(all)-1]
}

// end is where the bytes of a file end that are not zero.
func end(t *testing.T, fsys vfs.FS, name string) int64 {
	b, err := vfs.ReadFile(fsys, name, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return int64(len(bytes.TrimRight(b, "\x00")))
}

// region is a range of bytes of one file, each bit of which is flipped.
type region struct {
	name, file string
	from, to   int64
	// one tells that each flip may cost one batch, not more: the undamaged rest is
	// served.
	one bool
}

// TestFlips flips bits of every kind of file, one at a time. Each flip must be
// reported; and none may change what a reader gets without an error, or cost more
// than the last round, which nothing yet vouches for.
func TestFlips(t *testing.T) { flipFiles(t, 0, "flips") }

// TestFlipsEncrypted does the same to a directory whose batches are encrypted.
func TestFlipsEncrypted(t *testing.T) { flipFiles(t, 1, "flips-encrypted") }

func flipFiles(t *testing.T, key uint32, evidence string) {
	exhibits := make([]*exhibit, min(runtime.GOMAXPROCS(0), 4))
	for i := range exhibits {
		exhibits[i] = build(t, key)
	}
	x := exhibits[0]
	size := func(name string) int64 { return end(t, x.fs, name) }
	flipped := map[string]string{}
	for _, c := range []region{
		{"closed segment", x.segment, 0, size(x.segment), true},
		{"index", x.index, 0, size(x.index), true},
		{"pack", x.pack, 0, size(x.pack), true},
		{"end of WAL", x.wal, x.walEnd - 64<<10, x.walEnd, true},
		{"WAL header", x.wal, 0, 64, false},
		{"manifest", dataDir + "/MANIFEST", 0, size(dataDir + "/MANIFEST"), false},
		{"FORMAT", dataDir + "/FORMAT", 0, size(dataDir + "/FORMAT"), false},
	} {
		t.Run(c.name, func(t *testing.T) { flipped[c.name] = flipAll(t, exhibits, c) })
	}
	if !t.Failed() {
		harness.Evidence(t, evidence, map[string]any{"seed": *flagSeed, "bits": flipped, "unreported": 0, "acknowledged_lost_silently": 0})
	}
}

// flipAll flips every bit of c, or -crash.flips of them, sharing the work. It
// returns how many of how many.
func flipAll(t *testing.T, exhibits []*exhibit, c region) string {
	bits := 8 * (c.to - c.from)
	n := bits
	if *flagFlips > 0 {
		n = min(n, int64(*flagFlips))
	}
	var wg sync.WaitGroup
	for k, x := range exhibits {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(*flagSeed, uint64(k)))
			missed := 0
			for i := int64(k); i < n && missed < 5; i += int64(len(exhibits)) {
				bit := i
				if n < bits {
					bit = r.Int64N(bits)
				}
				if err := x.flip(c, c.from+bit/8, uint(bit%8)); err != nil {
					t.Errorf("%s, byte %d, bit %d: %v", c.file, c.from+bit/8, bit%8, err)
					missed++
				}
			}
		})
	}
	wg.Wait()
	if !t.Failed() {
		t.Logf("%d of %d bits flipped: each reported, and none cost an acknowledged batch silently", n, bits)
	}
	return fmt.Sprintf("%d of %d", n, bits)
}

// flip flips one bit, looks at what the log makes of it, and flips it back.
func (x *exhibit) flip(c region, at int64, bit uint) (err error) {
	f, err := x.fs.OpenFile(c.file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	toggle := func() error {
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			return err
		}
		b[0] ^= 1 << bit
		_, err := f.WriteAt(b[:], at)
		return errors.Join(err, f.Sync())
	}
	if err := toggle(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, toggle()) }()
	report, verr := disk.Verify(x.fs, dataDir, keys{})
	if verr == nil && report.OK() && len(report.Cuts) == 0 {
		return errors.New("verify reports nothing")
	}
	lastRound := c.file == x.wal && at >= x.lastRound
	if (at+int64(bit))%16 == 0 {
		if err := x.openWritable(lastRound); err != nil {
			return fmt.Errorf("opened to write: %w", err)
		}
	}
	lost, err := x.read(x.fs, true, lastRound)
	if err == nil && c.one && lost > 1 {
		err = fmt.Errorf("%d batches cannot be read, want one at most", lost)
	}
	return err
}

// openWritable opens a copy of the directory as a server does. Where that finds
// damage it must leave everything as it is.
func (x *exhibit) openWritable(lastRound bool) error {
	fsys := x.fs.Kill()
	changed := ""
	fsys.Inject(func(op vfs.Op) error {
		if op.Kind >= vfs.OpCreate && op.Kind != vfs.OpMkdir && path.Base(op.Name) != "LOCK" {
			changed = site(op)
		}
		return nil
	})
	l, err := disk.Open(context.Background(), disk.Options{FS: fsys, Dir: dataDir, Clock: x.clock, Manual: true, Keys: keys{}})
	if err == nil {
		writable := l.State().Writable
		if err = l.Close(context.Background()); err == nil && writable {
			changed = ""
		}
	} else if k := errs.KindOf(err); k == errs.Corrupt || k == errs.Unsupported {
		err = nil
	}
	if err == nil && changed != "" {
		err = fmt.Errorf("damage was found, and yet the directory was changed (%s)", changed)
	}
	if err != nil {
		return err
	}
	fsys.Inject(nil)
	_, err = x.read(fsys, false, lastRound)
	return err
}

// read opens the directory and compares what it gives with what was put in: every
// batch right, or an error that says which cannot be read; it counts those.
// lastRound allows the last one to be gone.
func (x *exhibit) read(fsys vfs.FS, readOnly, lastRound bool) (lost int, err error) {
	var told int
	l, err := disk.Open(context.Background(), disk.Options{
		FS: fsys, Dir: dataDir, Clock: x.clock, Manual: true, ReadOnly: readOnly, Keys: keys{},
		Events: disk.Events{Damaged: func(disk.Damage) { told++ }},
	})
	if err != nil {
		if k := errs.KindOf(err); k != errs.Corrupt && k != errs.Unsupported {
			return 0, fmt.Errorf("open: %w", err)
		}
		return math.MaxInt, nil // nothing is served, and the error says why
	}
	defer l.Close(context.Background())
	for id, p := range x.model.parts {
		n, err := x.readPart(l, id, p, lastRound, told > 0)
		if err != nil {
			return 0, fmt.Errorf("partition %v: %w", id, err)
		}
		lost += n
	}
	return lost, nil
}

// readPart reads p record by record. damaged tells that the open reported damage,
// so that a client knows that something may be missing.
func (x *exhibit) readPart(l log.Log, id log.PartitionID, p *part, lastRound, damaged bool) (lost int, err error) {
	for i, want := range p.recs {
		last := lastRound && i == len(p.recs)-1 && id.Stream == 3
		got, err := l.Read(id, want.base, 1, log.Uncommitted)
		switch {
		case errs.KindOf(err) == errs.Corrupt && err != nil,
			damaged && (errors.Is(err, log.ErrNotFound) || errors.Is(err, log.ErrOutOfRange)),
			damaged && err == nil && len(got.List) == 0,
			last && (err != nil || len(got.List) == 0):
			lost++
			continue
		case err != nil:
			return 0, fmt.Errorf("batch at %d: %w", want.base, err)
		case len(got.List) == 0:
			return 0, fmt.Errorf("batch at %d is missing, without an error", want.base)
		}
		b := got.List[0]
		same := b.Base == want.base && b.Arrival == want.arrival && len(b.Bytes) == len(want.bytes) && bytes.Equal(b.Bytes[16:], want.bytes[16:])
		got.Release()
		if !same {
			return 0, fmt.Errorf("batch at %d is not what was acknowledged", want.base)
		}
	}
	return lost, nil
}
