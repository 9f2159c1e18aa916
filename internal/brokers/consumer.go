package brokers

import (
	"errors"
	"hash/fnv"
	"maps"
	"regexp/syntax"
	"slices"
)

// Member epochs of a heartbeat that are no epochs.
const (
	// JoinEpoch is of a member that is not in the group yet, or no more.
	JoinEpoch = 0
	// LeaveEpoch is of a member that leaves.
	LeaveEpoch = -1
	// AwayEpoch is of a static member that leaves and will be back.
	AwayEpoch = -2
)

// The states of a group of the consumer protocol, beside [GroupEmpty],
// [GroupStable] and [GroupDead].
const (
	GroupAssigning   GroupState = "Assigning"
	GroupReconciling GroupState = "Reconciling"
)

// firstEpoch is of a group that never had a member, as in Apache Kafka.
const firstEpoch = 1

// regexRefresh is how long the topics that a regular expression matches are not
// looked for again, milliseconds.
const regexRefresh = 10_000

// maxShareMembers is group.share.max.size.
const maxShareMembers = 200

// slot is a partition by its topic's id.
type slot struct {
	topic     TopicID
	partition int32
}

// slots are partitions, each with the epoch from which on it is a member's.
type slots map[slot]int32

// memberState is how far a member is on its way to its target, in the numbers of
// Apache Kafka's records.
type memberState int8

const (
	stateStable     memberState = 0
	stateUnrevoked  memberState = 1 // it has partitions to give up first
	stateUnreleased memberState = 2 // others have partitions to give up for it
)

// consumer is a member of a group of the consumer protocol.
type consumer struct {
	id                   string
	instance, rack       *string
	clientID, clientHost string
	rebalance            int64 // how long it may take to give up partitions, milliseconds
	names                []string
	regex                string   // "" is none
	matched              []string // the topics that it has for the member, sorted
	matchedAt            int64    // when they were looked for, Unix milliseconds
	assignor             *string
	epoch, previous      int32
	state                memberState
	owned, revoking      slots
	target               slots
	classic              *classicMember // what it has as a client of the classic protocol; nil if it is none
	expires              int64          // when its session is over, Unix milliseconds
	moveBy               int64          // when it must have given up partitions, or joined or synced; 0 is never
}

// resolved are the topics that a regular expression matches for any member.
type resolved struct {
	topics []string
	at     int64
}

// topicSource is what a group has to know of topics.
type topicSource struct {
	// find tells the id and the number of partitions of a topic.
	find func(name string) (TopicID, int32, bool)
	// names are those of all topics.
	names func() []string
}

// consumers is the state machine of one group of the consumer protocol (KIP-848):
// it is given heartbeats and the time, and answers. It does no I/O; whoever calls
// it makes durable what has changed before the answer goes.
//
// A change of subscriptions or topics raises the group's epoch, and the target, who
// is to have which partition, is made for it. Members come to their target one
// heartbeat at a time: each first gives up what it is to lose, then moves on to
// the target's epoch and takes what nobody has.
//
// A share group (KIP-932) is one of which members need not give up anything before
// others have it: they are at their target at once.
type consumers struct {
	id          string
	share       bool
	epoch       int32 // of the group
	targetEpoch int32 // that the target was made for
	targetTime  int64 // when it was made
	hash        int64 // of the topics that the target was made for
	members     map[string]*consumer
	static      map[string]string // instance to member id
	holders     map[slot]string   // who has a partition, or has yet to give it up
	regexes     map[string]*resolved
	topics      topicSource
	settings    func() ConsumerSettings
	since       int64 // when it lost its last member
	changed     bool  // since it was last made durable
}

// ConsumerSettings are what a group of the consumer protocol can be told,
// milliseconds.
type ConsumerSettings struct{ Session, Heartbeat int64 }

func newConsumers(id string, share bool, topics topicSource, settings func() ConsumerSettings) *consumers {
	return &consumers{id: id, share: share, epoch: firstEpoch, members: map[string]*consumer{}, static: map[string]string{}, holders: map[slot]string{},
		regexes: map[string]*resolved{}, topics: topics, settings: settings}
}

// Beat is a member's heartbeat: it joins, leaves, and tells what has changed.
type Beat struct {
	Group, MemberID      string
	Epoch                int32
	Instance, Rack       *string
	ClientID, ClientHost string
	// Rebalance is its time to give up partitions, milliseconds; -1 is as before.
	Rebalance int64
	// Names and Regex are what it reads, and Assignor who is to assign; nil is as
	// before.
	Names    []string
	Regex    *string
	Assignor *string
	// Owned are the partitions that it has; nil is as before.
	Owned []TopicPartitions
	// MayDescribe tells which topics the member may know of.
	MayDescribe func(topic string) bool
	classic     *classicMember // the heartbeat stands for a Join
}

