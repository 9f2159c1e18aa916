package brokers

import "context"

// ShareOffset is where a share group is in a partition; Start is -1 where it has not
// begun.
type ShareOffset struct {
	Topic      TopicID
	Partition  int32
	Start, Lag int64
	Epoch      int32
}

// Offset tells where a group is in a partition.
func (ss *Shares) Offset(ctx context.Context, group string, t *Topic, partition int32) (ShareOffset, *Error) {
	out := ShareOffset{Topic: t.ID(), Partition: partition, Start: -1, Lag: -1}
	if ss.cluster.Topic(ShareTopic) == nil {
		return out, nil // no group has begun
	}
	e, err := ss.find(ctx, shareKey{group, t.ID(), partition}, false)
	if err != nil || e == nil {
		return out, err
	}
	at, ok := t.Partition(partition)
	if !ok {
		return out, nil
	}
	info, failed := ss.cluster.log.Info(at)
	if failed != nil {
		return out, logError(failed)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.begun && !e.dead {
		part := &e.state.part
		start := max(part.start, info.Start)
		out.Start, out.Epoch, out.Lag = start, e.state.leaderEpoch, max(info.End-start-part.completed(), 0)
	}
	return out, nil
}

// Offsets tells where a group is, in the order of topics' ids and partitions.
func (ss *Shares) Offsets(ctx context.Context, group string) (out []ShareOffset, err *Error) {
	if ss.cluster.Topic(ShareTopic) == nil {
		return nil, nil
	}
	if err := ss.Ready(ctx); err != nil {
		return nil, err
	}
	for _, e := range ss.where(func(k shareKey) bool { return k.group == group }) {
		t := ss.cluster.TopicByID(e.key.topic)
		if t == nil {
			continue
		}
		o, err := ss.Offset(ctx, group, t, e.key.partition)
		if err != nil {
			return nil, err
		}
		if o.Start >= 0 {
			out = append(out, o)
		}
	}
	return out, nil
}

// SetOffset has a group without members, which is made if there is none, begin anew
// at an offset. It is durable when this returns.
func (ss *Shares) SetOffset(ctx context.Context, group string, t *Topic, partition int32, start int64) *Error {
	e, err := ss.find(ctx, shareKey{group, t.ID(), partition}, true)
	if err != nil {
		return err
	}
	e.mu.Lock()
	if e.dead {
		e.mu.Unlock()
		return refuse(UnknownTopic, "The group does not read this topic-partition any more.")
	}
	e.state.part, e.begun = sharePartition{start: start, next: start}, true
	e.state.epoch++
	w := ss.save(e)
	e.mu.Unlock()
	return ss.finish(e, w)
}

// ForgetTopic has a group without members know nothing of a topic.
func (ss *Shares) ForgetTopic(ctx context.Context, group string, t *Topic) *Error {
	return ss.forget(ctx, func(k shareKey) bool { return k.group == group && k.topic == t.ID() })
}

// EmptyShare finds a share group that has no members, and makes it if there is none
// and create is set.
func (gs *Groups) EmptyShare(ctx context.Context, id string, create bool) *Error {
	var refused *Error
	wait := make(chan *Error, 1)
	found, err := gs.with(ctx, id, create, func(e *entry, now int64) {
		switch {
		case e.consumers == nil && create && e.unused():
			e.consumers = gs.newConsumers(id, true)
			e.consumers.targetEpoch, e.consumers.changed, e.records = firstEpoch, true, map[string]digest{}
			gs.account(e)
		case !e.shares():
			refused = notOf(id, true)
			return
		case e.members() > 0:
			refused = refuse(NonEmptyGroup, "The group is not empty.")
			return
		}
		gs.flush(e, now, func(err *Error) { wait <- err })
	})
	switch {
	case err != nil:
		return err
	case !found:
		return refuse(GroupIDNotFound, "Group %s not found.", id)
	case refused != nil:
		return refused
	}
	return await(ctx, wait)
}
