package disk_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

// body is the content of batch i of partition p, as long as size.
func body(p log.PartitionID, i, size int) []byte {
	b := bytes.Repeat([]byte(fmt.Sprintf("%v/%d ", p, i)), size/8+1)
	return b[:size]
}

func checkBodies(t *testing.T, p log.PartitionID, got []log.Batch, first, n, size int) {
	t.Helper()
	if len(got) != n {
		t.Fatalf("%v: %d batches, want %d", p, len(got), n)
	}
	for i, b := range got {
		if want := body(p, first+i, size); !bytes.Equal(b.Bytes[61:], want) {
			t.Fatalf("%v batch %d at %d: wrong content %.60q want %.60q", p, i, b.Base, b.Bytes[61:], want)
		}
	}
}

func TestAppendReadReopen(t *testing.T) {
	for _, manual := range []bool{true, false} {
		for _, maxBytes := range []int{1, 3000, 1 << 20} {
			t.Run(fmt.Sprintf("manual=%v/max=%d", manual, maxBytes), func(t *testing.T) {
				fsys := vfs.NewMem(1)
				mode := func(o *disk.Options) { o.Manual = manual }
				l := open(t, fsys, mode)
				const parts, size = 5, 700
				for p := range uint64(parts) {
					must(t, l, create(pid(p), log.Config{}))
				}
				written := make([]int, parts)
				check := func() {
					t.Helper()
					for p := range uint64(parts) {
						checkBodies(t, pid(p), readAll(t, l, pid(p), maxBytes), 0, written[p], size)
					}
				}
				for i := range 400 {
					p := i % parts
					if p > 0 && i%7 != 0 {
						p = 0 // one hot partition
					}
					r := must(t, l, data(pid(uint64(p)), rawBatch(3, body(pid(uint64(p)), written[p], size))))
					if r[0].Offset != int64(3*written[p]) {
						t.Fatalf("offset %d, want %d", r[0].Offset, 3*written[p])
					}
					written[p]++
					if i%50 == 49 {
						if err := l.Step(); err != nil {
							t.Fatal(err)
						}
						check()
					}
				}
				for i := range 3 {
					closeLog(t, l)
					l = open(t, fsys, mode)
					if r := l.Recovery(); i > 0 && !r.Clean || len(r.Damage)+len(r.Cuts) > 0 {
						t.Fatalf("recovery %+v", r)
					}
					check()
					if err := l.Checkpoint(); err != nil {
						t.Fatal(err)
					}
					check()
				}
				closeLog(t, l)
			})
		}
	}
}

var flagSeeds = flag.Int("disk.seeds", 5, "how many random runs against the model")

func TestRandomAgainstModel(t *testing.T) {
	for seed := range uint64(*flagSeeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { randomRun(t, seed) })
	}
}

// randomRun does random things and compares with a model, over clean and unclean
// restarts.
func randomRun(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	fsys := vfs.NewMem(seed)
	l := open(t, fsys, nil)
	type part struct {
		first, n int // batches of one record each
		start    int64
		sealed   bool
	}
	model := map[uint64]*part{}
	for range 1000 {
		s := uint64(r.IntN(12))
		p := model[s]
		switch k := r.IntN(100); {
		case p == nil:
			must(t, l, create(pid(s), log.Config{}))
			model[s] = &part{}
		case k < 70 && !p.sealed:
			n := 1 + r.IntN(4)
			var req log.Request
			for i := range n {
				req.Entries = append(req.Entries, log.Entry{Partition: pid(s), Batch: rawBatch(1, body(pid(s), p.n+i, 300))})
			}
			req.Atomic = r.IntN(2) == 0
			must(t, l, req)
			p.n += n
		case k < 75:
			to := p.start + int64(r.IntN(p.n+1))
			res := must(t, l, log.Request{Entries: []log.Entry{{Kind: log.Trim, Partition: pid(s), Offset: to}}})
			p.start = min(to, int64(p.n))
			if res[0].Offset != p.start {
				t.Fatalf("trim to %d gave %d, want %d", to, res[0].Offset, p.start)
			}
		case k < 77:
			must(t, l, log.Request{Entries: []log.Entry{{Kind: log.Seal, Partition: pid(s)}}})
			p.sealed = true
		case k < 79:
			must(t, l, log.Request{Entries: []log.Entry{{Kind: log.Delete, Partition: pid(s)}}})
			delete(model, s)
		case k < 90:
			if err := l.Step(); err != nil {
				t.Fatal(err)
			}
		case k < 93:
			if err := l.Checkpoint(); err != nil {
				t.Fatal(err)
			}
		case k < 95:
			fsys = fsys.Crash(r.Uint64())
			l = open(t, fsys, nil)
			if rec := l.Recovery(); len(rec.Damage) > 0 {
				t.Fatalf("crash became damage: %v", rec.Damage)
			}
		case k < 97:
			closeLog(t, l)
			l = open(t, fsys, nil)
		default:
			got := readAll(t, l, pid(s), 1+r.IntN(2000))
			checkBodies(t, pid(s), got, int(p.start), p.n-int(p.start), 300)
		}
	}
	for s, p := range model {
		checkBodies(t, pid(s), readAll(t, l, pid(s), 1000), int(p.start), p.n-int(p.start), 300)
		if in, _ := l.Info(pid(s)); in.Sealed != p.sealed {
			t.Fatalf("%v sealed %v", pid(s), in.Sealed)
		}
	}
	if ids := l.Partitions(); len(ids) != len(model) {
		t.Fatalf("%d partitions, want %d", len(ids), len(model))
	}
	closeLog(t, l)
}

