package disk

import (
	"testing"

	"thalweg/internal/limits"
)

// TestTailReusesBuffers: rounds of every size below the bound go round in the same
// memory, within the ring's size and the budget.
func TestTailReusesBuffers(t *testing.T) {
	budget := limits.NewBudget(1 << 30)
	ring := newTail(budget, 64<<10) // chunks of 4 KiB
	file := &walFile{}
	buffers := map[*byte]bool{}
	for i := range 500 {
		ring.grow(file, int64(i)<<20, 1+(i*7%maxSteps)*ring.step)
		buffers[&ring.last().buf[0]] = true
		if ring.bytes > ring.max || budget.Used() != ring.bytes {
			t.Fatalf("the ring holds %d of %d bytes, and %d of the budget", ring.bytes, ring.max, budget.Used())
		}
	}
	if len(buffers) > 20 {
		t.Errorf("500 chunks were made of %d buffers", len(buffers))
	}
	ring.grow(file, 1<<40, 2*maxSteps*ring.step)
	for len(ring.chunks) > 0 {
		ring.evict()
	}
	if budget.Used() != 0 || len(ring.spare) > maxSteps*ring.step {
		t.Errorf("%d bytes of the budget are not given back, %d are kept", budget.Used(), len(ring.spare))
	}
}
