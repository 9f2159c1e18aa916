package tables

import (
	"iter"
	"slices"
	"strings"
)

// blockSize is how many entries a block of [ordered] holds at most.
const blockSize = 512

// entry is one row at its place.
type entry struct {
	key string
	row *row
}

// ordered is a list of rows by their keys: blocks of sorted entries, so that a
// change moves no more than a block.
type ordered struct{ blocks [][]entry }

// block returns the index of the block that has the key, or would.
func (o *ordered) block(key string) int {
	i, found := slices.BinarySearchFunc(o.blocks, key, func(b []entry, k string) int { return strings.Compare(b[0].key, k) })
	if !found && i > 0 {
		i--
	}
	return i
}

func find(b []entry, key string) (int, bool) {
	return slices.BinarySearchFunc(b, key, func(e entry, k string) int { return strings.Compare(e.key, k) })
}

// get returns the row of the key, nil if there is none.
func (o *ordered) get(key string) *row {
	if len(o.blocks) == 0 {
		return nil
	}
	b := o.blocks[o.block(key)]
	if i, ok := find(b, key); ok {
		return b[i].row
	}
	return nil
}

// set puts a row at the key.
func (o *ordered) set(key string, r *row) {
	if len(o.blocks) == 0 {
		o.blocks = [][]entry{{{key, r}}}
		return
	}
	at := o.block(key)
	b := o.blocks[at]
	i, ok := find(b, key)
	if ok {
		b[i].row = r
		return
	}
	b = slices.Insert(b, i, entry{key, r})
	o.blocks[at] = b
	if len(b) > blockSize {
		half := slices.Clone(b[blockSize/2:])
		clear(b[blockSize/2:])
		o.blocks[at] = b[:blockSize/2]
		o.blocks = slices.Insert(o.blocks, at+1, half)
	}
}

// remove takes the row of the key out.
func (o *ordered) remove(key string) {
	if len(o.blocks) == 0 {
		return
	}
	at := o.block(key)
	i, ok := find(o.blocks[at], key)
	if !ok {
		return
	}
	if o.blocks[at] = slices.Delete(o.blocks[at], i, i+1); len(o.blocks[at]) == 0 {
		o.blocks = slices.Delete(o.blocks, at, at+1)
	}
}

// up yields the entries from the key on.
func (o *ordered) up(from string) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		if len(o.blocks) == 0 {
			return
		}
		at := o.block(from)
		i, _ := find(o.blocks[at], from)
		for ; at < len(o.blocks); at++ {
			for ; i < len(o.blocks[at]); i++ {
				if !yield(o.blocks[at][i]) {
					return
				}
			}
			i = 0
		}
	}
}

// down yields the entries below the key, from the last on.
func (o *ordered) down(below string) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		if len(o.blocks) == 0 {
			return
		}
		at := o.block(below)
		i, _ := find(o.blocks[at], below)
		for {
			for i--; i >= 0; i-- {
				if !yield(o.blocks[at][i]) {
					return
				}
			}
			if at--; at < 0 {
				return
			}
			i = len(o.blocks[at])
		}
	}
}