// TopicPartitions are partitions of one topic. Name is "" if there is no such topic
// any more.
type TopicPartitions struct {
	Topic      TopicID
	Name       string
	Partitions []int32
}

// Beaten is the answer to a Beat.
type Beaten struct {
	MemberID string
	Epoch    int32
	Interval int64 // to the next heartbeat, milliseconds
	// Assigned are the partitions that the member may use, if Told.
	Assigned []TopicPartitions
	Told     bool
}

// heartbeat serves a Beat.
func (g *consumers) heartbeat(now int64, b *Beat) (Beaten, *Error) {
	if b.Epoch == LeaveEpoch || b.Epoch == AwayEpoch {
		return g.leave(now, b)
	}
	m, before, err := g.find(b)
	if err != nil {
		return Beaten{}, err
	}
	if m == nil && g.share && len(g.members) >= maxShareMembers {
		return Beaten{}, refuse(GroupMaxSizeReached, "The share group has reached its maximum capacity of %d members.", maxShareMembers)
	}
	if err := checkRegex(b.Regex); err != nil {
		return Beaten{}, err
	}
	if m == nil {
		m = g.take(b.MemberID, before)
	}
	different := g.update(m, b)
	if b.classic == nil { // who joins by the classic protocol does not say what it may know
		different = g.resolve(now, m, b) || different
	}
	if hash := g.topicHash(); different || hash != g.hash {
		g.hash = hash
		g.epoch++
		g.changed = true
	}
	if g.targetEpoch < g.epoch {
		g.assign(now)
	}
	moved := g.reconcile(now, m, b)
	m.expires = now + g.session(m)
	out := Beaten{MemberID: m.id, Epoch: m.epoch, Interval: g.settings().Heartbeat}
	whole := (b.Rebalance >= 0 && b.Owned != nil || g.share) && (b.Names != nil || b.Regex != nil)
	if b.Epoch == JoinEpoch || whole || moved {
		out.Told, out.Assigned = true, m.owned.list()
	}
	return out, nil
}

// find is the member that a heartbeat is of; nil if it is to be taken in, with the
// static member whose place it takes, if any.
func (g *consumers) find(b *Beat) (m, before *consumer, err *Error) {
	m = g.members[b.MemberID]
	if b.Instance == nil {
		if m == nil && b.Epoch != JoinEpoch {
			return nil, nil, g.noMember(b.MemberID)
		}
		return m, nil, g.checkBeat(m, b)
	}
	known := g.members[g.static[*b.Instance]]
	switch {
	case b.Epoch != JoinEpoch:
		if err := g.fenced(known, b); err != nil {
			return nil, nil, err
		}
		return known, nil, g.checkBeat(known, b)
	case known == nil || known.id == b.MemberID:
		return known, nil, nil
	case known.epoch != AwayEpoch && known.classic == nil && b.classic == nil:
		return nil, nil, refuse(UnreleasedInstanceID, "Static member %s with instance id %s cannot join the group because the instance id is owned by %s member.",
			b.MemberID, *b.Instance, known.id)
	}
	return nil, known, nil
}

func (g *consumers) noMember(id string) *Error {
	return refuse(UnknownMemberID, "Member %s is not a member of group %s.", id, g.id)
}

// fenced refuses a static member that is not known, or whose place another has.
func (g *consumers) fenced(known *consumer, b *Beat) *Error {
	switch {
	case known == nil:
		return refuse(UnknownMemberID, "Instance id %s is unknown.", *b.Instance)
	case known.id != b.MemberID:
		return refuse(FencedInstanceID, "Static member %s with instance id %s was fenced by member %s.", b.MemberID, *b.Instance, known.id)
	}
	return nil
}

