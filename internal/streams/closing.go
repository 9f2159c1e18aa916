package streams

import (
	"maps"
	"sync"

	"thalweg/internal/clock"
	"thalweg/internal/log"
)

// closingMillis is how long a shard takes no new transactions after an attempt to
// close it: whoever tries again within that time, and goes on, meets the end of
// those that were open.
const closingMillis = 60_000

// closing are the shards that were to be closed and had a transaction open.
type closing struct {
	mu    sync.Mutex
	until map[log.PartitionID]int64 // Unix milliseconds; guarded by mu
}

// note takes the outcome of an attempt: in is whether a transaction was in its way.
func (c *closing) note(entries []log.Entry, now int64, in bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.until, func(_ log.PartitionID, at int64) bool { return at <= now })
	for _, e := range entries {
		switch {
		case e.Kind != log.Seal:
		case in:
			c.until[e.Partition] = now + closingMillis
		default:
			delete(c.until, e.Partition)
		}
	}
}

// Closing tells whether a shard is to be closed as soon as the transactions that
// are open in it have ended, so that it is to take no new ones.
func (s *Service) Closing(p log.PartitionID) bool {
	s.closing.mu.Lock()
	defer s.closing.mu.Unlock()
	return s.closing.until[p] > clock.Millis(s.clock)
}
