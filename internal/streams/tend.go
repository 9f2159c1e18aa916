package streams

import (
	"context"
	"math"
	"slices"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/log"
)

// tendRetry is how long a removal that failed waits; what it is about is out of
// sight meanwhile.
const tendRetry = time.Second

// never is a time that does not come, in Unix milliseconds.
const never = math.MaxInt64

// Run does what time brings, until ctx ends: it removes streams whose time as
// DELETING is over, and closed shards of which nothing can be read any more; it
// grows on-demand streams.
func (s *Service) Run(ctx context.Context) error {
	timer := s.clock.NewTimer(0)
	defer timer.Stop()
	measured := clock.Millis(s.clock) // demand, the last time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
		case <-s.wake:
		}
		next := int64(never)
		now := clock.Millis(s.clock)
		onDemand := false
		for _, r := range s.catalog.All(catalog.KindStream) {
			next = min(next, s.tend(ctx, r, now))
			onDemand = onDemand || r.Stream.Mode == catalog.OnDemand
		}
		measured = min(measured, now) // the clock may have been set back
		if elapsed := time.Duration(now-measured) * time.Millisecond; elapsed >= demandEvery {
			s.meetDemand(ctx, elapsed)
			measured = now
		}
		if onDemand {
			next = min(next, measured+demandEvery.Milliseconds())
		}
		if next != never {
			timer.Reset(time.Duration(next-now) * time.Millisecond)
		}
	}
}

// tend does for r what is due, and returns when there will be more to do.
func (s *Service) tend(ctx context.Context, r *catalog.Resource, now int64) (next int64) {
	due, do := r.Until, s.remove
	if r.State != catalog.Deleting {
		due, do = s.firstDeparture(r), s.dropShards
	}
	if due > now {
		return due
	}
	if do(ctx, r.Key) != nil {
		return now + tendRetry.Milliseconds() // a log without space, say
	}
	if r = s.catalog.Get(r.Key); r == nil || r.State == catalog.Deleting {
		return never
	}
	return s.firstDeparture(r)
}

// departures returns when each shard of r may go, in Unix milliseconds: once its
// records and every iterator that was given for them are past their time, and
// not before its parents, so that whoever comes to a closed shard's end finds
// the children.
func (s *Service) departures(r *catalog.Resource) []int64 {
	out := make([]int64, len(r.Stream.Shards))
	for i := range r.Stream.Shards {
		sh := &r.Stream.Shards[i]
		if out[i] = never; sh.Open() {
			continue
		}
		last := sh.Closed
		if info, err := s.log.Info(r.Stream.PartitionOf(sh.Number)); err == nil {
			last = max(last, info.LastArrival) // the clock may have been ahead then
		}
		out[i] = last + IteratorLife.Milliseconds() + 1
		if out[i] > r.Stream.TrimBefore {
			out[i] += int64(r.Stream.RetentionHours) * 3600_000
		}
		for _, p := range sh.Parents {
			if at := indexOf(r, p); at >= 0 {
				out[i] = max(out[i], out[at])
			}
		}
	}
	return out
}

func (s *Service) firstDeparture(r *catalog.Resource) int64 { return slices.Min(s.departures(r)) }

// dropShards removes the shards of a stream whose time has come, and their
// partitions, in one update.
func (s *Service) dropShards(ctx context.Context, key catalog.Key) error {
	dropped := 0
	err := s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		r := tx.Get(key)
		if r == nil || r.State == catalog.Deleting {
			return nil
		}
		now := clock.Millis(s.clock)
		kept := r.Clone()
		kept.Stream.Shards = kept.Stream.Shards[:0]
		for i, at := range s.departures(r) {
			sh := r.Stream.Shards[i]
			if at > now {
				kept.Stream.Shards = append(kept.Stream.Shards, sh)
				continue
			}
			tx.Entry(log.Entry{Kind: log.Delete, Partition: r.Stream.PartitionOf(sh.Number)})
			dropped++
		}
		if dropped > 0 {
			tx.Put(kept)
		}
		return nil
	})
	if err == nil {
		s.hold(-dropped)
	}
	return err
}
