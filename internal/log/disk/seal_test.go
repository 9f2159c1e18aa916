package disk_test

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"testing"

	"thalweg/internal/errs"
	"thalweg/internal/identity"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

// marked is a batch with a text in it that is found wherever it stands in the
// clear.
func marked(i int) []byte { return rawBatch(1, []byte(mark(i)+strings.Repeat("x", 400))) }

func mark(i int) string { return fmt.Sprintf("marker-%04d.", i) }

func configure(p log.PartitionID, key uint32) log.Request {
	return log.Request{Entries: []log.Entry{{Kind: log.Configure, Partition: p, Config: log.Config{KeyID: key}}}}
}

// stored is everything in the files of a directory.
func stored(t *testing.T, fsys vfs.FS) []byte {
	t.Helper()
	var all []byte
	for _, dir := range []string{"/d", "/d/wal", "/d/seg"} {
		names, err := fsys.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			b, err := vfs.ReadFile(fsys, dir+"/"+n, 1<<30)
			if err == nil {
				all = append(all, b...)
			}
		}
	}
	return all
}

// TestSealed follows a partition whose key changes: each batch is stored under the
// key of its time, wherever it stands, and reads as it was put.
func TestSealed(t *testing.T) {
	for _, tail := range []int64{64 << 10, 1} {
		t.Run(fmt.Sprintf("tail of %d bytes", tail), func(t *testing.T) {
			keys := identity.NewKeystore()
			fsys := vfs.NewMem(1)
			change := func(o *disk.Options) { o.Keys, o.TailBytes = keys, tail }
			l := open(t, fsys, change)
			must(t, l, create(pid(1), log.Config{}))
			var want []uint32
			put := func(key uint32) {
				r := must(t, l, data(pid(1), marked(len(want))))[0]
				if r.KeyID != key {
					t.Fatalf("batch %d was put under key %d, want %d", len(want), r.KeyID, key)
				}
				want = append(want, key)
			}
			check := func() {
				t.Helper()
				for _, size := range []int{1, 3000, 1 << 20} {
					got := readAll(t, l, pid(1), size)
					if len(got) != len(want) {
						t.Fatalf("%d batches, want %d", len(got), len(want))
					}
					for i, b := range got {
						w := marked(i)
						if b.KeyID != want[i] || !bytes.Equal(b.Bytes[16:], w[16:]) || !bytes.Equal(b.Bytes[8:12], w[8:12]) {
							t.Fatalf("batch %d: key %d, want %d; or other bytes", i, b.KeyID, want[i])
						}
					}
				}
				disk := stored(t, fsys)
				for i, key := range want {
					if found := bytes.Contains(disk, []byte(mark(i))); found != (key == 0) {
						t.Fatalf("batch %d, key %d: in the clear on disk: %v", i, key, found)
					}
				}
			}
			for round, key := range []uint32{0, 1, 2, 0, 1} {
				must(t, l, configure(pid(1), key))
				for range 20 {
					put(key)
				}
				check()
				if round%2 == 0 {
					if err := l.Checkpoint(); err != nil {
						t.Fatal(err)
					}
					check()
				}
			}
			closeLog(t, l)
			r, err := disk.Verify(fsys, "/d", keys)
			if err != nil || !r.OK() || r.Encrypted != 60 || r.Decrypted != 60 || r.Version != disk.FormatVersion {
				t.Fatalf("verify: %+v, %v", r, err)
			}
			l = open(t, fsys, change)
			check()
			put(1)
			check()
			closeLog(t, l)
		})
	}
}

