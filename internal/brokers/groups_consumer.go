package brokers

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"

	"thalweg/internal/clock"
	"thalweg/internal/log/batch"
)

// digest stands for the value of a record: the zero value for one that is not
// known.
type digest [16]byte

func digestOf(value []byte) digest {
	sum := sha256.Sum256(value)
	return digest(sum[:16])
}

// flush is an append of a group's records under way, and who waits for it.
type flush struct{ done []func(*Error) }

// HeartbeatConsumer serves a member of a group of the consumer protocol. What a
// heartbeat changes, and what its answer rests on, is durable when this returns.
// A group of the classic protocol becomes one of the consumer protocol with the
// first such member, if its members are clients that read topics.
func (gs *Groups) HeartbeatConsumer(ctx context.Context, b Beat) (Beaten, *Error) {
	return gs.heartbeatOf(ctx, b, false)
}

// HeartbeatShare is HeartbeatConsumer for a share group, which never was another.
func (gs *Groups) HeartbeatShare(ctx context.Context, b Beat) (Beaten, *Error) {
	return gs.heartbeatOf(ctx, b, true)
}

// notOf refuses a group that is not of that protocol.
func notOf(id string, share bool) *Error {
	if share {
		return refuse(GroupIDNotFound, "Group %s is not a share group.", id)
	}
	return refuse(GroupIDNotFound, "Group %s is not a consumer group.", id)
}

func (gs *Groups) heartbeatOf(ctx context.Context, b Beat, share bool) (Beaten, *Error) {
	if err := gs.admit(b.bytes()); err != nil {
		return Beaten{}, err
	}
	if b.MemberID == "" {
		b.MemberID = newConsumerID()
	}
	var out Beaten
	var refused *Error
	wait := make(chan *Error, 1)
	found, err := gs.with(ctx, b.Group, b.Epoch == JoinEpoch, func(e *entry, now int64) {
		next := e.consumers
		switch {
		case next == nil && (b.Epoch != JoinEpoch || share && !e.unused()), next != nil && next.share != share:
			refused = notOf(b.Group, share)
			return
		case next == nil:
			next = gs.newConsumers(b.Group, share)
			if len(e.group.members) > 0 {
				refused = next.upgrade(e.group, now)
			}
		}
		if refused == nil {
			out, refused = next.heartbeat(now, &b)
		}
		if refused != nil {
			return
		}
		if e.consumers == nil {
			e.consumers = next
			if e.records == nil {
				e.records = map[string]digest{}
			}
			if e.group.generation > 0 {
				e.records[string(groupKey(b.Group))] = digest{} // it is one of the consumer protocol now
			}
			e.group.dissolve()
			e.group = gs.newGroup(e)
		}
		gs.flush(e, now, func(err *Error) { wait <- err })
		gs.account(e)
	})
	switch {
	case err != nil:
		return Beaten{}, err
	case !found && b.Epoch < 0:
		return Beaten{}, refuse(GroupIDNotFound, "Group %s not found.", b.Group)
	case !found && share:
		return Beaten{}, refuse(GroupIDNotFound, "Share group %s not found.", b.Group)
	case !found:
		return Beaten{}, refuse(GroupIDNotFound, "Consumer group %s not found.", b.Group)
	case refused != nil:
		return Beaten{}, refused
	}
	if err := await(ctx, wait); err != nil {
		return Beaten{}, err
	}
	return out, nil
}

// newConsumerID is an id that no other member has, in the form of Apache Kafka's
// clients.
func newConsumerID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it cannot fail
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// newConsumers makes a group of the consumer protocol, or a share group, over the
// cluster's topics.
func (gs *Groups) newConsumers(id string, share bool) *consumers {
	c := gs.cluster
	protocol := "consumer"
	if share {
		protocol = "share"
	}
	topics := topicSource{
		find: func(name string) (TopicID, int32, bool) {
			if t := c.Topic(name); t != nil {
				return t.ID(), t.Partitions(), true
			}
			return TopicID{}, 0, false
		},
		names: func() (out []string) {
			for _, t := range c.Topics() {
				out = append(out, t.Name())
			}
			return out
		},
	}
	return newConsumers(id, share, topics, func() ConsumerSettings { return c.consumerSettings(id, protocol) })
}

