package streams

import (
	"context"
	"fmt"
	"time"

	"thalweg/internal/arn"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/log"
)

// NewStream is what a stream is made from.
type NewStream struct {
	Scope catalog.Scope
	Name  string
	Mode  catalog.StreamMode
	// Shards is at least 1; an on-demand stream gets OnDemandShards whatever it
	// says, or as many as WarmMiBps takes.
	Shards int
	// WarmMiBps is the write throughput that an on-demand stream begins with; 0 is
	// what its shards give.
	WarmMiBps int
	Tags      map[string]string
	// MaxRecordKiB is 1024 to 10240; 0 is the default.
	MaxRecordKiB     int
	AutoDistribution bool
	// Topic makes a Kafka topic, whose shards are its partitions; nil is a stream
	// like any other.
	Topic *catalog.Topic
}

// Create makes a stream with its shards, in one step. Errors: Exists, LimitExceeded,
// Invalid, those of the log.
func (s *Service) Create(ctx context.Context, n NewStream) error {
	if n.Mode == catalog.OnDemand {
		n.Shards = warmShards(n.WarmMiBps)
	}
	if n.MaxRecordKiB == 0 {
		n.MaxRecordKiB = DefaultMaxRecordKiB
	}
	if err := checkTags("add tags to", ownerStream(n.Scope, n.Name), tagTexts(n.Tags)); err != nil {
		return err
	}
	if err := checkLimitsTag(n.Tags); err != nil {
		return err
	}
	if len(n.Tags) > MaxTags {
		return tooManyTags(ownerStream(n.Scope, n.Name))
	}
	held := 0 // as hold counts
	var replaced removed
	err := s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		key := streamKey(n.Scope, n.Name)
		last := tx.LastSecond(key)
		if old := tx.Get(key); old != nil {
			if !s.gone(old) {
				return errs.New(errs.Exists, fmt.Sprintf("Stream %s under account %s already exists.", n.Name, n.Scope.Account))
			}
			replaced = s.removeIn(tx, old)
			last = lastSecond(old)
		}
		if n.WarmMiBps > 0 {
			if err := s.checkWarm(tx.Get(accountKey(n.Scope)), n.Mode, n.WarmMiBps); err != nil {
				return err
			}
		}
		if err := s.checkShards(tx, n.Scope, n.Shards, n.Shards); err != nil {
			return err
		}
		if n.Mode == catalog.OnDemand {
			if err := s.checkOnDemand(tx, n.Scope); err != nil {
				return err
			}
		}
		now := clock.Millis(s.clock)
		r := newResource(key, n, tx.NewStreamNumber(), max(now, (last+1)*1000))
		if s.transition > 0 {
			r.State, r.Until = catalog.Creating, now+s.transition.Milliseconds()
		}
		tx.Put(r)
		for i := range r.Stream.Shards {
			tx.Entry(log.Entry{
				Kind: log.Create, Partition: r.Stream.PartitionOf(r.Stream.Shards[i].Number),
				Config: partitionConfig(r.Stream),
			})
		}
		held = n.Shards - replaced.held
		s.hold(held) // here, so that the next update sees it
		return nil
	})
	if err != nil {
		s.hold(-held)
		return err
	}
	s.forgetRoute(replaced.number)
	s.rouse()
	return nil
}

// hold draws what n more shards or consumers need, or gives back what -n needed.
func (s *Service) hold(n int) {
	s.shards.Add(int64(n))
	if bytes := int64(n) * shardBytes; bytes > 0 {
		s.memory.Take(bytes)
	} else {
		s.memory.Release(-bytes)
	}
}

func newResource(key catalog.Key, n NewStream, number uint64, created int64) *catalog.Resource {
	st := &catalog.Stream{
		Number: number, Generation: 1, Mode: n.Mode, RetentionHours: MinRetentionHours,
		MaxRecordKiB: n.MaxRecordKiB, AutoDistribution: n.AutoDistribution,
		WarmMiBps: n.WarmMiBps, Topic: n.Topic,
	}
	if n.Topic != nil {
		st.RetentionHours = topicHours(n.Topic)
	}
	for i, r := range ids.UniformRanges(n.Shards) {
		st.Shards = append(st.Shards, catalog.Shard{Number: ids.Shard(i), Range: r, Created: created})
	}
	return &catalog.Resource{
		Key: key, Created: created, State: catalog.Active, Tags: n.Tags, Stream: st,
		ARN: arn.New("kinesis", n.Scope.Region, n.Scope.Account, "stream/"+n.Name).String(),
	}
}