// TestSealedInOneRound configures a key and puts a batch in one atomic append: the
// batch is the first under it. Control batches are left in the clear.
func TestSealedInOneRound(t *testing.T) {
	l := open(t, vfs.NewMem(1), func(o *disk.Options) { o.Keys = identity.NewKeystore() })
	rs := must(t, l, log.Request{Atomic: true, Entries: []log.Entry{
		{Kind: log.Create, Partition: pid(1)},
		{Kind: log.Data, Partition: pid(1), Batch: marked(0)},
		{Kind: log.Configure, Partition: pid(1), Config: log.Config{KeyID: 9}},
		{Kind: log.Data, Partition: pid(1), Batch: producerBatch(1, []byte(mark(1)), 5, 0, 0, batch.Transactional)},
		{Kind: log.Data, Partition: pid(1), Batch: marker(5, 0, false)},
	}})
	if rs[1].KeyID != 0 || rs[3].KeyID != 9 || rs[4].KeyID != 0 {
		t.Errorf("keys %d, %d, %d", rs[1].KeyID, rs[3].KeyID, rs[4].KeyID)
	}
	b, err := l.Read(pid(1), 0, 1<<20, log.Committed)
	if err != nil || len(b.Aborted) != 1 || b.Aborted[0] != (log.AbortedTxn{ProducerID: 5, FirstOffset: 1, LastOffset: 2}) {
		t.Errorf("%+v, %v", b, err)
	}
	b.Release()
	closeLog(t, l)
}

// TestSealedWithoutKeys opens a directory with encrypted batches without its keys,
// and with others: it opens, what is not encrypted is served, and the rest is
// refused by name.
func TestSealedWithoutKeys(t *testing.T) {
	keys := identity.NewKeystore()
	for _, flushed := range []bool{false, true} {
		fsys := vfs.NewMem(1)
		l := open(t, fsys, func(o *disk.Options) { o.Keys = keys })
		must(t, l, create(pid(1), log.Config{}))
		must(t, l, data(pid(1), marked(0)))
		must(t, l, configure(pid(1), 4))
		must(t, l, data(pid(1), producerBatch(1, []byte(mark(1)), 5, 0, 0, 0)))
		if flushed {
			closeLog(t, l)
		}
		fsys = fsys.Kill()

		if r, err := disk.Verify(fsys, "/d", nil); err != nil || !r.OK() || r.Encrypted != 1 || r.Decrypted != 0 {
			t.Errorf("verify without keys: %+v, %v", r, err)
		}
		r, err := disk.Verify(fsys, "/d", identity.NewKeystore())
		if err != nil || len(r.Damage) != 1 || r.Damage[0].FirstOffset != 1 || !strings.Contains(r.Damage[0].String(), "key 4") {
			t.Errorf("verify with other keys: %+v, %v", r, err)
		}

		l = open(t, fsys, nil)
		b, err := l.Read(pid(1), 0, 1<<20, log.Uncommitted)
		if err != nil || len(b.List) != 1 || b.List[0].KeyID != 0 {
			t.Errorf("read from before the key: %+v, %v", b.List, err)
		}
		b.Release()
		for what, err := range map[string]error{
			"read":      readError(l, pid(1), 1),
			"append":    appendError(l, data(pid(1), marked(2))),
			"configure": appendError(l, configure(pid(1), 4)),
		} {
			if errs.KindOf(err) != errs.Unsupported || !strings.Contains(err.Error(), "key 4") {
				t.Errorf("%s without keys: %v", what, err)
			}
		}
		// Producers are known all the same.
		if r := must(t, l, data(pid(1), producerBatch(1, []byte(mark(1)), 5, 0, 0, 0)))[0]; !r.Duplicate || r.Offset != 1 {
			t.Errorf("repeated batch: %+v", r)
		}
		must(t, l, configure(pid(1), 0))
		must(t, l, data(pid(1), marked(2)))
		closeLog(t, l)

		l = open(t, fsys, func(o *disk.Options) { o.Keys = identity.NewKeystore() })
		if err := readError(l, pid(1), 1); errs.KindOf(err) != errs.Corrupt || !strings.Contains(err.Error(), "key 4") {
			t.Errorf("read with other keys: %v", err)
		}
		closeLog(t, l)
	}
}

func readError(l log.Log, p log.PartitionID, at int64) error {
	b, err := l.Read(p, at, 1<<20, log.Uncommitted)
	b.Release()
	return err
}

func appendError(l log.Log, req log.Request) error {
	_, err := log.Do(l, req)
	return err
}

