package brokers

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf16"

	"thalweg/internal/clock"
)

const (
	// MaxOffsetMetadata is offset.metadata.max.bytes.
	MaxOffsetMetadata = 4096
	unusedRetention   = time.Minute
)

// OffsetsTopic is where groups are kept, in Apache Kafka's own records.
const OffsetsTopic = "__consumer_offsets"

// offsetsPartitions is offsets.topic.num.partitions.
const offsetsPartitions = 50

// Groups are the consumer groups of a cluster. What it knows is what the records
// of OffsetsTopic say; members' sessions live in memory only, and begin anew when
// it is loaded. [Groups.Run] and [Groups.Deliver] must run beside it.
type Groups struct {
	cluster *Cluster
	wake    chan struct{}
	acks    acks

	mu     sync.Mutex
	loaded bool              // guarded by mu
	byID   map[string]*entry // guarded by mu
	armed  int64             // guarded by mu; when Run looks next
	stores [offsetsPartitions]keyedPartition
}

// entry is one group with what it has committed.
type entry struct {
	id    string
	store *keyedPartition
	mu    sync.Mutex
	// group is the group of the classic protocol, without members where consumers is
	// one of the consumer protocol; guarded by mu.
	group     *group
	consumers *consumers
	// records are the records of a group of the consumer protocol that the log was
	// given; guarded by mu.
	records  map[string]digest
	flushing *flush // guarded by mu; the last append of them, until it is answered
	// offsets are what was committed and is durable; guarded by mu.
	offsets map[topicPartition]Committed
	timed   int // guarded by mu; how many of them have a time of their own
	// pending are offsets of open transactions, by producer; guarded by mu.
	pending map[int64]map[topicPartition]Committed
	touched int64 // guarded by mu; the last commit, Unix milliseconds
	kept    int64 // guarded by mu; bytes that offsets and pending take, about
	held    int64 // guarded by mu; bytes drawn on the budget
	flying  int   // guarded by mu; appends not yet answered
	landed  int64 // guarded by mu; where the last of them that was answered is
	dead    bool  // guarded by mu; it has been removed
}

type topicPartition struct {
	topic     string
	partition int32
}

// Committed is a committed offset.
type Committed struct {
	Offset   int64
	Epoch    int32
	Metadata string
	Time     int64
	Expires  int64 // when it is forgotten, Unix milliseconds; 0 is with its group

	at int64 // where it is in the log, in the group's partition
}

func newGroups(c *Cluster) *Groups {
	return &Groups{cluster: c, wake: make(chan struct{}, 1), acks: acks{wake: make(chan struct{}, 1)}, byID: map[string]*entry{}}
}

// Groups are the cluster's consumer groups.
func (c *Cluster) Groups() *Groups { return c.groups }

// Ready makes the place where groups are kept, if there is none, and reads it
// once.
func (gs *Groups) Ready(ctx context.Context) *Error {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if gs.loaded {
		return nil
	}
	t, err := gs.cluster.internalTopic(ctx, OffsetsTopic, offsetsPartitions)
	if err != nil {
		return err
	}
	for i := range gs.stores {
		p, ok := t.Partition(int32(i))
		if !ok {
			return refuse(CoordinatorNotAvailable, "The place of the groups has no partition %d.", i)
		}
		gs.stores[i].open(gs.cluster.log, p)
		if err := gs.load(ctx, &gs.stores[i]); err != nil {
			clear(gs.byID)
			return &Error{Code: CoordinatorNotAvailable, Msg: "The groups cannot be read.", Err: err}
		}
	}
	for _, e := range gs.byID {
		switch {
		case e.consumers != nil:
			e.consumers.loaded(clock.Millis(gs.cluster.clock))
			gs.account(e)
		case e.group.generation == 0 && e.touched > 0:
			e.group.since = e.touched // it never had members
		}
	}
	gs.loaded = true
	gs.look()
	return nil
}

// Coordinator is the broker that clients ask about a group.
func (gs *Groups) Coordinator(group string) int32 { return 1 + partitionOf(group)%gs.cluster.Brokers() }

