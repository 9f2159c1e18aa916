package brokers

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerProtocol is the protocol type of clients that read topics.
const consumerProtocol = "consumer"

// classicMember is what a member of a group of the consumer protocol has, beside
// the rest, that is a client of the classic one.
type classicMember struct {
	session   int64 // milliseconds
	protocols []Protocol
}

// subscription is what the member reads and has, by the first of its protocols.
func subscription(protocols []Protocol) (out kmsg.ConsumerMemberMetadata, ok bool) {
	if len(protocols) == 0 {
		return out, false
	}
	return out, out.ReadFrom(protocols[0].Metadata) == nil
}

// session is how long a member is one without a word of it, milliseconds.
func (g *consumers) session(m *consumer) int64 {
	if m.classic != nil {
		return m.classic.session
	}
	return g.settings().Session
}

// join serves a Join to a group of the consumer protocol: it is a heartbeat that
// tells everything, and its answer has no leader, since the server assigns.
func (g *consumers) join(now int64, j *Join) Joined {
	refused := func(e *Error) Joined { return Joined{Err: e, Generation: -1} }
	sub, ok := subscription(j.Protocols)
	if !ok || j.ProtocolType != consumerProtocol || !g.supports(j) {
		return refused(refuse(InconsistentProtocol, "The group's members have no assignment protocol in common with this one."))
	}
	b := Beat{Group: g.id, MemberID: j.MemberID, Epoch: JoinEpoch, Rack: sub.Rack, ClientID: j.ClientID, ClientHost: j.ClientHost,
		Rebalance: max(j.Rebalance, 0), Names: j.mayRead(sub.Topics), Regex: new(string), Owned: g.owned(&sub),
		classic: &classicMember{session: j.Session, protocols: j.Protocols}}
	switch {
	case j.Instance != "":
		b.Instance = &j.Instance
		if j.MemberID != "" {
			if err := g.fenced(g.members[g.static[j.Instance]], &b); err != nil {
				return refused(err)
			}
		} else {
			b.MemberID = newMemberID(j.Instance)
		}
	case j.MemberID == "":
		b.MemberID = newMemberID(j.ClientID)
		if j.NeedsID {
			return Joined{Err: refuse(MemberIDRequired, "The group member needs to have a valid member id before actually entering a consumer group."), MemberID: b.MemberID, Generation: -1}
		}
	}
	out, err := g.heartbeat(now, &b)
	if err != nil {
		return refused(err)
	}
	m := g.members[out.MemberID]
	m.moveBy = now + m.rebalance // it is to come for its partitions
	return Joined{Generation: m.epoch, ProtocolType: consumerProtocol, Protocol: j.Protocols[0].Name, MemberID: m.id}
}

// mayRead are the topics of a list that the member may know of: here the server
// gives them out, and not another member.
func (j *Join) mayRead(topics []string) []string {
	out := []string{}
	for _, name := range topics {
		if j.MayDescribe == nil || j.MayDescribe(name) {
			out = append(out, name)
		}
	}
	return out
}

// supports tells whether j offers a protocol that all members of the classic
// protocol have.
func (g *consumers) supports(j *Join) bool {
	return slices.ContainsFunc(j.Protocols, func(p Protocol) bool {
		for _, m := range g.members {
			if m.id != j.MemberID && m.classic != nil && !slices.ContainsFunc(m.classic.protocols, func(o Protocol) bool { return o.Name == p.Name }) {
				return false
			}
		}
		return true
	})
}

// owned are the partitions that a subscription says its member has.
func (g *consumers) owned(sub *kmsg.ConsumerMemberMetadata) []TopicPartitions {
	out := []TopicPartitions{}
	for _, t := range sub.OwnedPartitions {
		if id, _, ok := g.topics.find(t.Topic); ok {
			out = append(out, TopicPartitions{Topic: id, Name: t.Topic, Partitions: t.Partitions})
		}
	}
	return out
}

// classicMember is the member that a request of the classic protocol is of, which
// must be of its present epoch.
func (g *consumers) classicMember(now int64, id, instance string, generation int32) (*consumer, *Error) {
	m := g.members[id]
	if instance != "" {
		m = g.members[g.static[instance]]
		if err := g.fenced(m, &Beat{MemberID: id, Instance: &instance}); err != nil {
			return nil, err
		}
	}
	switch {
	case m == nil || m.classic == nil:
		return nil, unknownMember()
	case m.epoch != generation:
		return nil, refuse(IllegalGeneration, "The received generation id %d does not match the expected member epoch %d.", generation, m.epoch)
	}
	m.expires = now + m.classic.session
	return m, nil
}

// rejoin has a member of the classic protocol join again, in time.
func (m *consumer) rejoin(now int64) *Error {
	if m.moveBy == 0 {
		m.moveBy = now + m.rebalance
	}
	return refuse(RebalanceInProgress, "The group is rebalancing, so a rejoin is needed.")
}

// sync serves a Sync: it gives a member what it has.
func (g *consumers) sync(now int64, s *Sync) Synced {
	m, err := g.classicMember(now, s.MemberID, s.Instance, s.Generation)
	switch {
	case err != nil:
	case s.ProtocolType != nil && *s.ProtocolType != consumerProtocol || s.Protocol != nil && *s.Protocol != m.classic.protocols[0].Name:
		err = refuse(InconsistentProtocol, "The group's protocol is another.")
	case m.epoch < g.epoch && m.state != stateUnrevoked:
		err = m.rejoin(now)
	}
	if err != nil {
		return Synced{Err: err}
	}
	if m.state != stateUnrevoked {
		m.moveBy = 0
	}
	return Synced{ProtocolType: consumerProtocol, Protocol: m.classic.protocols[0].Name, Assignment: g.assignment(m)}
}