// checkBeat refuses an epoch that is not the member's. One that has not heard of
// its last epoch is known by what it has.
func (g *consumers) checkBeat(m *consumer, b *Beat) *Error {
	switch {
	case b.Epoch == JoinEpoch || b.Epoch == m.epoch || g.share && b.Epoch == m.previous:
		return nil
	case g.share && b.Epoch < m.epoch:
		return refuse(FencedMemberEpoch, "The share group member has a smaller member epoch (%d) than the one known by the group coordinator (%d), "+
			"and it does not match the previous member epoch (%d). The member must abandon all its partitions and rejoin.", b.Epoch, m.epoch, m.previous)
	case g.share:
		return refuse(FencedMemberEpoch, "The share group member has a greater member epoch (%d) than the one known by the group coordinator (%d). "+
			"The member must abandon all its partitions and rejoin.", b.Epoch, m.epoch)
	case b.Epoch > m.epoch:
		return refuse(FencedMemberEpoch, "The consumer group member has a greater member epoch (%d) than the one known by the group coordinator (%d). "+
			"The member must abandon all its partitions and rejoin.", b.Epoch, m.epoch)
	case b.Epoch != m.previous || b.Owned == nil || !m.hasAll(b.Owned):
		return refuse(FencedMemberEpoch, "The consumer group member has a smaller member epoch (%d) than the one known by the group coordinator (%d). "+
			"The member must abandon all its partitions and rejoin.", b.Epoch, m.epoch)
	}
	return nil
}

// checkRegex refuses what is no regular expression.
func checkRegex(regex *string) *Error {
	if regex == nil || *regex == "" {
		return nil
	}
	if _, err := compile(*regex); err != nil {
		text := err.Error()
		if at := new(syntax.Error); errors.As(err, &at) {
			text = at.Code.String()
		}
		return refuse(InvalidRegularExpression, "SubscribedTopicRegex `%s` is not a valid regular expression: %s.", cut(*regex), text)
	}
	return nil
}

// take makes a member, in the place of a static one if before is one.
func (g *consumers) take(id string, before *consumer) *consumer {
	m := &consumer{id: id, state: stateStable, owned: slots{}, revoking: slots{}, target: slots{}}
	if before != nil {
		g.forget(before)
		*m = *before
		m.id, m.epoch, m.previous, m.state = id, JoinEpoch, JoinEpoch, stateStable
		for s := range m.owned {
			g.holders[s] = id
		}
	}
	g.members[id] = m
	if m.instance != nil {
		g.static[*m.instance] = id
	}
	g.changed = true
	return m
}

// update notes what a heartbeat tells of its member, and whether what it reads is
// different.
func (g *consumers) update(m *consumer, b *Beat) (different bool) {
	if b.classic != nil || m.classic != nil {
		if m.state != stateUnrevoked {
			m.moveBy = 0
		}
		m.classic, m.assignor, g.changed = b.classic, nil, true
	}
	if b.Epoch != JoinEpoch && b.Instance == nil && b.Rack == nil && b.Rebalance < 0 && b.Names == nil && b.Regex == nil && b.Assignor == nil &&
		m.clientID == b.ClientID && m.clientHost == b.ClientHost {
		return false
	}
	old := *m
	if b.Instance != nil {
		m.instance = b.Instance
		g.static[*m.instance] = m.id
	}
	if b.Rack != nil {
		m.rack = b.Rack
	}
	if b.Assignor != nil {
		m.assignor = b.Assignor
	}
	if b.Rebalance >= 0 {
		m.rebalance = b.Rebalance
	}
	m.clientID, m.clientHost = b.ClientID, b.ClientHost
	if b.Names != nil {
		m.names = slices.Compact(slices.Sorted(slices.Values(b.Names)))
		different = !slices.Equal(m.names, old.names)
	}
	if b.Regex != nil && *b.Regex != m.regex {
		m.regex, m.matchedAt, different = *b.Regex, -regexRefresh, true
	}
	g.changed = g.changed || different || !equal(m.instance, old.instance) || !equal(m.rack, old.rack) || !equal(m.assignor, old.assignor) ||
		m.rebalance != old.rebalance || m.clientID != old.clientID || m.clientHost != old.clientHost
	return different
}

func equal(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }

// leave serves the heartbeat of a member that goes.
func (g *consumers) leave(now int64, b *Beat) (Beaten, *Error) {
	m := g.members[b.MemberID]
	if b.Instance != nil {
		m = g.members[g.static[*b.Instance]]
		if err := g.fenced(m, b); err != nil {
			return Beaten{}, err
		}
	} else if m == nil {
		return Beaten{}, g.noMember(b.MemberID)
	}
	if b.Epoch == AwayEpoch {
		g.release(m)
		m.epoch, m.previous, m.state, m.revoking, m.moveBy = AwayEpoch, m.epoch, stateStable, slots{}, 0
		for s := range m.owned {
			g.holders[s] = m.id
		}
		g.changed = true
	} else {
		g.remove(now, m)
	}
	return Beaten{MemberID: b.MemberID, Epoch: b.Epoch}, nil
}

// remove takes a member out, so that the others get what it had.
func (g *consumers) remove(now int64, m *consumer) {
	g.forget(m)
	g.unite()
	if g.changed = true; g.onlyClassic() {
		return // it is to be a group of theirs, of the same generation
	}
	g.epoch++
	g.hash = g.topicHash()
	if len(g.members) == 0 {
		g.since, g.targetEpoch, g.targetTime = now, g.epoch, now
	}
}

