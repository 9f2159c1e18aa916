package disk_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"strings"
	"testing"

	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

var flagFlips = flag.Int("disk.flips", 300, "how many single bit flips to try")

// filled makes a directory with closed segments, indexes, packs, WAL rounds that
// no checkpoint covers, and a manifest of several edits.
func filled(t testing.TB, clean bool) (fsys *vfs.Mem, want map[uint64]int) {
	fsys = vfs.NewMem(3)
	l := open(t, fsys, nil)
	want = map[uint64]int{}
	for p := range uint64(6) {
		must(t, l, create(pid(p), log.Config{}))
	}
	put := func(n int) {
		for i := range n {
			p := uint64(0)
			if i%9 == 8 {
				p = uint64(1 + i/9%5)
			}
			must(t, l, data(pid(p), rawBatch(1, body(pid(p), want[p], 400))))
			want[p]++
		}
	}
	for range 3 {
		put(60)
		if err := l.Step(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	put(30)
	if clean {
		closeLog(t, l)
	} else {
		fsys = fsys.Kill()
	}
	return fsys, want
}

func files(t testing.TB, fsys vfs.FS) []string {
	out := []string{"/d/FORMAT", "/d/MANIFEST"}
	for _, dir := range []string{"/d/seg", "/d/wal"} {
		names, err := fsys.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			out = append(out, path.Join(dir, n))
		}
	}
	return out
}

func load(t testing.TB, fsys vfs.FS, name string) []byte {
	b, err := vfs.ReadFile(fsys, name, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func store(t testing.TB, fsys vfs.FS, name string, at int64, b []byte) {
	f, err := fsys.OpenFile(name, os.O_RDWR, 0)
	if err == nil {
		_, err = f.WriteAt(b, at)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestFlips flips single bits all over a directory. Each must be reported by
// Verify; the log must never give wrong or fewer bytes without saying so; and
// nothing may be written to a damaged directory.
func TestFlips(t *testing.T) {
	for _, clean := range []bool{true, false} {
		t.Run(fmt.Sprintf("clean=%v", clean), func(t *testing.T) {
			fsys, want := filled(t, clean)
			names := files(t, fsys)
			var total int64
			for _, n := range names {
				total += int64(len(load(t, fsys, n)))
			}
			step := max(total*8/int64(*flagFlips), 1)
			if step%8 == 0 {
				step++
			}
			tried, silent := map[string]int{}, map[string]int{}
			for at := int64(0); at < total*8; at += step {
				name, bit := "", at
				for _, n := range names {
					if size := int64(len(load(t, fsys, n))) * 8; bit < size {
						name = n
						break
					} else {
						bit -= size
					}
				}
				tried[path.Ext(name)]++
				if !flip(t, fsys, name, bit, want) {
					silent[path.Ext(name)]++
				}
			}
			t.Logf("flips by kind of file: %v, of these in bytes that mean nothing: %v", tried, silent)
			// Only recycled or zeroed WAL space and trimmed runs may go unreported.
			for _, ext := range []string{"", ".idx"} {
				if silent[ext] > 0 {
					t.Errorf("%d flips in %q files were not reported", silent[ext], ext)
				}
			}
		})
	}
}

// flip flips one bit, looks, and flips it back. It returns whether Verify saw it.
func flip(t *testing.T, fsys *vfs.Mem, name string, bit int64, want map[uint64]int) bool {
	t.Helper()
	one := load(t, fsys, name)[bit/8 : bit/8+1]
	store(t, fsys, name, bit/8, []byte{one[0] ^ 1<<(bit%8)})
	defer store(t, fsys, name, bit/8, one)
	where := fmt.Sprintf("%s byte %d bit %d", name, bit/8, bit%8)
	report, err := disk.Verify(fsys, "/d", nil)
	seen := err != nil || !report.OK() || len(report.Cuts) > 0
	if err != nil && errs.KindOf(err) != errs.Unsupported && errs.KindOf(err) != errs.Corrupt {
		t.Fatalf("%s: verify: %v", where, err)
	}

	l, err := tryOpen(fsys, func(o *disk.Options) { o.ReadOnly = true })
	if err != nil {
		if !seen {
			t.Errorf("%s: open fails, verify says nothing: %v", where, err)
		}
		return seen
	}
	defer closeLog(t, l)
	lost := 0
	for p, n := range want {
		in, err := l.Info(pid(p))
		if err != nil {
			lost += n
			continue
		}
		lost += n - int(in.End)
		for at := int64(0); at < in.End; {
			b, err := l.Read(pid(p), at, 1000, log.Uncommitted)
			if err != nil {
				if errs.KindOf(err) != errs.Corrupt {
					t.Fatalf("%s: read %d: %v", where, at, err)
				}
				lost++
				at++
				continue
			}
			for _, x := range b.List {
				if !bytes.Equal(x.Bytes[61:], body(pid(p), int(x.Base), 400)) {
					t.Fatalf("%s: %d reads wrong", where, x.Base)
				}
				at = x.Base + 1
			}
			b.Release()
		}
	}
	if lost > 0 && !seen {
		t.Errorf("%s: %d records lost, and nothing reported", where, lost)
	}
	if lost > 1 && report.OK() && strings.HasSuffix(name, ".wal") {
		t.Errorf("%s: %d records lost by a cut, want the last round at most", where, lost)
	}
	return seen
}

// TestDamagedOpensReadOnly checks what a server sees that starts on damage.
func TestDamagedOpensReadOnly(t *testing.T) {
	fsys, want := filled(t, false)
	var wal string
	for _, n := range files(t, fsys) {
		if strings.HasSuffix(n, ".wal") && len(load(t, fsys, n)) > 2000 {
			wal = n
		}
	}
	at := bytes.LastIndex(load(t, fsys, wal), []byte("TWRD")) - 1200
	store(t, fsys, wal, int64(at), []byte("damage"))
	before := load(t, fsys, wal)
	l := open(t, fsys, nil)
	st := l.State()
	if st.Writable || st.Reason == "" || len(l.Recovery().Damage) == 0 || len(l.Recovery().Cuts) > 0 {
		t.Fatalf("state %+v, recovery %+v", st, l.Recovery())
	}
	if _, err := log.Do(l, data(pid(0), rawBatch(1, nil))); !errors.Is(err, log.ErrReadOnly) {
		t.Fatalf("append: %v", err)
	}
	bad := 0
	for p, n := range want {
		for i := range n {
			b, err := l.Read(pid(p), int64(i), 1, log.Uncommitted)
			switch {
			case errs.KindOf(err) == errs.Corrupt:
				bad++
			case err != nil || !bytes.Equal(b.List[0].Bytes[61:], body(pid(p), i, 400)):
				t.Fatalf("read %d of %d: %v", i, p, err)
			}
			b.Release()
		}
	}
	if bad != 1 {
		t.Errorf("%d records unreadable, want the one damaged", bad)
	}
	closeLog(t, l)
	if !bytes.Equal(before, load(t, fsys, wal)) {
		t.Error("the damaged file was written to")
	}
}