func partitionConfig(st *catalog.Stream) log.Config {
	c := log.Config{MaxAge: time.Duration(st.RetentionHours) * time.Hour, KeyID: st.DataKey}
	if t := st.Topic; t != nil {
		c.MaxAge, c.MaxBytes = time.Duration(t.MaxAgeMillis)*time.Millisecond, t.MaxBytes
		if k := t.Compaction; k.On {
			c.Compaction = log.Compaction{
				On: true, MinDirty: k.MinDirty, MinBytes: k.MinBytes, MinWait: time.Duration(k.MinWaitMillis) * time.Millisecond,
				MinLag: time.Duration(k.MinLagMillis) * time.Millisecond, MaxLag: time.Duration(k.MaxLagMillis) * time.Millisecond,
				Tombstones: time.Duration(k.TombstoneMillis) * time.Millisecond,
			}
		}
	}
	return c
}

// checkShards says whether a scope may have so many more open shards, and this
// server made more shards in all.
func (s *Service) checkShards(tx *catalog.Tx, scope catalog.Scope, more, made int) error {
	open, _ := s.count(tx.List(catalog.KindStream, scope))
	if limit := s.quota(scope.Region); more > 0 && open+more > limit {
		return errs.New(errs.LimitExceeded, fmt.Sprintf("This request would exceed the shard limit for the account %s in %s. "+
			"Current shard count for the account: %d. Limit: %d. Number of additional shards that would have "+
			"resulted from this request: %d. Refer to the AWS Service Limits page "+
			"(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) "+
			"for current limits and how to request higher limits.",
			scope.Account, scope.Region, open, limit, more))
	}
	if err := s.checkRoom(made); err != nil {
		return err
	}
	return nil
}

// checkOnDemand says whether a scope may have one more on-demand stream.
func (s *Service) checkOnDemand(tx *catalog.Tx, scope catalog.Scope) error {
	if _, onDemand := s.count(tx.List(catalog.KindStream, scope)); onDemand >= OnDemandStreams {
		return errs.New(errs.LimitExceeded, fmt.Sprintf("This request would exceed the on-demand stream limit for the account %s in %s. "+
			"Current on-demand stream count for the account: %d. Limit: %d.", scope.Account, scope.Region, onDemand, OnDemandStreams))
	}
	return nil
}

// checkRoom returns the error for n more shards or consumers than there is memory
// for.
func (s *Service) checkRoom(n int) error {
	if room := s.memory.Max() / 2 / shardBytes; room > 0 && s.shards.Load()+int64(n) > room {
		return errs.New(errs.LimitExceeded, fmt.Sprintf("The memory of this server is enough for %d shards and consumers in all accounts and "+
			"regions. Start it with a larger --memory.", room))
	}
	return nil
}

// Usage is what an account uses of its quotas in a region.
type Usage struct{ OpenShards, ShardLimit, OnDemandStreams int }

// Usage counts a scope's streams.
func (s *Service) Usage(scope catalog.Scope) Usage {
	open, onDemand := s.count(s.catalog.List(catalog.KindStream, scope))
	return Usage{OpenShards: open, ShardLimit: s.quota(scope.Region), OnDemandStreams: onDemand}
}

func (s *Service) count(streams []*catalog.Resource) (open, onDemand int) {
	for _, r := range streams {
		if s.gone(r) {
			continue
		}
		open += OpenShards(r)
		if r.Stream.Mode == catalog.OnDemand {
			onDemand++
		}
	}
	return open, onDemand
}

// OpenShards is the number of shards of r that take records.
func OpenShards(r *catalog.Resource) (n int) {
	for i := range r.Stream.Shards {
		if r.Stream.Shards[i].Open() {
			n++
		}
	}
	return n
}

// Delete removes a stream and its records. Errors: NotFound, InUse while it is
// being created or deleted, or has registered consumers, queues or channels; Invalid for a topic;
// those of the log.
func (s *Service) Delete(ctx context.Context, scope catalog.Scope, name string) error {
	return s.delete(ctx, scope, name, false)
}

