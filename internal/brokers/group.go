package brokers

import (
	"bytes"
	"slices"
)

// GroupState is where in its life a group is, in the words of Kafka's tools.
type GroupState string

// The states of a group of the classic protocol.
const (
	GroupEmpty      GroupState = "Empty"
	GroupPreparing  GroupState = "PreparingRebalance"
	GroupCompleting GroupState = "CompletingRebalance"
	GroupStable     GroupState = "Stable"
	GroupDead       GroupState = "Dead"
)

// Protocol is one way of assigning partitions that a member offers.
type Protocol struct {
	Name     string
	Metadata []byte
}

// member is one member of a group.
type member struct {
	id, instance         string // instance is "" for a dynamic member
	clientID, clientHost string
	session, rebalance   int64 // timeouts, milliseconds
	protocols            []Protocol
	assignment           []byte
	joined               func(Joined) // waits for the rebalance to complete
	synced               func(Synced) // waits for the leader's assignment
	expires              int64        // when its session is over, Unix milliseconds
}

// metadata is what the member said for a protocol.
func (m *member) metadata(protocol string) []byte {
	for _, p := range m.protocols {
		if p.Name == protocol {
			return p.Metadata
		}
	}
	return nil
}

// group is the state machine of one consumer group: it is given requests and the
// time, and calls back. It does no I/O; what must be durable before an answer goes
// through store. Rules: Apache Kafka's classic group protocol, KIP-62 (two
// timeouts), KIP-345 (static members), KIP-394 (member ids).
type group struct {
	id           string
	state        GroupState
	protocolType string
	protocol     string
	generation   int32
	leader       string
	members      map[string]*member
	order        []string          // member ids by joining
	static       map[string]string // instance to member id
	pending      map[string]int64  // ids given out and not yet used, with their end
	deadline     int64             // of the rebalance or of the wait for syncs; 0 is none
	since        int64             // of the state
	newID        func(prefix string) string
	// store makes the group's metadata durable and then calls done; done may be nil.
	store func(done func(err *Error))
}

func newGroup(id string, newID func(string) string) *group {
	return &group{id: id, state: GroupEmpty, members: map[string]*member{}, static: map[string]string{}, pending: map[string]int64{}, newID: newID}
}

// Join is a request to be a member.
type Join struct {
	Group, MemberID, Instance string
	ClientID, ClientHost      string
	Session, Rebalance        int64
	ProtocolType              string
	Protocols                 []Protocol
	// NeedsID has a new dynamic member come again with the id it is given.
	NeedsID bool
	// CanSkip tells that the client knows SkipAssignment.
	CanSkip bool
	// MayDescribe tells which topics the member may know of; nil is all.
	MayDescribe func(topic string) bool
}

// JoinedMember is a member as the leader is shown it.
type JoinedMember struct {
	ID, Instance string
	Metadata     []byte
}

// Joined is the answer to a Join.
type Joined struct {
	Err                    *Error
	Generation             int32
	ProtocolType, Protocol string
	Leader, MemberID       string
	SkipAssignment         bool
	Members                []JoinedMember // the leader's only
}

// Synced is the answer to a Sync.
type Synced struct {
	Err                    *Error
	ProtocolType, Protocol string
	Assignment             []byte
}

func (g *group) setState(s GroupState, now int64) { g.state, g.since = s, now }

// join serves a Join; done is called now or when the rebalance completes.
func (g *group) join(now int64, j Join, done func(Joined)) {
	refused := func(id string, e *Error) { done(Joined{Err: e, MemberID: id, Generation: -1}) }
	switch {
	case len(g.members) > 0 && g.protocolType != j.ProtocolType,
		j.ProtocolType == "" || len(j.Protocols) == 0,
		len(g.others(j.MemberID, j.Instance)) > 0 && !g.supports(j):
		refused(j.MemberID, refuse(InconsistentProtocol, "The group's members have no assignment protocol in common with this one."))
		return
	case j.MemberID == "" && j.Instance != "":
		g.joinStatic(now, j, done)
		return
	case j.MemberID == "" && j.NeedsID:
		id := g.newID(j.ClientID)
		g.pending[id] = now + j.Session
		refused(id, refuse(MemberIDRequired, "The group member needs to have a valid member id before actually entering a consumer group."))
		return
	case j.MemberID == "":
		g.addMember(now, g.newID(j.ClientID), j, done)
		return
	}
	if _, ok := g.pending[j.MemberID]; ok && j.Instance == "" {
		delete(g.pending, j.MemberID)
		g.addMember(now, j.MemberID, j, done)
		return
	}
	m, err := g.find(j.MemberID, j.Instance)
	if err != nil {
		refused(j.MemberID, err)
		return
	}
	g.rejoin(now, m, j, done)
}

// others are the members besides the one that joins.
func (g *group) others(id, instance string) []*member {
	var out []*member
	for _, m := range g.members {
		if m.id != id && (instance == "" || m.instance != instance) {
			out = append(out, m)
		}
	}
	return out
}

