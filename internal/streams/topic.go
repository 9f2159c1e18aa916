package streams

import (
	"context"

	"thalweg/internal/catalog"
	"thalweg/internal/ids"
	"thalweg/internal/log"
)

// A topic is a stream that Kafka's door owns. Readers and writers of streams see
// it as one with uniform shards, unless it is hidden; what it consists of is
// changed here, at the request of the domain of brokers, which knows the rules.

// hidden tells a topic that readers of streams do not see.
func hidden(r *catalog.Resource) bool { return r.Stream.Topic != nil && r.Stream.Topic.Hidden }

// refuseTopic refuses a change of a topic through the API of streams; call is
// the one to use.
func refuseTopic(r *catalog.Resource, call string) error {
	if r.Stream.Topic == nil {
		return nil
	}
	return invalid("Stream %s under account %s is an Apache Kafka topic. Use %s of the Kafka protocol.", r.Name, r.Account, call)
}

// topicHours is the retention that readers of streams are shown: the topic's in
// whole hours, within what streams can have.
func topicHours(t *catalog.Topic) int {
	if t.MaxAgeMillis == 0 {
		return MaxRetentionHours
	}
	hours := (t.MaxAgeMillis + 3600_000 - 1) / 3600_000
	return int(min(max(hours, MinRetentionHours), MaxRetentionHours))
}

// Exists tells whether the name of r is taken: anything but a stream that only
// waits to be swept up.
func (s *Service) Exists(r *catalog.Resource) bool { return r != nil && !s.gone(r) }

// ChangeTopic runs change on a copy of a topic's settings and puts it in place,
// with its partitions' configuration. Errors: NotFound, InUse, those of change
// and of the log.
func (s *Service) ChangeTopic(ctx context.Context, scope catalog.Scope, name string, change func(*catalog.Topic) error) error {
	return s.changeTopic(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		if err := change(r.Stream.Topic); err != nil {
			return err
		}
		r.Stream.RetentionHours = topicHours(r.Stream.Topic)
		tx.Put(r)
		configure(tx, r.Stream)
		return nil
	})
}

// GrowTopic gives a topic more partitions, up to n, and draws the ranges of all
// anew. They count as made with the topic: they have no parents by which a reader
// that begins at an earlier time could find them. Errors: NotFound, InUse, LimitExceeded, those of the log.
func (s *Service) GrowTopic(ctx context.Context, scope catalog.Scope, name string, n int) error {
	added := 0
	err := s.changeTopic(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		old := len(r.Stream.Shards)
		if n <= old {
			return nil
		}
		if err := s.checkShards(tx, scope, n-old, n-old); err != nil {
			return err
		}
		for i, rng := range ids.UniformRanges(n) {
			if i < old {
				r.Stream.Shards[i].Range = rng
				continue
			}
			r.Stream.Shards = append(r.Stream.Shards, catalog.Shard{Number: ids.Shard(i), Range: rng, Created: r.Created})
			tx.Entry(log.Entry{Kind: log.Create, Partition: r.Stream.PartitionOf(ids.Shard(i)), Config: partitionConfig(r.Stream)})
		}
		tx.Put(r)
		added = n - old
		s.hold(added)
		return nil
	})
	if err != nil {
		s.hold(-added)
	}
	return err
}

// DeleteTopic removes a topic and its records. Errors: NotFound, InUse, those of
// the log.
func (s *Service) DeleteTopic(ctx context.Context, scope catalog.Scope, name string) error {
	var gone removed
	err := s.changeTopic(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		gone = s.removeIn(tx, r)
		return nil
	})
	if err == nil {
		s.forget(gone)
	}
	return err
}

// changeTopic runs fn in an update, with a copy of an ACTIVE topic that fn may
// alter and put.
func (s *Service) changeTopic(ctx context.Context, scope catalog.Scope, name string, fn func(*catalog.Tx, *catalog.Resource) error) error {
	return s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		r := tx.Get(streamKey(scope, name))
		if r == nil || s.gone(r) || r.Stream.Topic == nil {
			return notFound(scope.Account, name)
		}
		return fn(tx, r.Clone())
	})
}