// DeleteWithConsumers is Delete for a stream and whatever consumers it has.
func (s *Service) DeleteWithConsumers(ctx context.Context, scope catalog.Scope, name string) error {
	return s.delete(ctx, scope, name, true)
}

func (s *Service) delete(ctx context.Context, scope catalog.Scope, name string, consumers bool) error {
	var gone removed
	err := s.change(ctx, scope, name, func(tx *catalog.Tx, r *catalog.Resource) error {
		if err := refuseTopic(r, "DeleteTopics"); err != nil {
			return err
		}
		if len(tx.Queues(r.Stream.Number)) > 0 {
			return errs.New(errs.InUse, "DeleteStream can't delete "+r.ARN+" because there are queues associated with this data stream. "+
				"Delete them first.")
		}
		if len(tx.Channels(r.Stream.Number)) > 0 {
			return errs.New(errs.InUse, "DeleteStream can't delete "+r.ARN+" because there are channels associated with this data stream. "+
				"Delete them first.")
		}
		if !consumers && len(tx.Consumers(r.Stream.Number)) > 0 {
			return errs.New(errs.InUse, "DeleteStream can't delete "+r.ARN+" because there are consumers associated with this data stream. "+
				"To delete "+name+" anyway, set the EnforceConsumerDeletion parameter to true to force the deletion of all the "+
				"consumers that are associated with it.")
		}
		if s.transition > 0 {
			r.State, r.Until = catalog.Deleting, clock.Millis(s.clock)+s.transition.Milliseconds()
			tx.Put(r)
			return nil
		}
		gone = s.removeIn(tx, r)
		return nil
	})
	if err != nil {
		return err
	}
	s.forget(gone)
	s.rouse()
	return nil
}

// rouse has [Service.Run] look at what there is to do.
func (s *Service) rouse() {
	select {
	case s.wake <- struct{}{}:
	default: // a wake-up is waiting already
	}
}

// remove takes away a stream whose time is over.
func (s *Service) remove(ctx context.Context, key catalog.Key) error {
	var gone removed
	err := s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		if r := tx.Get(key); r != nil && s.gone(r) {
			gone = s.removeIn(tx, r)
		}
		return nil
	})
	if err == nil {
		s.forget(gone)
	}
	return err
}

// removed is a stream that was removed, and what was held for it and its
// consumers. The zero removed is none.
type removed struct {
	number uint64
	held   int // as hold counts
}

// forget gives back what was kept for a stream.
func (s *Service) forget(gone removed) {
	s.forgetRoute(gone.number)
	s.hold(-gone.held)
}

// removeIn removes a stream and its consumers.
func (s *Service) removeIn(tx *catalog.Tx, r *catalog.Resource) removed {
	now := clock.Millis(s.clock) / 1000
	tx.Delete(r.Key, lastSecond(r), now)
	consumers := tx.Consumers(r.Stream.Number)
	for _, c := range consumers {
		tx.Delete(c.Key, c.Created/1000, now)
	}
	for i := range r.Stream.Shards {
		tx.Entry(log.Entry{Kind: log.Delete, Partition: r.Stream.PartitionOf(r.Stream.Shards[i].Number)})
	}
	return removed{number: r.Stream.Number, held: len(r.Stream.Shards) + len(consumers)}
}

// lastSecond is the latest creation second in the sequence numbers of r.
func lastSecond(r *catalog.Resource) (second int64) {
	for i := range r.Stream.Shards {
		second = max(second, r.Stream.Shards[i].Created/1000)
	}
	return second
}

// change runs fn in an update, with a copy of an ACTIVE stream that fn may alter
// and put. Errors: NotFound, InUse, those of fn and of the log.
func (s *Service) change(ctx context.Context, scope catalog.Scope, name string, fn func(*catalog.Tx, *catalog.Resource) error) error {
	return s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		r := tx.Get(streamKey(scope, name))
		if !s.visible(r) {
			return notFound(scope.Account, name)
		}
		if state := s.Status(r); state != catalog.Active {
			return errs.New(errs.InUse, fmt.Sprintf("Stream %s under account %s not ACTIVE, instead in state %s",
				name, scope.Account, state))
		}
		r = r.Clone()
		r.State, r.Until = catalog.Active, 0
		return fn(tx, r)
	})
}
