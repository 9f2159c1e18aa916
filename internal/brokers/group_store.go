package brokers

import (
	"context"
	"encoding/binary"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// Versions of the records, as Apache Kafka 4 writes them: an offset and a group
// are told apart by the version of the key.
const (
	offsetKeyVersion   = 1
	groupKeyVersion    = 2
	offsetValueVersion = 3
	timedValueVersion  = 1 // of an offset with a time of its own
	groupValueVersion  = 3
)

// offsetRecord is the record of a committed offset.
func offsetRecord(group string, k topicPartition, c Committed) (key, value []byte) {
	key = offsetKey(group, k)
	v := kmsg.NewOffsetCommitValue()
	v.Version, v.Offset, v.LeaderEpoch, v.Metadata, v.CommitTimestamp = offsetValueVersion, c.Offset, c.Epoch, c.Metadata, c.Time
	if v.ExpireTimestamp = c.Expires; c.Expires > 0 {
		v.Version = timedValueVersion // which has no epoch
	}
	return key, v.AppendTo(nil)
}

func offsetKey(group string, k topicPartition) []byte {
	key := kmsg.NewOffsetCommitKey()
	key.Version, key.Group, key.Topic, key.Partition = offsetKeyVersion, group, k.topic, k.partition
	return key.AppendTo(nil)
}

func groupKey(group string) []byte {
	key := kmsg.NewGroupMetadataKey()
	key.Version, key.Group = groupKeyVersion, group
	return key.AppendTo(nil)
}

// groupRecord is the record of a group's members and assignments.
func groupRecord(g *group, now int64) (key, value []byte) {
	v := kmsg.NewGroupMetadataValue()
	v.Version, v.ProtocolType, v.Generation, v.CurrentStateTimestamp = groupValueVersion, g.protocolType, g.generation, now
	if g.protocol != "" {
		v.Protocol = &g.protocol
	}
	if g.leader != "" {
		v.Leader = &g.leader
	}
	for _, id := range g.order {
		m := g.members[id]
		o := kmsg.NewGroupMetadataValueMember()
		o.MemberID, o.ClientID, o.ClientHost = m.id, m.clientID, m.clientHost
		if m.instance != "" {
			o.InstanceID = &m.instance
		}
		o.RebalanceTimeoutMillis, o.SessionTimeoutMillis = int32(m.rebalance), int32(m.session)
		o.Subscription, o.Assignment = m.metadata(g.protocol), m.assignment
		v.Members = append(v.Members, o)
	}
	return groupKey(g.id), v.AppendTo(nil)
}

// acks are the log's answers on their way to the groups. The log must not wait for
// a group's lock, so it leaves them here.
type acks struct {
	wake chan struct{}
	mu   sync.Mutex
	list []ack // guarded by mu
}

// ack is one answer.
type ack struct {
	e      *entry
	done   func(err *Error)
	result log.Result
}

// Deliver hands the log's answers to the groups, in their order, until ctx ends.
func (gs *Groups) Deliver(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-gs.acks.wake:
		}
		gs.acks.mu.Lock()
		list := gs.acks.list
		gs.acks.list = nil
		gs.acks.mu.Unlock()
		for _, a := range list {
			a.e.mu.Lock()
			a.e.flying--
			a.e.landed = a.result.Offset
			var err *Error
			if a.result.Err != nil {
				err = &Error{Code: CoordinatorNotAvailable, Msg: "The group could not be stored.", Err: a.result.Err}
			}
			a.done(err)
			if !a.e.dead {
				gs.account(a.e)
			}
			at, idle := gs.next(a.e), a.e.flying == 0
			a.e.mu.Unlock()
			gs.arm(at)
			if idle && a.e.store.due() {
				gs.look()
			}
		}
	}
}

// append makes a batch durable and then calls done, with e's lock held. Appends
// of one group land in the order of the calls, which hold its lock as well.
func (gs *Groups) append(e *entry, b []byte, done func(err *Error)) {
	e.flying++
	p := e.store
	p.mu.Lock()
	p.grown += int64(len(b))
	p.mu.Unlock()
	p.log.Append(log.Request{Entries: []log.Entry{{Kind: log.Data, Partition: p.partition, Batch: b}}}, func(r []log.Result) {
		gs.acks.mu.Lock()
		gs.acks.list = append(gs.acks.list, ack{e, done, r[0]})
		gs.acks.mu.Unlock()
		select {
		case gs.acks.wake <- struct{}{}:
		default: // it is about to look
		}
	})
}