// TestSealedAltered changes bytes of a stored frame and its checksum with them, as
// somebody would who can write to the disk: the frame does not open.
func TestSealedAltered(t *testing.T) {
	keys := identity.NewKeystore()
	fsys := vfs.NewMem(1)
	change := func(o *disk.Options) { o.Keys, o.TailBytes = keys, 1 }
	l := open(t, fsys, change)
	must(t, l, create(pid(1), log.Config{KeyID: 1}))
	must(t, l, data(pid(1), marked(0)))
	must(t, l, data(pid(1), marked(1)))
	closeLog(t, l)
	names, err := fsys.ReadDir("/d/seg")
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	name := "/d/seg/" + names[0]
	whole, err := vfs.ReadFile(fsys, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	seed := crc32.Checksum(whole[24:40], batch.Castagnoli)
	first := whole[64:]
	size := int(uint32(first[4]) | uint32(first[5])<<8)
	frames := [2][]byte{first[:size], first[size : 2*size]}
	write := func(frame []byte) {
		t.Helper()
		sum := crc32.Update(seed, batch.Castagnoli, frame[4:])
		frame[0], frame[1], frame[2], frame[3] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
		f, err := fsys.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(frame, 64); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	read := func() error {
		t.Helper()
		l := open(t, fsys, change)
		defer closeLog(t, l)
		return readError(l, pid(1), 0)
	}
	write(bytes.Clone(frames[0]))
	if err := read(); err != nil {
		t.Fatalf("as it was: %v", err)
	}
	for at := 8; at < size; at++ {
		frame := bytes.Clone(frames[0])
		frame[at] ^= 1
		write(frame)
		if err := read(); err == nil {
			t.Fatalf("byte %d of the frame changed, and it is read", at)
		}
	}
	moved := bytes.Clone(frames[1]) // another's payload under this one's header
	copy(moved[:64], frames[0])
	write(moved)
	if err := read(); errs.KindOf(err) != errs.Corrupt || !strings.Contains(err.Error(), "altered") {
		t.Errorf("the payload of another frame: %v", err)
	}
}

// countedKeys notes every nonce that is used.
type countedKeys struct {
	disk.Keys
	used  map[string]bool
	twice int
}

func (k *countedKeys) Cipher(key uint32) (cipher.AEAD, error) {
	c, err := k.Keys.Cipher(key)
	return countedAEAD{c, k, key}, err
}

type countedAEAD struct {
	cipher.AEAD
	keys *countedKeys
	key  uint32
}

func (a countedAEAD) Seal(dst, nonce, plaintext, additional []byte) []byte {
	id := fmt.Sprint(a.key, nonce)
	if a.keys.used[id] {
		a.keys.twice++
	}
	a.keys.used[id] = true
	return a.AEAD.Seal(dst, nonce, plaintext, additional)
}

// TestNonces wants no nonce used twice: not for what an atomic append that was
// refused left sealed, not after a full disk, a kill, or in two copies of one
// directory that both go on.
func TestNonces(t *testing.T) {
	keys := &countedKeys{Keys: identity.NewKeystore(), used: map[string]bool{}}
	change := func(o *disk.Options) { o.Keys = keys }
	fsys := vfs.NewMem(1)
	l := open(t, fsys, change)
	must(t, l, create(pid(1), log.Config{KeyID: 1}))
	use := func(l log.Log) {
		for i := range 5 {
			must(t, l, data(pid(1), marked(i)))
			if _, err := log.Do(l, log.Request{Atomic: true, Entries: []log.Entry{
				{Kind: log.Data, Partition: pid(1), Batch: marked(i)}, {Kind: log.Create, Partition: pid(1)},
			}}); !errors.Is(err, log.ErrExists) {
				t.Fatal(err)
			}
		}
	}
	use(l)
	fsys.SetCapacity(fsys.Used())
	for i := range 100 {
		if _, err := log.Do(l, data(pid(1), marked(i))); errors.Is(err, log.ErrNoSpace) {
			break
		}
	}
	fsys.SetCapacity(0)
	use(l)
	for _, copied := range []*vfs.Mem{fsys.Kill(), fsys.Kill(), fsys.Crash(1)} {
		l := open(t, copied, change)
		use(l)
		closeLog(t, l)
	}
	if len(keys.used) < 50 || keys.twice > 0 {
		t.Errorf("of %d batches sealed, %d under a nonce that had been used", len(keys.used), keys.twice)
	}
	closeLog(t, l)
}