// supports tells whether j offers a protocol that all others have.
func (g *group) supports(j Join) bool {
	others := g.others(j.MemberID, j.Instance)
	return slices.ContainsFunc(j.Protocols, func(p Protocol) bool {
		return !slices.ContainsFunc(others, func(m *member) bool { return !hasProtocol(m, p.Name) })
	})
}

func hasProtocol(m *member, name string) bool {
	return slices.ContainsFunc(m.protocols, func(p Protocol) bool { return p.Name == name })
}

// find is the member of an id, which must be the present one of its instance.
func (g *group) find(id, instance string) (*member, *Error) {
	if instance != "" {
		known, ok := g.static[instance]
		switch {
		case !ok:
			return nil, unknownMember()
		case known != id:
			return nil, refuse(FencedInstanceID, "The member with the group instance id has been replaced by another.")
		}
	}
	if m := g.members[id]; m != nil {
		return m, nil
	}
	return nil, unknownMember()
}

func unknownMember() *Error {
	return refuse(UnknownMemberID, "The coordinator is not aware of this member.")
}

// rejoin serves a member that is there already.
func (g *group) rejoin(now int64, m *member, j Join, done func(Joined)) {
	same := sameProtocols(m.protocols, j.Protocols)
	switch {
	case g.state == GroupCompleting && same, g.state == GroupStable && same && m.id != g.leader:
		g.touch(now, m) // it has missed the answer
		done(g.joined(m))
		return
	}
	g.update(now, m, j)
	m.joined = replace(m.joined, done)
	g.prepare(now)
}

// replace ends an older wait of the same member.
func replace(old, next func(Joined)) func(Joined) {
	if old != nil {
		old(Joined{Err: unknownMember(), Generation: -1})
	}
	return next
}

func sameProtocols(a, b []Protocol) bool {
	return slices.EqualFunc(a, b, func(x, y Protocol) bool { return x.Name == y.Name && bytes.Equal(x.Metadata, y.Metadata) })
}

func (g *group) update(now int64, m *member, j Join) {
	m.clientID, m.clientHost = j.ClientID, j.ClientHost
	m.session, m.rebalance = j.Session, max(j.Rebalance, 0)
	m.protocols = j.Protocols
	g.touch(now, m)
}

// addMember takes a new member in and begins a rebalance.
func (g *group) addMember(now int64, id string, j Join, done func(Joined)) {
	m := &member{id: id, instance: j.Instance, joined: done}
	g.update(now, m, j)
	if len(g.members) == 0 {
		g.protocolType = j.ProtocolType
	}
	if g.members[g.leader] == nil {
		g.leader = id
	}
	g.members[id] = m
	g.order = append(g.order, id)
	if j.Instance != "" {
		g.static[j.Instance] = id
	}
	g.prepare(now)
}

// joinStatic serves a static member that comes without an id: a new one, or one
// that was started again and takes its own place.
func (g *group) joinStatic(now int64, j Join, done func(Joined)) {
	old := g.members[g.static[j.Instance]]
	id := g.newID(j.Instance)
	if old == nil {
		g.addMember(now, id, j, done)
		return
	}
	fenced := refuse(FencedInstanceID, "The member with the group instance id has been replaced by another.")
	if old.joined != nil {
		old.joined(Joined{Err: fenced, MemberID: old.id, Generation: -1})
	}
	if old.synced != nil {
		old.synced(Synced{Err: fenced})
	}
	unchanged := bytes.Equal(old.metadata(g.protocol), protocolOf(j, g.protocol)) && sameNames(old.protocols, j.Protocols)
	m := *old
	m.id, m.joined, m.synced = id, nil, nil
	delete(g.members, old.id)
	g.members[id] = &m
	g.order[slices.Index(g.order, old.id)] = id
	g.static[j.Instance] = id
	wasLeader := g.leader == old.id
	if wasLeader {
		g.leader = id
	}
	g.update(now, &m, j)
	if g.state == GroupStable && unchanged {
		generation := g.generation
		g.store(func(err *Error) {
			if err != nil || g.generation != generation || g.state != GroupStable {
				done(Joined{Err: refuse(RebalanceInProgress, "The group is rebalancing, so a rejoin is needed."), MemberID: id, Generation: -1})
				return
			}
			out := g.joined(&m)
			if wasLeader && j.CanSkip {
				out.SkipAssignment = true // its assignment holds
			} else if wasLeader {
				out.Leader = old.id // so that an older client does not assign anew
				out.Members = nil
			}
			done(out)
		})
		return
	}
	m.joined = done
	g.prepare(now)
}

func protocolOf(j Join, name string) []byte {
	for _, p := range j.Protocols {
		if p.Name == name {
			return p.Metadata
		}
	}
	return nil
}

func sameNames(a, b []Protocol) bool {
	return slices.EqualFunc(a, b, func(x, y Protocol) bool { return x.Name == y.Name })
}

