package streams

import (
	"context"
	"slices"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
)

// Children returns the shards that go on where a closed shard of r ends: two
// after a split, one after a merge, none while it is open. See
// docs.aws.amazon.com/kinesis/latest/APIReference/API_ChildShard.html.
func Children(r *catalog.Resource, number ids.Shard) []*catalog.Shard {
	var out []*catalog.Shard
	for i := range r.Stream.Shards {
		if sh := &r.Stream.Shards[i]; slices.Contains(sh.Parents, number) {
			out = append(out, sh)
		}
	}
	return out
}

// Current returns pos in its stream as that is now. Where the log has closed the
// shard, the stream says so too: a reader that the log has woken finds the
// children. Errors: NotFound when stream or shard is gone, those of the log.
func (s *Service) Current(ctx context.Context, pos Position) (Position, error) {
	old := pos.Stream
	r, err := s.settled(ctx, old, pos.Shard)
	if err != nil {
		return pos, err
	}
	pos.Stream = r
	return pos, nil
}

// settled returns the stream old as it is once the log and the catalog agree on
// shard: a partition is sealed a moment before the catalog shows its children.
func (s *Service) settled(ctx context.Context, old *catalog.Resource, shard ids.Shard) (*catalog.Resource, error) {
	r, sh := s.shardNow(old, shard)
	if sh == nil {
		return nil, shardNotFound(old.Account, old.Name, shard.String())
	}
	if !sh.Open() {
		return r, nil
	}
	info, err := s.log.Info(r.Stream.PartitionOf(shard))
	if err != nil {
		return nil, s.logError(old, shard, err)
	}
	if !info.Sealed {
		return r, nil
	}
	// An update begins when the one under way is done and visible.
	if err := s.catalog.Update(ctx, func(*catalog.Tx) error { return nil }); err != nil {
		return nil, err
	}
	switch r, sh = s.shardNow(old, shard); {
	case sh == nil:
		return nil, shardNotFound(old.Account, old.Name, shard.String())
	case sh.Open():
		return nil, errs.New(errs.Internal, "shard "+shard.String()+" of stream "+old.Name+" is sealed but not closed")
	}
	return r, nil
}

// shardNow returns the stream old and its shard as they are now, nil if one is
// gone.
func (s *Service) shardNow(old *catalog.Resource, shard ids.Shard) (*catalog.Resource, *catalog.Shard) {
	r := s.catalog.StreamNumber(old.Stream.Number)
	if !s.visible(r) {
		return nil, nil
	}
	return r, shardOf(r, shard)
}
