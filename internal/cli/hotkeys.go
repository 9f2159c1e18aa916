package cli

import (
	"cmp"
	"container/heap"
	"slices"
)

// hotKeys counts keys in bounded memory (the Space-Saving algorithm of Metwally,
// Agrawal and El Abbadi): a key that has more than 1/cap of all counts is among
// those that are kept, and its count is too high by over at most.
type hotKeys struct {
	cap  int
	keys map[string]*hotKey
	heap hotHeap
}

// hotKey is a key that is kept.
type hotKey struct {
	key   string
	count int64
	over  int64 // what an earlier key's count may have added
	at    int   // in the heap
}

func newHotKeys(capacity int) *hotKeys {
	return &hotKeys{cap: capacity, keys: map[string]*hotKey{}}
}

// add counts a key once.
func (h *hotKeys) add(key string) {
	if k := h.keys[key]; k != nil {
		k.count++
		heap.Fix(&h.heap, k.at)
		return
	}
	if len(h.heap) < h.cap {
		k := &hotKey{key: key, count: 1}
		h.keys[key] = k
		heap.Push(&h.heap, k)
		return
	}
	k := h.heap[0] // the rarest makes room
	delete(h.keys, k.key)
	k.key, k.over = key, k.count
	k.count++
	h.keys[key] = k
	heap.Fix(&h.heap, 0)
}

// top returns the n keys that were counted most, by falling count.
func (h *hotKeys) top(n int) []hotKey {
	all := make([]hotKey, 0, len(h.heap))
	for _, k := range h.heap {
		all = append(all, *k)
	}
	slices.SortFunc(all, func(a, b hotKey) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.over, b.over), cmp.Compare(a.key, b.key))
	})
	return all[:min(n, len(all))]
}

// hotHeap has the key with the lowest count at its root.
type hotHeap []*hotKey

func (h hotHeap) Len() int           { return len(h) }
func (h hotHeap) Less(i, j int) bool { return h[i].count < h[j].count }
func (h hotHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push implements heap.Interface.
func (h *hotHeap) Push(x any) {
	k := x.(*hotKey)
	k.at = len(*h)
	*h = append(*h, k)
}

// Pop implements heap.Interface.
func (h *hotHeap) Pop() any {
	last := len(*h) - 1
	k := (*h)[last]
	*h = (*h)[:last]
	return k
}