// internalTopic is a topic of the brokers' own, which is made if there is none.
func (c *Cluster) internalTopic(ctx context.Context, name string, partitions int32) (*Topic, *Error) {
	if t := c.Topic(name); t != nil {
		return t, nil
	}
	t, err := c.CreateTopic(ctx, NewTopic{Name: name, Partitions: partitions, Replication: 1, internal: true,
		Configs: map[string]string{"cleanup.policy": "compact", "compression.type": "producer", "segment.bytes": "104857600"}})
	if err != nil {
		return nil, &Error{Code: CoordinatorNotAvailable, Msg: "The topic " + name + " cannot be made.", Err: err}
	}
	return t, nil
}

// partitionOf is the partition that holds a group.
func partitionOf(group string) int32 { return (javaHash(group) & 0x7fffffff) % offsetsPartitions }

// javaHash is Java's hash of a string.
func javaHash(s string) (h int32) {
	for _, unit := range utf16.Encode([]rune(s)) {
		h = 31*h + int32(unit)
	}
	return h
}

// find returns the group of that id; make makes it if there is none.
func (gs *Groups) find(ctx context.Context, id string, make bool) (*entry, *Error) {
	if id == "" {
		return nil, refuse(InvalidGroupID, "The configured groupId is invalid.")
	}
	if err := gs.Ready(ctx); err != nil {
		return nil, err
	}
	gs.mu.Lock()
	defer gs.mu.Unlock()
	e := gs.byID[id]
	if e == nil && make {
		e = gs.add(id)
	}
	return e, nil
}

// add makes a group; mu is held.
func (gs *Groups) add(id string) *entry {
	e := &entry{id: id, store: &gs.stores[partitionOf(id)], offsets: map[topicPartition]Committed{}}
	e.group = gs.newGroup(e)
	gs.account(e)
	gs.byID[id] = e
	return e
}

// newGroup makes the group of an entry one of the classic protocol without members.
func (gs *Groups) newGroup(e *entry) *group {
	g := newGroup(e.id, newMemberID)
	g.since = clock.Millis(gs.cluster.clock)
	g.store = func(done func(*Error)) { gs.storeGroup(e, done) }
	return g
}

// newMemberID is an id that no other member has.
func newMemberID(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it cannot fail
	return prefix + "-" + hex.EncodeToString(b[:])
}

// with runs fn on a live group, and has Run look at it when time will have
// something to say. It makes the group if make is set; else fn is not called for
// one that there is not, and with reports false.
func (gs *Groups) with(ctx context.Context, id string, make bool, fn func(e *entry, now int64)) (bool, *Error) {
	for {
		e, err := gs.find(ctx, id, make)
		if err != nil || e == nil {
			return false, err
		}
		e.mu.Lock()
		if e.dead { // removed between the two locks
			e.mu.Unlock()
			continue
		}
		fn(e, clock.Millis(gs.cluster.clock))
		at := gs.next(e)
		e.mu.Unlock()
		gs.arm(at)
		return true, nil
	}
}

// arm has Run look again at that time.
func (gs *Groups) arm(at int64) {
	if at == 0 {
		return
	}
	gs.mu.Lock()
	early := gs.armed == 0 || at < gs.armed
	if early {
		gs.armed = at
	}
	gs.mu.Unlock()
	if early {
		gs.look()
	}
}

// look has Run look now.
func (gs *Groups) look() {
	select {
	case gs.wake <- struct{}{}:
	default: // it is about to
	}
}

// next is when the group needs a look; mu is held.
func (gs *Groups) next(e *entry) int64 {
	at := e.group.next()
	if e.consumers != nil {
		at = e.consumers.next()
	}
	if e.members() == 0 && !e.shares() {
		end := gs.expires(e)
		if first, _ := e.times(); first > 0 {
			end = min(end, first)
		}
		if at == 0 || end < at {
			at = end
		}
	}
	return at
}

// members counts the group's members; mu is held.
func (e *entry) members() int {
	if e.consumers != nil {
		return len(e.consumers.members)
	}
	return len(e.group.members)
}

