package streams

import (
	"context"
	"fmt"
	"slices"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
)

// Split closes a shard and puts two in its place: one up to the hash key at, in
// decimal, one from it on. Errors: NotFound, InUse, Invalid, LimitExceeded,
// Unsupported when the stream is on-demand, those of the log.
func (s *Service) Split(ctx context.Context, scope catalog.Scope, name, shard, at string) error {
	return s.reshard(ctx, scope, name, func(d *redraw) error {
		sh, err := d.eligible(shard)
		if err != nil {
			return err
		}
		key, ok := ids.ParseHash(at)
		if !ok || key.Compare(sh.Range.Start.Next()) <= 0 || key.Compare(sh.Range.End) >= 0 {
			return invalid("NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account %s is not both "+
				"greater than one plus the shard's StartingHashKey %s and less than the shard's EndingHashKey %s.",
				at, sh.Number, name, scope.Account, sh.Range.Start, sh.Range.End)
		}
		d.split(sh.Number, key)
		return nil
	})
}

// Merge closes two shards whose ranges meet and puts one in their place. Errors:
// as Split's.
func (s *Service) Merge(ctx context.Context, scope catalog.Scope, name, shard, adjacent string) error {
	return s.reshard(ctx, scope, name, func(d *redraw) error {
		a, err := d.eligible(shard)
		if err != nil {
			return err
		}
		b, err := d.eligible(adjacent)
		if err != nil {
			return err
		}
		if !meet(a.Range, b.Range) && !meet(b.Range, a.Range) {
			return invalid("Shards %s and %s in stream %s under account %s are not an adjacent pair of shards eligible for merging",
				a.Number, b.Number, name, scope.Account)
		}
		d.merge(a.Number, b.Number)
		return nil
	})
}

// meet reports whether b begins where a ends.
func meet(a, b ids.Range) bool { return a.End != ids.MaxHash && a.End.Next() == b.Start }

// Scale redraws a stream into target shards of equal ranges, by as many splits
// and merges as that takes, and returns how many were open before. At most
// MaxScalings may change a stream in a day. Errors: as Split's.
func (s *Service) Scale(ctx context.Context, scope catalog.Scope, name string, target int) (before int, err error) {
	err = s.reshard(ctx, scope, name, func(d *redraw) error {
		before = OpenShards(d.r)
		counts := fmt.Sprintf("Current open shard count: %d Target shard count: %d", before, target)
		switch {
		case target > MaxScaleShards:
			return errs.New(errs.LimitExceeded, fmt.Sprintf("Target shard count or number of open shards cannot be greater than %d. %s",
				MaxScaleShards, counts))
		case target > 2*before:
			return errs.New(errs.LimitExceeded, "UpdateShardCount cannot scale up over double your current open shard count. "+counts)
		case 2*target < before:
			return errs.New(errs.LimitExceeded, "UpdateShardCount cannot scale down below half of your current open shard count. "+counts)
		}
		d.uniform(target)
		day := lastDay(d.r.Stream.Scalings, d.now)
		switch {
		case !d.changed():
			return nil
		case len(day) >= MaxScalings:
			return errs.New(errs.LimitExceeded, fmt.Sprintf("Stream %s under account %s cannot be scaled more than %d times in 24 hours.",
				name, scope.Account, MaxScalings))
		}
		d.r.Stream.Scalings = append(day, d.now)
		return nil
	})
	return before, err
}

// lastDay returns those of times that are less than a day before now, all in
// Unix milliseconds, in storage of their own.
func lastDay(times []int64, now int64) []int64 {
	return slices.DeleteFunc(slices.Clone(times), func(t int64) bool { return t <= now-(24*time.Hour).Milliseconds() })
}

// reshard is redraw for a provisioned stream.
func (s *Service) reshard(ctx context.Context, scope catalog.Scope, name string, plan func(*redraw) error) error {
	return s.redraw(ctx, scope, name, func(_ *catalog.Tx, d *redraw) error {
		if d.r.Stream.Mode == catalog.OnDemand {
			return errs.New(errs.Unsupported, fmt.Sprintf("Request is invalid. Stream %s under account %s is in On-Demand mode.",
				name, scope.Account))
		}
		return plan(d)
	})
}
