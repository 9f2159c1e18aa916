package cli

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestHotKeys holds the counts against exact ones: what is frequent is there, and
// no count is off by more than it says.
func TestHotKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 8).Draw(t, "capacity")
		added := rapid.SliceOfN(rapid.IntRange(0, 20), 0, 200).Draw(t, "keys")
		h, exact := newHotKeys(capacity), map[string]int64{}
		for _, k := range added {
			key := fmt.Sprint("k", k/(k%3+1))
			h.add(key)
			exact[key]++
		}
		kept := map[string]bool{}
		last := int64(len(added))
		for _, k := range h.top(capacity) {
			kept[k.key] = true
			if n := exact[k.key]; k.count < n || k.count-k.over > n || k.count > last {
				t.Fatalf("%+v, but there are %d", k, n)
			}
			last = k.count
		}
		if len(kept) > capacity {
			t.Fatalf("%d keys are kept", len(kept))
		}
		for key, n := range exact {
			if n > int64(len(added)/capacity) && !kept[key] {
				t.Fatalf("%s is not kept with %d of %d", key, n, len(added))
			}
		}
	})
}