// expires is when a group without members is forgotten; mu is held. One that never
// came to anything is forgotten soon.
func (gs *Groups) expires(e *entry) int64 {
	if e.unused() {
		return e.since() + unusedRetention.Milliseconds()
	}
	_, last := e.times()
	return max(last, max(e.since(), e.touched)+gs.cluster.settingNumber("offsets.retention.minutes")*time.Minute.Milliseconds())
}

// times are the first and the last of the times that offsets have of their own; 0 is
// none. mu is held.
func (e *entry) times() (first, last int64) {
	if e.timed == 0 {
		return 0, 0
	}
	for _, c := range e.offsets {
		if c.Expires > 0 {
			if first == 0 || c.Expires < first {
				first = c.Expires
			}
			last = max(last, c.Expires)
		}
	}
	return first, last
}

// atRest tells that what is known of the group is all there is; mu is held.
func (e *entry) atRest() bool { return e.flying == 0 && len(e.pending) == 0 }

// unused tells a group that has no members and of which nothing was ever stored; mu
// is held.
func (e *entry) unused() bool {
	return len(e.group.members) == 0 && e.group.generation == 0 && len(e.records) == 0 && len(e.offsets) == 0 && e.atRest()
}

// since is when a group without members lost its last; mu is held.
func (e *entry) since() int64 {
	if e.consumers != nil {
		return e.consumers.since
	}
	return e.group.since
}

// Run does what time brings: sessions and rebalances that end, offsets that
// expire, and the rewriting of what keeps the log from being trimmed.
func (gs *Groups) Run(ctx context.Context) error {
	timer := gs.cluster.clock.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
		case <-gs.wake:
		}
		now := clock.Millis(gs.cluster.clock)
		next := int64(0)
		for _, e := range gs.all() {
			e.mu.Lock()
			if !e.dead {
				e.group.tick(now)
				if e.consumers != nil {
					e.consumers.tick(now)
					gs.flush(e, now, func(*Error) {})
				}
				gs.account(e)
				if e.members() == 0 && !e.shares() && len(e.group.pending) == 0 && e.atRest() {
					gs.expire(e, now)
				}
			}
			if at := gs.next(e); !e.dead && at > 0 {
				if at <= now { // it was tried just now
					at = now + time.Second.Milliseconds()
				}
				if next == 0 || at < next {
					next = at
				}
			}
			e.mu.Unlock()
		}
		gs.compact(ctx)
		gs.mu.Lock()
		gs.armed = next
		gs.mu.Unlock()
		if next == 0 {
			next = now + time.Hour.Milliseconds()
		}
		if !gs.cluster.wait(timer, next) {
			gs.look()
		}
	}
}

// wait arms timer for a time in Unix milliseconds. It reports false if the clock
// moved while it did, so that the timer may be late.
func (c *Cluster) wait(timer clock.Timer, next int64) bool {
	now := clock.Millis(c.clock)
	timer.Reset(time.Duration(next-now) * time.Millisecond)
	return clock.Millis(c.clock) == now
}

// all are the groups, by id.
func (gs *Groups) all() []*entry {
	gs.mu.Lock()
	out := make([]*entry, 0, len(gs.byID))
	for _, e := range gs.byID {
		out = append(out, e)
	}
	gs.mu.Unlock()
	slices.SortFunc(out, func(a, b *entry) int { return strings.Compare(a.id, b.id) })
	return out
}

// Join has a client become a member, and waits until its group's rebalance is
// complete.
func (gs *Groups) Join(ctx context.Context, j Join) Joined {
	if j.Session < gs.cluster.settingNumber("group.min.session.timeout.ms") || j.Session > gs.cluster.settingNumber("group.max.session.timeout.ms") {
		return Joined{Err: refuse(InvalidSessionTimeout, "The session timeout is not within the range allowed by the broker."), MemberID: j.MemberID, Generation: -1}
	}
	if err := gs.admit(j.bytes()); err != nil {
		return Joined{Err: err, MemberID: j.MemberID, Generation: -1}
	}
	answer := make(chan Joined, 1)
	// A member id can only be of a group that there is.
	found, err := gs.with(ctx, j.Group, j.MemberID == "", func(e *entry, now int64) {
		if e.shares() {
			answer <- Joined{Err: refuse(InconsistentProtocol, "The group is a share group."), MemberID: j.MemberID, Generation: -1}
			return
		}
		if e.members() > 0 && e.consumers != nil {
			a := e.consumers.join(now, &j)
			gs.flush(e, now, func(err *Error) {
				if err != nil {
					a = Joined{Err: err, MemberID: j.MemberID, Generation: -1}
				}
				answer <- a
			})
			gs.account(e)
			return
		}
		e.consumers = nil // the next append says that it was one
		e.group.join(now, j, func(a Joined) { answer <- a })
		gs.account(e)
	})
	switch {
	case err != nil:
		return Joined{Err: err, MemberID: j.MemberID, Generation: -1}
	case !found:
		return Joined{Err: unknownMember(), MemberID: j.MemberID, Generation: -1}
	}
	select {
	case a := <-answer:
		return a
	case <-ctx.Done():
		return Joined{Err: refuse(CoordinatorNotAvailable, "The server is stopping."), MemberID: j.MemberID, Generation: -1}
	}
}

