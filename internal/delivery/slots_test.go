package delivery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// An account that holds its slots for ever leaves some to the others, again and again.
func TestSlots(t *testing.T) {
	s := newSlots(16)
	for i, want := range []int{9, 4, 2, 1} {
		account := fmt.Sprint(i)
		got := 0
		for s.tryEnter(account) {
			got++
		}
		if got != want {
			t.Errorf("account %d has %d slots, want %d", i, got, want)
		}
	}
	s.exit("0")
	if s.tryEnter("0") || !s.tryEnter("4") {
		t.Error("a slot that is given back is for who has none")
	}
	if len(s.of) != 5 {
		t.Errorf("%d accounts are remembered", len(s.of))
	}
}

// tryEnter is enter without waiting.
func (s *slots) tryEnter(account string) bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.mu.Lock()
	a := s.of[account]
	held := 0
	if a != nil {
		held = a.held
	}
	room := s.free > 0 && held <= s.free
	s.mu.Unlock()
	return room && s.enter(context.WithoutCancel(ctx), account)
}

// However it is entered, left and given up, all slots are there in the end.
func TestSlotsAreNotLost(t *testing.T) {
	s := newSlots(5)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if rng.IntN(2) == 0 {
					go cancel()
				}
				account := fmt.Sprint(rng.IntN(4))
				if s.enter(ctx, account) {
					s.exit(account)
				}
				cancel()
			}
		})
	}
	all.Wait()
	if s.free != 5 || len(s.of) != 0 {
		t.Errorf("%d slots are free, %d accounts are remembered", s.free, len(s.of))
	}
}