// assignment is what a member has, in the form of the classic protocol.
func (g *consumers) assignment(m *consumer) []byte {
	out := kmsg.NewConsumerMemberAssignment()
	if sub, ok := subscription(m.classic.protocols); ok {
		out.Version = sub.Version
	}
	for _, name := range g.subscribed() {
		id, _, _ := g.topics.find(name)
		t := kmsg.NewConsumerMemberAssignmentTopic()
		t.Topic = name
		for _, s := range m.owned.sorted() {
			if s.topic == id {
				t.Partitions = append(t.Partitions, s.partition)
			}
		}
		if len(t.Partitions) > 0 {
			out.Topics = append(out.Topics, t)
		}
	}
	return out.AppendTo(nil)
}

// beatClassic serves the heartbeat of a member of the classic protocol: it is to
// join again when it has partitions to give up, or others that it can have now.
func (g *consumers) beatClassic(now int64, id, instance string, generation int32) *Error {
	m, err := g.classicMember(now, id, instance, generation)
	switch {
	case err != nil:
		return err
	case m.epoch < g.epoch, m.state == stateUnrevoked, m.state == stateUnreleased && !g.waits(m):
		return m.rejoin(now)
	}
	return nil
}

// waits tells whether others have yet to give up what the member is to have.
func (g *consumers) waits(m *consumer) bool {
	for s := range m.target {
		if holder, ok := g.holders[s]; ok && holder != m.id {
			return true
		}
	}
	return false
}

// onlyClassic tells that there are members, and none is of the consumer protocol.
func (g *consumers) onlyClassic() bool {
	for _, m := range g.members {
		if m.classic == nil {
			return false
		}
	}
	return len(g.members) > 0
}

// upgrade fills g, which has no members, with those of a group of the classic
// protocol: they have what they were last assigned, and are told to join again when
// the epoch rises.
func (g *consumers) upgrade(from *group, now int64) *Error {
	no := func(why string) *Error {
		return refuse(GroupIDNotFound, "Cannot upgrade classic group %s to consumer group because %s.", g.id, why)
	}
	if from.protocolType != consumerProtocol {
		return no("the group does not use the consumer embedded protocol")
	}
	g.epoch, g.targetEpoch, g.targetTime, g.changed = from.generation, from.generation, now, true
	for _, id := range from.order {
		o := from.members[id]
		protocols := slices.Clone(o.protocols)
		slices.SortStableFunc(protocols, func(a, b Protocol) int { // the group's own is the first
			return one(b.Name == from.protocol) - one(a.Name == from.protocol)
		})
		sub, ok := subscription(protocols)
		var has kmsg.ConsumerMemberAssignment
		if !ok || len(o.assignment) > 0 && has.ReadFrom(o.assignment) != nil {
			return no("the embedded consumer protocol is malformed")
		}
		if len(has.UserData) > 0 {
			return no("an unsupported custom assignor is in use. " +
				"Please refer to the documentation or switch to a default assignor before re-attempting the upgrade")
		}
		m := g.take(o.id, nil)
		m.classic = &classicMember{session: o.session, protocols: protocols}
		m.epoch, m.previous = g.epoch, g.epoch
		m.rack, m.clientID, m.clientHost, m.rebalance = sub.Rack, o.clientID, o.clientHost, o.rebalance
		m.names = slices.Compact(slices.Sorted(slices.Values(sub.Topics)))
		if o.instance != "" {
			m.instance = &o.instance
			g.static[o.instance] = m.id
		}
		for _, t := range has.Topics {
			id, n, _ := g.topics.find(t.Topic)
			for _, p := range t.Partitions {
				if p >= 0 && p < n {
					m.owned[slot{id, p}], m.target[slot{id, p}], g.holders[slot{id, p}] = g.epoch, 0, m.id
				}
			}
		}
		m.expires = now + o.session
	}
	return nil
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// downgrade fills a group of the classic protocol with the members of g, which are
// all clients of that protocol; they are to rebalance.
func (g *consumers) downgrade(to *group, now int64) {
	to.protocolType, to.generation = consumerProtocol, g.epoch
	for _, id := range g.assignees() {
		m := g.members[id]
		o := &member{id: id, clientID: m.clientID, clientHost: m.clientHost, session: m.classic.session, rebalance: m.rebalance,
			protocols: m.classic.protocols, assignment: g.assignment(m)}
		if m.instance != nil {
			o.instance = *m.instance
			to.static[o.instance] = id
		}
		to.members[id] = o
		to.order = append(to.order, id)
		to.touch(now, o)
	}
	to.protocol, to.leader = to.choose(), to.order[0]
	to.setState(GroupStable, now)
}

// value is the tagged field of the member's record.
func (c *classicMember) value() []byte {
	v := []byte{1} // there is one
	v = kbin.AppendInt32(v, int32(c.session))
	v = kbin.AppendCompactArrayLen(v, len(c.protocols))
	for _, p := range c.protocols {
		v = kbin.AppendCompactString(v, p.Name)
		v = kbin.AppendCompactBytes(v, p.Metadata)
		v = append(v, 0)
	}
	return append(v, 0)
}

func readClassic(r *kbin.Reader) *classicMember {
	if r.Int8() < 0 {
		return nil
	}
	out := &classicMember{session: int64(r.Int32())}
	for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
		p := Protocol{Name: r.CompactString(), Metadata: slices.Clone(r.CompactBytes())} // the record is used again
		kmsg.SkipTags(r)
		out.protocols = append(out.protocols, p)
	}
	kmsg.SkipTags(r)
	if len(out.protocols) == 0 {
		return nil
	}
	return out
}
