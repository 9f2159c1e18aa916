package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/log"
)

// redraw is a resharding in the making: splits and merges of a stream's shards,
// one upon another, that take effect together.
//
// A shard closes at the moment at which its children are made, a whole second
// after the second of its own creation at least, and numbers are given in the
// order of making. So at any time exactly one shard takes a hash key, a child's
// number is above its parents', and so is each of its sequence numbers. The
// moment may be ahead of the clock, by seconds, where shards are short-lived.
type redraw struct {
	r       *catalog.Resource // a copy; its shards change
	now     int64             // Unix ms
	entries []log.Entry
	was     int  // shards before
	put     bool // something else of r changed
}

func newRedraw(r *catalog.Resource, now int64) *redraw {
	return &redraw{r: r, now: now, was: len(r.Stream.Shards)}
}

// changed reports whether anything was drawn.
func (d *redraw) changed() bool { return len(d.r.Stream.Shards) > d.was }

// find returns the shard that a client names by id.
func (d *redraw) find(id string) (*catalog.Shard, error) {
	if err := CheckShardID(d.r.Account, d.r.Name, id); err != nil {
		return nil, err
	}
	number, _ := ids.ParseShard(id)
	sh := shardOf(d.r, number)
	if sh == nil {
		return nil, noSuchShard(d.r.Account, d.r.Name, number.String())
	}
	return sh, nil
}

// eligible returns the shard that a client names by id, if it is open.
func (d *redraw) eligible(id string) (*catalog.Shard, error) {
	sh, err := d.find(id)
	if err == nil && !sh.Open() {
		return nil, invalid("Shard %s in stream %s under account %s has already been merged or split, and thus is not eligible "+
			"for merging or splitting.", sh.Number, d.r.Name, d.r.Account)
	}
	return sh, err
}

// split closes a shard and returns the two in its place, the upper of which
// begins at at.
func (d *redraw) split(parent ids.Shard, at ids.Hash) (low, high ids.Shard) {
	r := shardOf(d.r, parent).Range
	created := d.end(parent)
	low = d.add(created, ids.Range{Start: r.Start, End: at.Prev()}, parent)
	high = d.add(created, ids.Range{Start: at, End: r.End}, parent)
	return low, high
}

// merge closes two shards whose ranges meet and returns the one in their place.
func (d *redraw) merge(parent, adjacent ids.Shard) ids.Shard {
	a, b := shardOf(d.r, parent).Range, shardOf(d.r, adjacent).Range
	if b.Start.Compare(a.Start) < 0 {
		a, b = b, a
	}
	created := d.end(parent, adjacent)
	return d.add(created, ids.Range{Start: a.Start, End: b.End}, parent, adjacent)
}

// end closes shards and returns when.
func (d *redraw) end(parents ...ids.Shard) int64 {
	at := d.now
	for _, p := range parents {
		at = max(at, (shardOf(d.r, p).Created/1000+1)*1000)
	}
	for _, p := range parents {
		shardOf(d.r, p).Closed = at
		d.entries = append(d.entries, log.Entry{Kind: log.Seal, Partition: d.r.Stream.PartitionOf(p)})
	}
	return at
}

func (d *redraw) add(created int64, r ids.Range, parents ...ids.Shard) ids.Shard {
	st := d.r.Stream
	number := st.Shards[len(st.Shards)-1].Number + 1 // the last one made has children, or is open: it is there
	st.Shards = append(st.Shards, catalog.Shard{Number: number, Range: r, Parents: parents, Created: created})
	d.entries = append(d.entries, log.Entry{Kind: log.Create, Partition: st.PartitionOf(number), Config: partitionConfig(st)})
	return number
}

// uniform makes n shards of equal ranges out of those that are open. Each is
// split where one of the new ranges begins, and the pieces of each new range are
// merged, both by halves: the shards in between are few and short lines of
// descent.
func (d *redraw) uniform(n int) {
	targets := ids.UniformRanges(n)
	var pieces []ids.Shard
	cuts := targets[1:]
	for _, sh := range d.open() {
		for len(cuts) > 0 && cuts[0].Start.Compare(sh.Range.Start) <= 0 {
			cuts = cuts[1:]
		}
		inside := 0
		for inside < len(cuts) && sh.Range.Contains(cuts[inside].Start) {
			inside++
		}
		pieces = d.cut(sh.Number, cuts[:inside], pieces)
	}
	for _, t := range targets {
		within := 0
		for within < len(pieces) && t.Contains(shardOf(d.r, pieces[within]).Range.Start) {
			within++
		}
		d.join(pieces[:within])
		pieces = pieces[within:]
	}
}

// open returns the open shards by rising range. They stay as they are.
func (d *redraw) open() []catalog.Shard {
	open := slices.DeleteFunc(slices.Clone(d.r.Stream.Shards), func(sh catalog.Shard) bool { return !sh.Open() })
	slices.SortFunc(open, func(a, b catalog.Shard) int { return a.Range.Start.Compare(b.Range.Start) })
	return open
}

// cut splits a shard where each of the ranges begins, and appends the pieces by
// rising range.
func (d *redraw) cut(shard ids.Shard, at []ids.Range, pieces []ids.Shard) []ids.Shard {
	if len(at) == 0 {
		return append(pieces, shard)
	}
	mid := len(at) / 2
	low, high := d.split(shard, at[mid].Start)
	return d.cut(high, at[mid+1:], d.cut(low, at[:mid], pieces))
}

// join merges shards, given by rising range, into one.
func (d *redraw) join(shards []ids.Shard) ids.Shard {
	if len(shards) == 1 {
		return shards[0]
	}
	mid := len(shards) / 2
	return d.merge(d.join(shards[:mid]), d.join(shards[mid:]))
}

// redraw runs plan on a stream and makes what it drew durable, in one update.
// Errors: NotFound, InUse, LimitExceeded, Invalid for a topic, those of plan and
// of the log.
func (s *Service) redraw(ctx context.Context, scope catalog.Scope, name string, plan func(*catalog.Tx, *redraw) error) error {
	made := 0
	var entries []log.Entry
	err := s.change(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		if err := refuseTopic(r, "CreatePartitions"); err != nil {
			return err
		}
		open := OpenShards(r)
		d := newRedraw(r, clock.Millis(s.clock))
		if err := plan(tx, d); err != nil || !d.changed() && !d.put {
			return err
		}
		if err := s.checkShards(tx, scope, OpenShards(r)-open, len(r.Stream.Shards)-d.was); err != nil {
			return err
		}
		if d.changed() && s.transition > 0 {
			r.State, r.Until = catalog.Updating, d.now+s.transition.Milliseconds()
		}
		tx.Put(r)
		for _, e := range d.entries {
			tx.Entry(e)
		}
		made, entries = len(r.Stream.Shards)-d.was, d.entries
		s.hold(made) // here, so that the next update sees it
		return nil
	})
	s.closing.note(entries, clock.Millis(s.clock), errors.Is(err, log.ErrInTransaction))
	if errors.Is(err, log.ErrInTransaction) {
		err = &errs.Error{Kind: errs.InUse, Err: err, Msg: fmt.Sprintf("A transaction of a Kafka producer is open in a shard of stream %s "+
			"under account %s that is to be closed. Try again when it has ended.", name, scope.Account)}
	}
	if err != nil {
		s.hold(-made)
		return err
	}
	s.rouse()
	return nil
}