// IsShare tells whether there is a share group of that name.
func (gs *Groups) IsShare(ctx context.Context, id string) (is bool, err *Error) {
	_, err = gs.with(ctx, id, false, func(e *entry, _ int64) { is = e.shares() })
	return is, err
}

// shares tells a share group; mu is held.
func (e *entry) shares() bool { return e.consumers != nil && e.consumers.share }

// flush makes durable what has changed in a group of the consumer protocol, and
// calls done when it and everything before it is; e.mu is held. A group whose last
// member of that protocol has gone, and that has others, becomes one of theirs.
func (gs *Groups) flush(e *entry, now int64, done func(*Error)) {
	if e.consumers.onlyClassic() {
		e.group = gs.newGroup(e)
		e.consumers.downgrade(e.group, now)
		e.consumers, e.flushing = nil, nil
		gs.storeGroup(e, done)
		e.group.prepare(now)
		return
	}
	if !e.consumers.changed {
		switch {
		case e.flushing != nil:
			e.flushing.done = append(e.flushing.done, done)
		default:
			done(nil)
		}
		return
	}
	e.consumers.changed = false
	var b batch.Builder
	records := e.consumers.records()
	keys := map[string]bool{}
	for _, r := range records {
		keys[string(r.key)] = true
	}
	touched := e.gone(&b, now, func(key string) bool { return !keys[key] })
	for _, r := range records {
		key, sum := string(r.key), digestOf(r.value)
		if e.records[key] == sum {
			continue
		}
		e.records[key] = sum
		touched = append(touched, key)
		b.Append(batch.Record{Key: r.key, Value: r.value, Timestamp: now})
	}
	if len(touched) == 0 { // it has changed and changed back
		gs.flush(e, now, done)
		return
	}
	f := &flush{done: []func(*Error){done}}
	e.flushing = f
	gs.append(e, b.Finish(), func(err *Error) {
		if e.flushing == f {
			e.flushing = nil
		}
		if err != nil {
			e.unsure(touched)
		}
		for _, done := range f.done {
			done(err)
		}
	})
}

// gone appends to a batch that the keys of stored records which are no more have no
// value, and returns them; mu is held.
func (e *entry) gone(b *batch.Builder, now int64, no func(key string) bool) (touched []string) {
	for key := range e.records {
		if no(key) {
			touched = append(touched, key)
		}
	}
	slices.SortFunc(touched, goneFirst)
	for _, key := range touched {
		delete(e.records, key)
		b.Append(batch.Record{Key: []byte(key), Timestamp: now})
	}
	return touched
}

// unsure notes that nobody knows what the log has for these keys, so that they are
// written again; mu is held.
func (e *entry) unsure(keys []string) {
	for _, key := range keys {
		e.records[key] = digest{}
	}
	if e.consumers != nil {
		e.consumers.changed = true
	}
}

// applyConsumer does what one record of a group of the consumer protocol says;
// gs.mu is held.
func (gs *Groups) applyConsumer(key, value []byte) error {
	kind, share, id, rest, err := consumerRecord(key)
	if err != nil {
		return err
	}
	e := gs.byID[id]
	if e == nil {
		if value == nil {
			return nil
		}
		e = gs.add(id)
	}
	if e.records == nil {
		e.records = map[string]digest{}
	}
	if value == nil {
		delete(e.records, string(key))
	} else {
		e.records[string(key)] = digestOf(value)
	}
	if kind == recordTopics {
		return nil // it is known otherwise
	}
	if e.consumers == nil {
		if value == nil {
			return nil
		}
		e.consumers = gs.newConsumers(id, share)
	}
	if kind == recordGroup && value == nil {
		gs.removed(e)
		return nil
	}
	return e.consumers.apply(kind, rest, value, clock.Millis(gs.cluster.clock))
}

