package firehose

import (
	"bytes"
	"fmt"
	"testing"

	"thalweg/tests/events"
)

// tally counts the events that have arrived somewhere.
type tally struct {
	seen map[events.ID]int
	last map[string]int64 // the newest of each player, since the last begin
	// behind is the first event that stood behind a newer one of its player.
	behind string
}

func newTally() *tally { return &tally{seen: map[events.ID]int{}, last: map[string]int64{}} }

// begin has the order of what follows not depend on what came before.
func (c *tally) begin() { clear(c.last) }

func (c *tally) add(id events.ID) {
	c.seen[id]++
	who := id.Game + "/" + id.Player
	if last, ok := c.last[who]; ok && last >= id.Seq && c.behind == "" {
		c.behind = fmt.Sprintf("%s behind %d", id, last)
	}
	c.last[who] = id.Seq
}

// lines adds events that stand one a line.
func (c *tally) lines(body []byte) error {
	for line := range bytes.Lines(body) {
		id, err := events.Identify(line)
		if err != nil {
			return fmt.Errorf("%q: %w", line[:min(len(line), 100)], err)
		}
		c.add(id)
	}
	return nil
}

// check wants every event of the set once, those of doubtful calls at most once, and a
// player's in their order.
func (c *tally) check(t *testing.T, what string, set events.Set, doubtful map[events.ID]bool) {
	t.Helper()
	missing, twice, arrived := 0, 0, len(c.seen)
	for _, e := range set.Events {
		switch n := c.seen[e.ID(0)]; {
		case n == 0 && !doubtful[e.ID(0)]:
			missing++
		case n > 1:
			twice++
		}
		delete(c.seen, e.ID(0))
	}
	if missing > 0 || twice > 0 || len(c.seen) > 0 || c.behind != "" {
		t.Errorf("%s: of %d events %d are missing, %d are there more than once, and %d were never put; out of order: %q",
			what, len(set.Events), missing, twice, len(c.seen), c.behind)
	}
	t.Logf("%s: %d events, %d of doubtful calls", what, arrived, len(doubtful))
}
