package brokers

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/clock"
)

// Commit is an offset to be committed; its Err is what became of it.
type Commit struct {
	Topic     string
	Partition int32
	Committed
	// Retention is how long it is kept, milliseconds; 0 is as long as its group.
	Retention int64
	Err       *Error
}

// Commit makes offsets of a group durable. The error is for all of them;
// otherwise each has its own.
func (gs *Groups) Commit(ctx context.Context, id, memberID, instance string, generation int32, list []Commit) *Error {
	good := gs.checkCommits(list, clock.Millis(gs.cluster.clock))
	if err := gs.admit(bytesOfCommits(id, list)); err != nil {
		return err
	}
	var refused *Error
	var wait chan *Error
	found, err := gs.with(ctx, id, generation < 0, func(e *entry, now int64) {
		if refused = e.mayCommit(now, memberID, instance, generation, list); refused == nil && good > 0 {
			wait = make(chan *Error, 1)
			gs.storeOffsets(e, list, func(err *Error) { wait <- err })
		}
	})
	switch {
	case err != nil:
		return err
	case !found:
		return refuse(GroupIDNotFound, "There is no such group, so it has no such generation.")
	case wait != nil:
		return await(ctx, wait)
	}
	return refused
}

// checkCommits refuses what cannot be committed, gives the others the time, and
// counts them.
func (gs *Groups) checkCommits(list []Commit, now int64) (good int) {
	for i := range list {
		c := &list[i]
		t := gs.cluster.Topic(c.Topic)
		switch {
		case c.Err != nil:
			continue
		case t == nil || c.Partition < 0 || c.Partition >= t.Partitions():
			c.Err = refuse(UnknownTopic, "This server does not host this topic-partition.")
			continue
		case len(c.Metadata) > MaxOffsetMetadata:
			c.Err = refuse(OffsetMetadataTooLarge, "The metadata field of the offset request was too large.")
			continue
		}
		c.Time = now
		if c.Retention > 0 {
			c.Expires = now + min(c.Retention, maxAgeMillis)
		}
		good++
	}
	return good
}

// Fetched is what a group has committed for a partition.
type Fetched struct {
	Committed
	OK bool // it has committed something
	// Unstable tells that an open transaction will decide on it.
	Unstable bool
}

// Fetch shows fn what a group has committed. A group that there is not has
// committed nothing.
func (gs *Groups) Fetch(ctx context.Context, id string, fn func(get func(topic string, partition int32) Fetched)) *Error {
	found, err := gs.with(ctx, id, false, func(e *entry, _ int64) {
		fn(func(topic string, partition int32) Fetched {
			k := topicPartition{topic, partition}
			c, ok := e.offsets[k]
			return Fetched{Committed: c, OK: ok, Unstable: e.unstable(k)}
		})
	})
	if err == nil && !found {
		fn(func(string, int32) Fetched { return Fetched{} })
	}
	return err
}

// MayFetch refuses a member of a group of the consumer protocol whose epoch is not
// the one that it says, before it is shown anything; id is nil for who is none.
func (gs *Groups) MayFetch(ctx context.Context, group string, id *string, epoch int32) (refused *Error) {
	_, err := gs.with(ctx, group, false, func(e *entry, _ int64) {
		if e.consumers != nil {
			refused = e.consumers.mayFetch(id, epoch)
		}
	})
	if err != nil {
		return err
	}
	return refused
}

// OfConsumerProtocol tells whether the group has such a member, and it is one of the
// consumer protocol.
func (gs *Groups) OfConsumerProtocol(ctx context.Context, group, member string) (is bool, err *Error) {
	_, err = gs.with(ctx, group, false, func(e *entry, _ int64) {
		if e.consumers != nil && !e.shares() {
			m := e.consumers.members[member]
			is = m != nil && m.classic == nil
		}
	})
	return is, err
}

// FetchAll shows everything that a group has committed, by topic and partition.
func (gs *Groups) FetchAll(ctx context.Context, id string, fn func(topic string, partition int32, c Fetched)) *Error {
	_, err := gs.with(ctx, id, false, func(e *entry, _ int64) {
		for _, k := range keys(e.offsets) {
			fn(k.topic, k.partition, Fetched{Committed: e.offsets[k], OK: true, Unstable: e.unstable(k)})
		}
	})
	return err
}

// DeleteOffsets removes committed offsets of topics that no member reads.
func (gs *Groups) DeleteOffsets(ctx context.Context, id string, list []Commit) *Error {
	refused := refuse(GroupIDNotFound, "The group id does not exist.")
	var wait chan *Error
	_, err := gs.with(ctx, id, false, func(e *entry, _ int64) {
		if e.shares() {
			refused = notOf(id, false)
			return
		}
		refused = nil
		if e.members() > 0 && e.consumers == nil && e.group.protocolType != "consumer" {
			refused = refuse(NonEmptyGroup, "The group is not empty.")
			return
		}
		read := e.subscribed()
		var gone []topicPartition
		for i := range list {
			c := &list[i]
			k := topicPartition{c.Topic, c.Partition}
			switch t := gs.cluster.Topic(c.Topic); {
			case t == nil || c.Partition < 0 || c.Partition >= t.Partitions():
				c.Err = refuse(UnknownTopic, "This server does not host this topic-partition.")
			case slices.Contains(read, c.Topic):
				c.Err = refuse(GroupSubscribed, "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it.")
			default:
				if _, ok := e.offsets[k]; ok {
					gone = append(gone, k)
				}
			}
		}
		if len(gone) > 0 {
			wait = make(chan *Error, 1)
			gs.forget(e, gone, false, func(err *Error) { wait <- err })
		}
	})
	if err != nil {
		return err
	}
	if wait != nil {
		return await(ctx, wait)
	}
	return refused
}

// mayCommit refuses offsets of who may not commit; mu is held.
func (e *entry) mayCommit(now int64, memberID, instance string, generation int32, list []Commit) *Error {
	switch {
	case e.shares():
		return notOf(e.id, false)
	case e.consumers != nil:
		return e.consumers.mayCommit(memberID, generation, list)
	}
	return e.group.mayCommit(now, memberID, instance, generation)
}

// subscribed are the topics that members read; mu is held.
func (e *entry) subscribed() []string {
	if e.consumers != nil {
		return e.consumers.subscribed()
	}
	return e.group.subscribed()
}

// subscribed are the topics that the members of a group of consumers read.
func (g *group) subscribed() []string {
	var out []string
	for _, m := range g.members {
		for _, p := range m.protocols {
			var meta kmsg.ConsumerMemberMetadata
			if meta.ReadFrom(p.Metadata) == nil {
				out = append(out, meta.Topics...)
			}
		}
	}
	return out
}
