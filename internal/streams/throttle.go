package streams

import (
	"log/slog"
	"sync/atomic"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/ids"
	"thalweg/internal/limits"
	"thalweg/internal/log"
)

// Limit is one of AWS's limits, by which what exceeds them is counted.
type Limit uint8

const (
	WriteBytes Limit = iota
	WriteRecords
	ReadBytes
	ReadCalls
	IteratorCalls
	SubscribeCalls
	PushBytes
	ManageCalls
	DryRuns
	// LimitCount is the number of limits.
	LimitCount
)

var limitNames = [LimitCount]string{
	"write_bytes", "write_records", "read_bytes", "read_calls", "iterator_calls", "subscribe_calls", "push_bytes", "manage_calls", "dry_runs",
}

func (l Limit) String() string { return limitNames[l] }

// throttle is what has been used of AWS's rates, and how often they were exceeded.
type throttle struct {
	mode   limits.Mode
	clock  clock.Clock
	start  time.Time
	logger *slog.Logger
	shards *limits.Table[log.PartitionID, shardUse]
	calls  *limits.Table[callKey, limits.Bucket]

	refused, passed [LimitCount]atomic.Int64
	told            atomic.Int64 // when the last line was logged
	untold          atomic.Int64 // what has passed since
}

// callKey is what calls are counted by.
type callKey struct {
	scope    catalog.Scope
	op, name string
	shard    ids.Shard
}

// maxUses bounds the shards, and the kinds of calls, that are counted at a time:
// a few megabytes.
const maxUses = 32 << 10

// tellEvery is how often the log tells of what has passed.
const tellEvery = 10 * time.Second

func newThrottle(mode limits.Mode, c clock.Clock, logger *slog.Logger) *throttle {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	t := &throttle{
		mode: mode, clock: c, start: c.Now(), logger: logger,
		shards: limits.NewTable[log.PartitionID](maxUses, (*shardUse).rests),
		calls:  limits.NewTable[callKey](maxUses, func(b *limits.Bucket, now int64) bool { return b.FullAt() <= now }),
	}
	t.told.Store(-int64(tellEvery))
	return t
}

// now is the time since the start, which no change of the machine's clock turns
// back.
func (t *throttle) now() int64 { return int64(t.clock.Now().Sub(t.start)) }

// call takes one call of a key and reports whether there was one.
func (t *throttle) call(k callKey, rate limits.Rate) (ok bool) {
	now := t.now()
	t.calls.Do(k, now, func(b *limits.Bucket) {
		if ok = b.Has(rate, now, 1); ok {
			b.Spend(rate, now, 1)
		}
	})
	return ok
}

// exceeded counts what went beyond a limit, n records or calls, and reports
// whether to refuse it. What is let through is told in the log, some of it.
func (t *throttle) exceeded(mode limits.Mode, limit Limit, account, stream string, n int64) (refuse bool) {
	if mode == limits.AWS {
		t.refused[limit].Add(n)
		return true
	}
	t.passed[limit].Add(n)
	untold := t.untold.Add(n)
	now, told := t.now(), t.told.Load()
	if now-told >= int64(tellEvery) && t.told.CompareAndSwap(told, now) {
		t.untold.Add(-untold)
		t.logger.Warn("let through what AWS would refuse", "limit", limit.String(), "account", account, "stream", stream,
			"times_since_last_told", untold)
	}
	return false
}

// Exceeded returns how often a limit was exceeded by what was refused, and by
// what was let through.
func (s *Service) Exceeded(l Limit) (refused, passed int64) {
	return s.throttle.refused[l].Load(), s.throttle.passed[l].Load()
}