// Sync gives a member its assignment, once the leader has brought it.
func (gs *Groups) Sync(ctx context.Context, s Sync) Synced {
	if err := gs.admit(s.bytes()); err != nil {
		return Synced{Err: err}
	}
	answer := make(chan Synced, 1)
	found, err := gs.with(ctx, s.Group, false, func(e *entry, now int64) {
		if e.consumers == nil {
			e.group.sync(now, s, func(a Synced) { answer <- a })
			gs.account(e)
			return
		}
		a := e.consumers.sync(now, &s)
		gs.flush(e, now, func(err *Error) {
			if err != nil {
				a = Synced{Err: err}
			}
			answer <- a
		})
	})
	switch {
	case err != nil:
		return Synced{Err: err}
	case !found:
		return Synced{Err: unknownMember()}
	}
	select {
	case a := <-answer:
		return a
	case <-ctx.Done():
		return Synced{Err: refuse(CoordinatorNotAvailable, "The server is stopping.")}
	}
}

// Heartbeat keeps a member alive.
func (gs *Groups) Heartbeat(ctx context.Context, id, memberID, instance string, generation int32) *Error {
	refused := unknownMember()
	_, err := gs.with(ctx, id, false, func(e *entry, now int64) {
		if e.consumers != nil {
			refused = e.consumers.beatClassic(now, memberID, instance, generation)
		} else {
			refused = e.group.heartbeat(now, memberID, instance, generation)
		}
	})
	if err != nil {
		return err
	}
	return refused
}

// Leave takes a member out.
func (gs *Groups) Leave(ctx context.Context, id, memberID, instance string) *Error {
	refused := unknownMember()
	var wait chan *Error
	_, err := gs.with(ctx, id, false, func(e *entry, now int64) {
		if e.consumers == nil || e.shares() {
			refused = e.group.leave(now, memberID, instance)
		} else if refused = e.consumers.dismiss(now, memberID, instance); refused == nil {
			wait = make(chan *Error, 1)
			gs.flush(e, now, func(err *Error) { wait <- err })
		}
		gs.account(e)
	})
	switch {
	case err != nil:
		return err
	case wait != nil:
		return await(ctx, wait)
	}
	return refused
}

// GroupInfo describes a group.
type GroupInfo struct {
	ID, ProtocolType, Protocol string
	Type                       string // classic, consumer or share
	State                      GroupState
	Members                    []MemberInfo
}

// MemberInfo describes a member.
type MemberInfo struct {
	ID, Instance, ClientID, ClientHost string
	Metadata, Assignment               []byte
}

// Describe describes a group; ok is false if there is none.
func (gs *Groups) Describe(ctx context.Context, id string) (info GroupInfo, ok bool, err *Error) {
	ok, err = gs.with(ctx, id, false, func(e *entry, _ int64) { info = e.info() })
	return info, ok, err
}