func TestEntryErrors(t *testing.T) {
	l := open(t, vfs.NewMem(1), nil)
	defer closeLog(t, l)
	must(t, l, create(pid(1), log.Config{}))
	must(t, l, create(pid(2), log.Config{}))
	must(t, l, log.Request{Entries: []log.Entry{{Kind: log.Seal, Partition: pid(2)}}})
	fence := log.Request{Entries: []log.Entry{{Kind: log.Fence, Partition: pid(1)}}}
	must(t, l, fence)
	if rs := must(t, l, fence); rs[0].Epoch != 2 {
		t.Fatalf("second fence: %+v", rs[0])
	}
	good := rawBatch(1, []byte("x"))
	bad := rawBatch(1, []byte("x"))
	bad[len(bad)-1] ^= 1
	for _, tc := range []struct {
		name string
		e    log.Entry
		want error
	}{
		{"unknown", log.Entry{Partition: pid(9), Batch: good}, log.ErrNotFound},
		{"exists", log.Entry{Kind: log.Create, Partition: pid(1)}, log.ErrExists},
		{"sealed", log.Entry{Partition: pid(2), Batch: good}, log.ErrSealed},
		{"fenced", log.Entry{Partition: pid(1), Batch: good, ExpectedEpoch: 1}, log.ErrFenced},
		{"crc", log.Entry{Partition: pid(1), Batch: bad}, log.ErrInvalidBatch},
		{"short", log.Entry{Partition: pid(1), Batch: good[:60]}, log.ErrInvalidBatch},
		{"trailing", log.Entry{Partition: pid(1), Batch: append(bytes.Clone(good), 0)}, log.ErrInvalidBatch},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := log.Do(l, log.Request{Entries: []log.Entry{tc.e}}); !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			rs, err := log.Do(l, log.Request{Atomic: true, Entries: []log.Entry{
				{Partition: pid(1), Batch: rawBatch(1, []byte("y"))}, tc.e, {Kind: log.Create, Partition: pid(50)},
			}})
			if !errors.Is(err, tc.want) || rs[0].Err != log.ErrAborted || rs[2].Err != log.ErrAborted {
				t.Fatalf("atomic: %v, %+v", err, rs)
			}
		})
	}
	if in, _ := l.Info(pid(1)); in.End != 0 {
		t.Fatalf("refused appends left %d offsets", in.End)
	}
	if _, err := l.Info(pid(50)); err != log.ErrNotFound {
		t.Fatalf("refused create: %v", err)
	}
}

// TestFailedBeginOfAWALFile lets the header of the next WAL file be written and be
// told to have found no space. Appends go on in the file before, and a power cut,
// which may bring the other file back, must not take them.
func TestFailedBeginOfAWALFile(t *testing.T) {
	fsys := vfs.NewMem(1)
	l := open(t, fsys, nil)
	must(t, l, create(pid(1), log.Config{}))
	must(t, l, data(pid(1), rawBatch(1, body(pid(1), 0, 200))))
	if err := l.Step(); err != nil { // makes a spare
		t.Fatal(err)
	}
	struck := false
	fsys.Inject(func(op vfs.Op) error {
		if struck || op.Kind != vfs.OpWrite || op.Len != 64 {
			return nil
		}
		struck = true
		return &vfs.TornWrite{Kept: op.Len, Err: vfs.ErrNoSpace}
	})
	acked := 1
	for after := 0; after < 5; {
		if struck {
			after++
		}
		if _, err := log.Do(l, data(pid(1), rawBatch(1, body(pid(1), acked, 200)))); err == nil {
			acked++
		} else if !errors.Is(err, log.ErrNoSpace) {
			t.Fatal(err)
		}
	}
	for seed := range uint64(50) {
		crashed := open(t, fsys.Crash(seed), nil)
		checkBodies(t, pid(1), readAll(t, crashed, pid(1), 700), 0, acked, 200)
		closeLog(t, crashed)
	}
	closeLog(t, l)
}