// storeGroup makes the group's metadata durable; e.mu is held.
func (gs *Groups) storeGroup(e *entry, done func(*Error)) {
	now := clock.Millis(gs.cluster.clock)
	key, value := groupRecord(e.group, now)
	var b batch.Builder
	touched := e.gone(&b, now, func(string) bool { return true })
	b.Append(batch.Record{Key: key, Value: value, Timestamp: now})
	gs.append(e, b.Finish(), func(err *Error) {
		if err != nil {
			e.unsure(touched)
		}
		if done != nil {
			done(err)
		}
	})
}

// storeOffsets makes commits durable and then visible; e.mu is held.
func (gs *Groups) storeOffsets(e *entry, list []Commit, done func(*Error)) {
	now := clock.Millis(gs.cluster.clock)
	gs.append(e, e.commitBatch(list, now), func(err *Error) {
		if err == nil {
			for i := range list {
				if c := &list[i]; c.Err == nil {
					c.at = e.landed
					e.set(topicPartition{c.Topic, c.Partition}, c.Committed)
				}
			}
			e.touched = now
		}
		done(err)
	})
}

// commitBatch is the records of commits that have no error; mu is held.
func (e *entry) commitBatch(list []Commit, now int64) []byte {
	var b batch.Builder
	for i := range list {
		if c := &list[i]; c.Err == nil {
			key, value := offsetRecord(e.id, topicPartition{c.Topic, c.Partition}, c.Committed)
			b.Append(batch.Record{Key: key, Value: value, Timestamp: now})
		}
	}
	return b.Finish()
}

// forget removes committed offsets, and the group itself if all is set, durably;
// e.mu is held. done may be nil.
func (gs *Groups) forget(e *entry, gone []topicPartition, all bool, done func(*Error)) {
	var b batch.Builder
	now := clock.Millis(gs.cluster.clock)
	for _, k := range gone {
		b.Append(batch.Record{Key: offsetKey(e.id, k), Timestamp: now})
	}
	var touched []string
	if all {
		touched = e.gone(&b, now, func(string) bool { return true })
		if e.consumers == nil {
			b.Append(batch.Record{Key: groupKey(e.id), Timestamp: now})
		}
	}
	gs.append(e, b.Finish(), func(err *Error) {
		if err != nil {
			e.unsure(touched)
		} else {
			for _, k := range gone {
				e.unset(k)
			}
			if all && e.members() == 0 && len(e.records) == 0 && len(e.offsets) == 0 && e.atRest() {
				gs.drop(e)
			}
		}
		if done != nil {
			done(err)
		}
	})
}

// drop takes a group off the list; e.mu is held.
func (gs *Groups) drop(e *entry) {
	e.dead = true
	gs.release(e)
	e.group.setState(GroupDead, clock.Millis(gs.cluster.clock))
	gs.mu.Lock()
	delete(gs.byID, e.id)
	gs.mu.Unlock()
}

// load reads a partition; mu is held.
func (gs *Groups) load(ctx context.Context, p *keyedPartition) error {
	return p.each(ctx, func(b []byte, h batch.Header) error {
		if h.Attributes&batch.Control != 0 {
			if commit, ok := markerOf(b); ok {
				for _, e := range gs.byID {
					if e.store == p {
						e.settle(h.ProducerID, commit)
					}
				}
			}
			return nil
		}
		producer := int64(-1)
		if h.Attributes&batch.Transactional != 0 {
			producer = h.ProducerID
		}
		it, err := batch.Records(b)
		if err != nil {
			return err
		}
		for it.Next() {
			if err := gs.apply(it.Record(), producer); err != nil {
				return err
			}
		}
		return it.Err()
	})
}