// dismiss takes out a member at an administrator's request.
func (g *consumers) dismiss(now int64, id, instance string) *Error {
	m := g.members[id]
	if instance != "" {
		m = g.members[g.static[instance]]
		if m != nil && id != "" && id != m.id {
			return refuse(FencedInstanceID, "The member with the group instance id has been replaced by another.")
		}
	}
	if m == nil {
		return unknownMember()
	}
	g.remove(now, m)
	return nil
}

// forget takes a member off the lists.
func (g *consumers) forget(m *consumer) {
	g.release(m)
	delete(g.members, m.id)
	if m.instance != nil && g.static[*m.instance] == m.id {
		delete(g.static, *m.instance)
	}
}

// release notes that a member has nothing any more.
func (g *consumers) release(m *consumer) {
	for _, list := range []slots{m.owned, m.revoking} {
		for s := range list {
			if g.holders[s] == m.id {
				delete(g.holders, s)
			}
		}
	}
}

// resolve finds the topics of a member's regular expression that it may know of, and
// tells whether they are others than before. What others may know is no matter of it.
func (g *consumers) resolve(now int64, m *consumer, b *Beat) (different bool) {
	var found []string
	if m.regex != "" {
		if b.Epoch != JoinEpoch && now < m.matchedAt+regexRefresh {
			return false
		}
		re, err := compile(m.regex)
		if err != nil {
			return false // it was compiled when it came
		}
		for _, name := range g.topics.names() {
			if isWhole(re, name) && (b.MayDescribe == nil || b.MayDescribe(name)) {
				found = append(found, name)
			}
		}
		slices.Sort(found)
	}
	different = !slices.Equal(m.matched, found)
	m.matched, m.matchedAt = found, now
	g.unite()
	return different
}

// unite makes of every regular expression that a member has what is kept of it: the
// topics that it has for any of them.
func (g *consumers) unite() {
	next := map[string]*resolved{}
	for _, m := range g.members {
		if m.regex == "" {
			continue
		}
		r := next[m.regex]
		if r == nil {
			r = &resolved{}
			next[m.regex] = r
		}
		r.topics = append(r.topics, m.matched...)
		r.at = max(r.at, m.matchedAt)
	}
	for regex, r := range next {
		slices.Sort(r.topics)
		r.topics = slices.Compact(r.topics)
		if known := g.regexes[regex]; known == nil || !slices.Equal(known.topics, r.topics) {
			g.changed = true
		}
	}
	g.regexes = next
}

// reads are the topics that a member reads, sorted.
func (g *consumers) reads(m *consumer) []string {
	if len(m.matched) == 0 {
		return m.names
	}
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(m.names, m.matched))))
}

// subscribed are the topics that any member reads, sorted.
func (g *consumers) subscribed() []string {
	all := map[string]bool{}
	for _, m := range g.members {
		for _, name := range m.names {
			all[name] = true
		}
	}
	for _, r := range g.regexes {
		for _, name := range r.topics {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// topicHash is another when a topic that is read was made, removed or has grown.
func (g *consumers) topicHash() int64 {
	h := fnv.New64a()
	any := false
	for _, name := range g.subscribed() {
		if id, n, ok := g.topics.find(name); ok {
			any = true
			_, _ = h.Write(id[:]) // it cannot fail
			_, _ = h.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		}
	}
	if !any {
		return 0
	}
	return int64(h.Sum64())
}

// state is where in its life the group is.
func (g *consumers) state() GroupState {
	switch {
	case len(g.members) == 0:
		return GroupEmpty
	case g.share:
		return GroupStable
	case g.epoch > g.targetEpoch:
		return GroupAssigning
	}
	for _, m := range g.members {
		if m.state != stateStable || m.epoch != g.targetEpoch {
			return GroupReconciling
		}
	}
	return GroupStable
}

// next is when time will have something to say, Unix milliseconds; 0 is never.
func (g *consumers) next() (out int64) {
	for _, m := range g.members {
		for _, at := range []int64{m.expires, m.moveBy} {
			if at > 0 && (out == 0 || at < out) {
				out = at
			}
		}
	}
	return out
}

// tick takes out the members whose session is over, or that did not do in time what
// is for them to do.
func (g *consumers) tick(now int64) {
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		if m := g.members[id]; m.expires <= now || m.moveBy > 0 && m.moveBy <= now {
			g.remove(now, m)
		}
	}
}