// bytes is about what the member takes.
func (b *Beat) bytes() int64 {
	n := ofGroupBytes(b.Group) + bytesOfMember(b.Group, b.MemberID) + int64(len(b.ClientID)) + bytesOf(b.Names)
	for _, s := range []*string{b.Instance, b.Rack, b.Regex, b.Regex} {
		if s != nil {
			n += int64(len(*s))
		}
	}
	return n
}

// bytesOfMember is what a member takes, without what it tells of itself: beside it,
// three records stand for it, by the group and its id.
func bytesOfMember(group, id string) int64 {
	return 2*memberBytes + 4*int64(len(id)) + 3*int64(len(group))
}

// bytes is about what the group's members take, with the records that stand for
// them.
func (g *consumers) bytes() int64 {
	n := int64(0)
	for _, m := range g.members {
		n += bytesOfMember(g.id, m.id) + int64(len(m.clientID)+len(m.clientHost)+len(m.regex)) + int64(len(m.owned)+len(m.revoking)+len(m.target))*slotBytes + bytesOf(m.names) + bytesOf(m.matched)
		for _, s := range []*string{m.instance, m.rack} {
			if s != nil {
				n += int64(len(*s))
			}
		}
		if m.classic != nil {
			n += bytesOfProtocols(m.classic.protocols)
		}
	}
	for regex, r := range g.regexes {
		n += int64(len(regex)+len(g.id)) + bytesOf(r.topics)
	}
	return n
}

// ConsumerGroup describes a group of the consumer protocol.
type ConsumerGroup struct {
	ID                 string
	State              GroupState
	Epoch, TargetEpoch int32
	Assignor           string
	Members            []ConsumerMember
}

// ConsumerMember describes a member of one.
type ConsumerMember struct {
	ID, ClientID, ClientHost, Regex string
	Instance, Rack                  *string
	Epoch                           int32
	Classic                         bool // it is a client of the classic protocol
	Names                           []string
	Assigned, Target                []TopicPartitions
}

// DescribeConsumers describes a group of the consumer protocol.
func (gs *Groups) DescribeConsumers(ctx context.Context, id string) (ConsumerGroup, *Error) {
	return gs.describeOf(ctx, id, false)
}

// DescribeShare describes a share group.
func (gs *Groups) DescribeShare(ctx context.Context, id string) (ConsumerGroup, *Error) {
	return gs.describeOf(ctx, id, true)
}

func (gs *Groups) describeOf(ctx context.Context, id string, share bool) (out ConsumerGroup, err *Error) {
	refused := refuse(GroupIDNotFound, "Group %s not found.", id)
	if _, err := gs.with(ctx, id, false, func(e *entry, _ int64) {
		if e.consumers == nil || e.consumers.share != share {
			refused = notOf(id, share)
			return
		}
		out, refused = e.consumers.describe(), nil
	}); err != nil {
		return out, err
	}
	for i := range out.Members {
		gs.cluster.nameAll(out.Members[i].Assigned)
		gs.cluster.nameAll(out.Members[i].Target)
	}
	return out, refused
}

func (g *consumers) describe() ConsumerGroup {
	out := ConsumerGroup{ID: g.id, State: g.state(), Epoch: g.epoch, TargetEpoch: g.targetEpoch, Assignor: g.assignor()}
	for _, m := range g.members {
		out.Members = append(out.Members, ConsumerMember{ID: m.id, ClientID: m.clientID, ClientHost: m.clientHost, Regex: m.regex,
			Instance: m.instance, Rack: m.rack, Epoch: m.epoch, Classic: m.classic != nil, Names: m.names, Assigned: m.owned.list(), Target: m.target.list()})
	}
	slices.SortFunc(out.Members, func(a, b ConsumerMember) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// nameAll fills in the names of topics, as far as there are any, and sorts by them.
func (c *Cluster) nameAll(list []TopicPartitions) {
	for i := range list {
		if t := c.TopicByID(list[i].Topic); t != nil {
			list[i].Name = t.Name()
		}
	}
	slices.SortStableFunc(list, func(a, b TopicPartitions) int {
		if a.Name == b.Name {
			return bytes.Compare(a.Topic[:], b.Topic[:])
		}
		return strings.Compare(a.Name, b.Name)
	})
}