// prepare begins a rebalance, or goes on with the one under way.
func (g *group) prepare(now int64) {
	if g.state != GroupPreparing {
		for _, m := range g.members {
			if g.state == GroupCompleting {
				m.assignment = nil
			}
			if m.synced != nil {
				m.synced(Synced{Err: refuse(RebalanceInProgress, "The group is rebalancing, so a rejoin is needed.")})
				m.synced = nil
			}
		}
		g.setState(GroupPreparing, now)
		g.deadline = now + g.longest()
	}
	g.complete(now, false)
}

// longest is the longest rebalance timeout of a member.
func (g *group) longest() (out int64) {
	for _, m := range g.members {
		out = max(out, m.rebalance)
	}
	return out
}

// complete ends the joining phase when everyone is there, or at its deadline.
func (g *group) complete(now int64, late bool) {
	if g.state != GroupPreparing {
		return
	}
	missing := 0
	for _, m := range g.members {
		if m.joined == nil {
			missing++
		}
	}
	if !late && (missing > 0 || len(g.pending) > 0 && len(g.members) > 0 && now < g.deadline) {
		return
	}
	if late {
		for _, id := range slices.Clone(g.order) {
			if m := g.members[id]; m.joined == nil && m.instance == "" {
				g.drop(m)
			}
		}
	}
	if len(g.members) > 0 && !g.elect() {
		g.deadline = now + g.longest() // static members only, and none of them is back
		return
	}
	g.generation++
	g.deadline = 0
	if len(g.members) == 0 {
		g.setState(GroupEmpty, now)
		g.protocol, g.leader = "", ""
		g.store(nil)
		return
	}
	g.protocol = g.choose()
	g.setState(GroupCompleting, now)
	g.deadline = now + g.longest()
	for _, id := range g.order {
		m := g.members[id]
		if m.joined == nil {
			continue // a static member that is away keeps its place
		}
		g.touch(now, m)
		done := m.joined
		m.joined = nil
		done(g.joined(m))
	}
}

// elect makes sure that the leader is one who has joined.
func (g *group) elect() bool {
	if m := g.members[g.leader]; m != nil && m.joined != nil {
		return true
	}
	for _, id := range g.order {
		if g.members[id].joined != nil {
			g.leader = id
			return true
		}
	}
	return false
}

// choose is the protocol that most members prefer of those that all have.
func (g *group) choose() string {
	votes := map[string]int{}
	best := ""
	for _, id := range g.order {
		for _, p := range g.members[id].protocols {
			if slices.ContainsFunc(g.order, func(o string) bool { return !hasProtocol(g.members[o], p.Name) }) {
				continue
			}
			votes[p.Name]++
			if best == "" || votes[p.Name] > votes[best] {
				best = p.Name
			}
			break
		}
	}
	return best
}

// joined is the answer for a member of the present generation.
func (g *group) joined(m *member) Joined {
	out := Joined{Generation: g.generation, ProtocolType: g.protocolType, Protocol: g.protocol, Leader: g.leader, MemberID: m.id}
	if m.id == g.leader {
		for _, id := range g.order {
			o := g.members[id]
			out.Members = append(out.Members, JoinedMember{ID: o.id, Instance: o.instance, Metadata: o.metadata(g.protocol)})
		}
	}
	return out
}

// waits tells a member that has its answer coming: it is alive.
func (m *member) waits() bool { return m.joined != nil || m.synced != nil }

// touch begins a member's session anew.
func (g *group) touch(now int64, m *member) { m.expires = now + m.session }

// drop takes a member out, without a rebalance.
func (g *group) drop(m *member) {
	if m.joined != nil {
		m.joined(Joined{Err: unknownMember(), MemberID: m.id, Generation: -1})
	}
	if m.synced != nil {
		m.synced(Synced{Err: unknownMember()})
	}
	m.joined, m.synced = nil, nil
	delete(g.members, m.id)
	if m.instance != "" && g.static[m.instance] == m.id {
		delete(g.static, m.instance)
	}
	if i := slices.Index(g.order, m.id); i >= 0 {
		g.order = slices.Delete(g.order, i, i+1)
	}
	if g.leader == m.id {
		g.leader = ""
		if len(g.order) > 0 {
			g.leader = g.order[0]
		}
	}
}

// dissolve answers all who wait, since the group is none of this protocol any more.
func (g *group) dissolve() {
	again := refuse(RebalanceInProgress, "The group is rebalancing, so a rejoin is needed.")
	for _, id := range g.order {
		m := g.members[id]
		if m.joined != nil {
			m.joined(Joined{Err: again, MemberID: id, Generation: -1})
		}
		if m.synced != nil {
			m.synced(Synced{Err: again})
		}
		m.joined, m.synced = nil, nil
	}
	g.setState(GroupDead, g.since)
}

// remove takes a member out and has the others rebalance.
func (g *group) remove(now int64, m *member) {
	g.drop(m)
	switch g.state {
	case GroupStable, GroupCompleting:
		g.prepare(now)
	case GroupPreparing:
		g.complete(now, false)
	}
}
