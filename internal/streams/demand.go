package streams

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/ids"
)

// An on-demand stream grows with what is put to it: a shard whose writes, over
// demandEvery, come to more than half of what a shard takes is split in the
// middle of its range, so that the stream takes twice the most it has seen. A
// split helps only where both halves have their part: a shard of one busy key
// stays whole. Streams do not shrink.
// See docs/adr/0021-an-on-demand-stream-grows-by-its-hot-shards.md.

const (
	// demandEvery is how often demand is looked at, and over how long it is
	// averaged.
	demandEvery = 10 * time.Second
	// ShardWriteBytes and ShardWriteRecords are what a shard takes in a second.
	ShardWriteBytes   = 1 << 20
	ShardWriteRecords = 1000
	// lesserHalf is the least part of a shard's bytes that the lesser half of its
	// range has for a split to help: one in so many.
	lesserHalf = 8
)

// OnDemandMax is the most shards of an on-demand stream: of 10 GB/s in three
// regions, of 200 MB/s in every other.
func OnDemandMax(region string) int {
	switch region {
	case "us-east-1", "us-west-2", "eu-west-1":
		return MaxWarmMiBps
	}
	return 200
}

// load counts what is put to a shard of an on-demand stream.
type load struct {
	records atomic.Int64
	bytes   atomic.Int64
	low     atomic.Int64 // of bytes: those for the lower half of its range
}

// demand is what was put to a shard over a time.
type demand struct {
	shard               ids.Shard
	records, bytes, low int64
}

// take returns what was counted and begins anew.
func (l *load) take(shard ids.Shard) demand {
	return demand{shard: shard, records: l.records.Swap(0), bytes: l.bytes.Swap(0), low: l.low.Swap(0)}
}

// part is how much of a shard's capacity was used over elapsed.
func (d demand) part(elapsed time.Duration) float64 {
	return max(float64(d.bytes)/ShardWriteBytes, float64(d.records)/ShardWriteRecords) / elapsed.Seconds()
}

// divides reports whether a split in the middle takes enough off.
func (d demand) divides() bool { return min(d.low, d.bytes-d.low)*lesserHalf >= d.bytes }

// meetDemand grows the on-demand streams of which shards were put to more than
// half of what they take, over elapsed.
func (s *Service) meetDemand(ctx context.Context, elapsed time.Duration) {
	for _, r := range s.catalog.All(catalog.KindStream) {
		if r.Stream.Mode != catalog.OnDemand || r.State == catalog.Deleting {
			continue
		}
		if hot := s.hot(r.Stream.Number, elapsed); len(hot) > 0 {
			// What cannot be done now, for want of quota, memory or disk, or while the
			// stream is changed otherwise, is seen again when the demand goes on.
			_ = s.grow(ctx, r.Key, hot)
		}
	}
}

// hot takes what a stream's shards counted over elapsed, and returns those to be
// split, hottest first.
func (s *Service) hot(stream uint64, elapsed time.Duration) []ids.Shard {
	s.mu.RLock()
	rt := s.routes[stream]
	s.mu.RUnlock()
	if rt == nil {
		return nil
	}
	var demands []demand
	for i := range rt.open {
		if sh := &rt.open[i]; sh.load != nil {
			if d := sh.load.take(sh.number); d.part(elapsed) > 0.5 && d.divides() {
				demands = append(demands, d)
			}
		}
	}
	slices.SortFunc(demands, func(a, b demand) int { return cmp.Compare(b.part(elapsed), a.part(elapsed)) })
	out := make([]ids.Shard, len(demands))
	for i, d := range demands {
		out[i] = d.shard
	}
	return out
}

// grow splits shards of an on-demand stream, as many of them as its limit and the
// account's quota allow.
func (s *Service) grow(ctx context.Context, key catalog.Key, shards []ids.Shard) error {
	return s.redraw(ctx, key.Scope, key.Name, func(tx *catalog.Tx, d *redraw) error {
		if d.r.Stream.Mode != catalog.OnDemand {
			return nil
		}
		open, _ := s.count(tx.List(catalog.KindStream, key.Scope))
		room := min(OnDemandMax(key.Region)-OpenShards(d.r), s.quota(key.Region)-open)
		for _, number := range shards {
			sh := shardOf(d.r, number)
			if sh == nil || !sh.Open() || sh.Range.Start == sh.Range.End {
				continue
			}
			if room--; room < 0 {
				break
			}
			d.split(number, sh.Range.Middle())
		}
		return nil
	})
}
