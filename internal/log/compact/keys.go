package compact

import (
	"crypto/sha256"
	"encoding/binary"
)

// Keys tells the last offset of each of a bounded number of keys. A key is kept
// as the first half of its SHA-256: two that are mixed up would cost a record, so
// it must be out of reach to make such two. It is not safe for concurrent use.
type Keys struct {
	slots []slot
	room  int
}

// slot is one key; an offset of 0 is none, as they are kept one higher.
type slot struct {
	sum    [16]byte
	offset int64
}

// SlotBytes is the memory of one slot; a fifth of the slots stays empty.
const SlotBytes = 24

// SlotsFor is how many slots n keys take.
func SlotsFor(n int64) int64 { return max(n+n/4, 8) }

// NewKeys returns an empty one with so many slots.
func NewKeys(slots int64) *Keys { return &Keys{slots: make([]slot, slots), room: int(slots - slots/5)} }

// Put notes that key is at offset, which must be higher than all before. It
// reports false when the key is new and there is no room for it.
func (k *Keys) Put(key []byte, offset int64) bool {
	s, sum := k.find(key)
	if s.offset == 0 {
		if k.room == 0 {
			return false
		}
		k.room--
		s.sum = sum
	}
	s.offset = offset + 1
	return true
}

// Last is the last offset of key.
func (k *Keys) Last(key []byte) (offset int64, ok bool) {
	s, _ := k.find(key)
	return s.offset - 1, s.offset > 0
}

// find returns the slot that has key, or takes it.
func (k *Keys) find(key []byte) (*slot, [16]byte) {
	var sum [16]byte
	whole := sha256.Sum256(key)
	copy(sum[:], whole[:])
	n := uint64(len(k.slots))
	for i := binary.LittleEndian.Uint64(sum[:]) % n; ; i = (i + 1) % n {
		if s := &k.slots[i]; s.offset == 0 || s.sum == sum {
			return s, sum
		}
	}
}
