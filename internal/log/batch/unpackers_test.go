package batch

import (
	"bytes"
	"errors"
	"testing"
)

// TestLargeBatchesTakeTurns: what a batch of some kilobytes becomes is in memory once,
// whoever has sent it, and small ones do not wait for that.
func TestLargeBatchesTakeTurns(t *testing.T) {
	const limit = 6 << 20
	pack := func(codec int16, n int) []byte {
		var b Builder
		b.Append(Record{Key: []byte("k"), Value: make([]byte, n)})
		var c Compressor
		out, err := c.Compress(b.Finish(), codec)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Clone(out)
	}
	for codec := range int16(4) {
		u := NewUnpackers(limit)
		large, small, more := pack(codec+1, limit-1<<10), pack(codec+1, 1<<20), pack(codec+1, limit+1)
		for range 2 {
			first, second := u.Get(), u.Get()
			if b, err := first.Decompress(large); err != nil || len(b) < limit-1<<10 {
				t.Fatalf("codec %d: %d bytes, %v", codec+1, len(b), err)
			}
			if u.large.TryLock() {
				t.Fatalf("codec %d: another could unpack as much meanwhile", codec+1)
			}
			if _, err := second.Decompress(small); err != nil {
				t.Fatal(err)
			}
			if _, err := first.Decompress(more); !errors.Is(err, ErrTooLarge) {
				t.Errorf("codec %d: beyond the limit: %v", codec+1, err)
			}
			u.Put(first)
			if _, err := second.Decompress(large); err != nil {
				t.Fatal(err)
			}
			u.Put(second)
		}
		if kept := u.Get(); cap(kept.out) > 2*softLimit || kept.large != nil {
			t.Errorf("codec %d: %d bytes are kept", codec+1, cap(kept.out))
		}
	}
}