// apply does what one record says, which belongs to an open transaction unless
// producer is -1; gs.mu is held.
func (gs *Groups) apply(r *batch.Record, producer int64) error {
	if len(r.Key) < 2 {
		return errs.New(errs.Corrupt, "a record of the groups has no key")
	}
	switch binary.BigEndian.Uint16(r.Key) {
	case 0, offsetKeyVersion:
		var key kmsg.OffsetCommitKey
		if err := key.ReadFrom(r.Key); err != nil {
			return err
		}
		k := topicPartition{key.Topic, key.Partition}
		e := gs.byID[key.Group]
		if r.Value == nil {
			if e != nil {
				e.unset(k)
			}
			return nil
		}
		var v kmsg.OffsetCommitValue
		if err := v.ReadFrom(r.Value); err != nil {
			return err
		}
		if e == nil {
			e = gs.add(key.Group)
		}
		c := Committed{Offset: v.Offset, Epoch: v.LeaderEpoch, Metadata: v.Metadata, Time: v.CommitTimestamp, Expires: max(v.ExpireTimestamp, 0), at: r.Offset}
		if v.Version < offsetValueVersion {
			c.Epoch = -1
		}
		if producer >= 0 {
			e.addPending(producer, k, c)
			return nil
		}
		e.set(k, c)
		e.touched = max(e.touched, v.CommitTimestamp)
		return nil
	case groupKeyVersion:
		var key kmsg.GroupMetadataKey
		if err := key.ReadFrom(r.Key); err != nil {
			return err
		}
		if r.Value == nil {
			if e := gs.byID[key.Group]; e != nil && e.consumers == nil {
				gs.removed(e)
			}
			return nil
		}
		var v kmsg.GroupMetadataValue
		if err := v.ReadFrom(r.Value); err != nil {
			return err
		}
		e := gs.byID[key.Group]
		if e == nil {
			e = gs.add(key.Group)
		}
		e.group.restore(&v, clock.Millis(gs.cluster.clock))
		return nil
	}
	return gs.applyConsumer(r.Key, r.Value)
}

// removed notes, while loading, that a group is no more: what it has committed for
// is still there if it went on as one of the other protocol.
func (gs *Groups) removed(e *entry) {
	e.consumers, e.group = nil, gs.newGroup(e)
	if len(e.offsets) == 0 && len(e.pending) == 0 {
		gs.release(e)
		delete(gs.byID, e.id)
	}
}

// restore makes the group what was stored: its members' sessions begin anew.
func (g *group) restore(v *kmsg.GroupMetadataValue, now int64) {
	g.protocolType, g.generation, g.protocol, g.leader = v.ProtocolType, v.Generation, "", ""
	if v.Protocol != nil {
		g.protocol = *v.Protocol
	}
	if v.Leader != nil {
		g.leader = *v.Leader
	}
	clear(g.members)
	clear(g.static)
	g.order = nil
	for _, o := range v.Members {
		m := &member{id: o.MemberID, clientID: o.ClientID, clientHost: o.ClientHost, session: int64(o.SessionTimeoutMillis),
			rebalance: int64(o.RebalanceTimeoutMillis), assignment: o.Assignment, protocols: []Protocol{{Name: g.protocol, Metadata: o.Subscription}}}
		if o.InstanceID != nil {
			m.instance = *o.InstanceID
			g.static[m.instance] = m.id
		}
		g.touch(now, m)
		g.members[m.id] = m
		g.order = append(g.order, m.id)
	}
	g.state, g.since = GroupEmpty, v.CurrentStateTimestamp
	if len(g.members) > 0 {
		g.state = GroupStable
	}
}

// compact rewrites the partitions where it is due.
func (gs *Groups) compact(ctx context.Context) {
	for i := range gs.stores {
		p := &gs.stores[i]
		if p.due() && ctx.Err() == nil {
			gs.rewrite(ctx, p)
		}
	}
}

// rewrite appends what every group of a partition consists of, each in one batch,
// and trims what came before the first. While a group has an append under way,
// nothing is done: what it says is not known yet.
func (gs *Groups) rewrite(ctx context.Context, p *keyedPartition) {
	info, err := p.log.Info(p.partition)
	if err != nil {
		return
	}
	var wait []chan *Error
	for _, e := range gs.all() {
		if e.store != p {
			continue
		}
		e.mu.Lock()
		busy := !e.atRest()
		if !busy && !e.dead {
			ok := make(chan *Error, 1)
			wait = append(wait, ok)
			gs.append(e, e.batch(clock.Millis(gs.cluster.clock)), func(err *Error) { ok <- err })
		}
		e.mu.Unlock()
		if busy {
			return // the next look finds it at rest
		}
	}
	for _, ok := range wait {
		if await(ctx, ok) != nil {
			return
		}
	}
	p.trim(info.End)
}

// batch is all that the group consists of; mu is held.
func (e *entry) batch(now int64) []byte {
	var b batch.Builder
	if e.consumers != nil {
		for _, r := range e.consumers.records() {
			b.Append(batch.Record{Key: r.key, Value: r.value, Timestamp: now})
		}
	} else {
		key, value := groupRecord(e.group, now)
		b.Append(batch.Record{Key: key, Value: value, Timestamp: now})
	}
	for _, k := range keys(e.offsets) {
		key, value := offsetRecord(e.id, k, e.offsets[k])
		b.Append(batch.Record{Key: key, Value: value, Timestamp: now})
	}
	return b.Finish()
}