// info describes the group; mu is held.
func (e *entry) info() GroupInfo {
	switch {
	case e.shares():
		return GroupInfo{ID: e.id, ProtocolType: "share", Type: "share", State: e.consumers.state()}
	case e.consumers != nil:
		return GroupInfo{ID: e.id, ProtocolType: "consumer", Type: "consumer", State: e.consumers.state()}
	}
	g := e.group
	out := GroupInfo{ID: g.id, ProtocolType: g.protocolType, Type: "classic", State: g.state}
	if g.state == GroupStable {
		out.Protocol = g.protocol
	}
	for _, id := range g.order {
		m := g.members[id]
		info := MemberInfo{ID: m.id, Instance: m.instance, ClientID: m.clientID, ClientHost: m.clientHost}
		if out.Protocol != "" {
			info.Metadata, info.Assignment = m.metadata(g.protocol), m.assignment
		}
		out.Members = append(out.Members, info)
	}
	return out
}

// List describes all groups, by id, without their members' metadata.
func (gs *Groups) List(ctx context.Context) ([]GroupInfo, *Error) {
	if err := gs.Ready(ctx); err != nil {
		return nil, err
	}
	var out []GroupInfo
	for _, e := range gs.all() {
		e.mu.Lock()
		if !e.dead {
			out = append(out, e.info())
		}
		e.mu.Unlock()
	}
	return out, nil
}

// Delete removes a group that has no members, with its offsets, or with what it has
// read of its share partitions: that goes first, so that no group of the same name
// finds it, and what was begun meanwhile after.
func (gs *Groups) Delete(ctx context.Context, id string) *Error {
	var shares bool
	if _, err := gs.with(ctx, id, false, func(e *entry, _ int64) { shares = e.shares() && e.members() == 0 }); err != nil {
		return err
	}
	if !shares {
		return gs.delete(ctx, id)
	}
	its := func(k shareKey) bool { return k.group == id }
	err := gs.cluster.shares.forget(ctx, its)
	if err == nil {
		err = gs.delete(ctx, id)
	}
	if err == nil {
		err = gs.cluster.shares.forget(ctx, its)
	}
	return err
}

func (gs *Groups) delete(ctx context.Context, id string) *Error {
	refused := refuse(GroupIDNotFound, "The group id does not exist.")
	var wait chan *Error
	_, err := gs.with(ctx, id, false, func(e *entry, _ int64) {
		if e.members() > 0 {
			refused = refuse(NonEmptyGroup, "The group is not empty.")
			return
		}
		wait, refused = make(chan *Error, 1), nil
		gs.forget(e, keys(e.offsets), true, func(err *Error) { wait <- err })
	})
	if err != nil {
		return err
	}
	if wait != nil {
		return await(ctx, wait)
	}
	return refused
}

// await waits for the log's answer.
func await(ctx context.Context, wait <-chan *Error) *Error {
	select {
	case err := <-wait:
		return err
	case <-ctx.Done():
		return refuse(CoordinatorNotAvailable, "The server is stopping.")
	}
}

// expire removes what the time is over of a group without members, and the group
// with all of it; mu is held.
func (gs *Groups) expire(e *entry, now int64) {
	if gs.expires(e) <= now {
		if e.unused() {
			gs.drop(e)
		} else {
			gs.forget(e, keys(e.offsets), true, nil)
		}
		return
	}
	if first, _ := e.times(); first == 0 || first > now {
		return
	}
	gone := slices.DeleteFunc(keys(e.offsets), func(k topicPartition) bool { at := e.offsets[k].Expires; return at == 0 || at > now })
	gs.forget(e, gone, false, nil)
}

func keys(m map[topicPartition]Committed) []topicPartition {
	out := make([]topicPartition, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b topicPartition) int {
		if c := strings.Compare(a.topic, b.topic); c != 0 {
			return c
		}
		return int(a.partition) - int(b.partition)
	})
	return out
}

// forgetTopic removes what was committed for a topic that is gone.
func (gs *Groups) forgetTopic(ctx context.Context, topic string) {
	if gs.cluster.Topic(OffsetsTopic) == nil || gs.Ready(ctx) != nil {
		return // nothing was ever committed, or nothing can be
	}
	for _, e := range gs.all() {
		e.mu.Lock()
		var gone []topicPartition
		for _, k := range keys(e.offsets) {
			if k.topic == topic {
				gone = append(gone, k)
			}
		}
		if len(gone) > 0 && !e.dead {
			gs.forget(e, gone, false, nil)
		}
		e.mu.Unlock()
	}
}
