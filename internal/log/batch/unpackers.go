package batch

import (
	"errors"
	"sync"
)

// softLimit is how many bytes a batch can be unpacked to by many at once.
const softLimit = 4 << 20

// Unpackers are Decompressors for many users. What is larger than most batches is
// unpacked for one of them at a time, as a kilobyte can become all of the limit.
type Unpackers struct {
	limit int
	small sync.Pool // of *Decompressor
	large sync.Mutex
}

// NewUnpackers returns those that unpack to at most limit bytes.
func NewUnpackers(limit int) *Unpackers { return &Unpackers{limit: limit} }

// Get returns a Decompressor, which is to be given to Put. Whoever has one asks for
// no other.
func (u *Unpackers) Get() *Decompressor {
	if d, ok := u.small.Get().(*Decompressor); ok {
		return d
	}
	return &Decompressor{limit: min(softLimit, u.limit), of: u}
}

// Put takes a Decompressor back, with what it has unpacked.
func (u *Unpackers) Put(d *Decompressor) {
	if d.large != nil {
		d.large = nil
		u.large.Unlock()
	}
	u.small.Put(d)
}

// escalate unpacks a batch that was too large for d, when it is its turn; d has the
// turn until it is put back.
func (d *Decompressor) escalate(b []byte) ([]byte, error) {
	if d.large == nil {
		d.of.large.Lock()
		d.large = NewDecompressor(d.of.limit)
	}
	return d.large.Decompress(b)
}

// tooLarge tells whether another Decompressor may unpack what d could not.
func (d *Decompressor) tooLarge(err error) bool {
	return d.of != nil && d.limit < d.of.limit && errors.Is(err, ErrTooLarge)
}
