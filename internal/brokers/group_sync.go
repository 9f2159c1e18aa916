package brokers

// Sync is a member's request for its assignment; the leader brings all of them.
type Sync struct {
	Group, MemberID, Instance string
	Generation                int32
	ProtocolType, Protocol    *string
	Assignments               map[string][]byte
}

// sync serves a Sync; done is called now or when the leader's assignment is
// durable.
func (g *group) sync(now int64, s Sync, done func(Synced)) {
	m, err := g.find(s.MemberID, s.Instance)
	switch {
	case err != nil:
	case s.Generation != g.generation:
		err = refuse(IllegalGeneration, "Specified group generation id is not valid.")
	case s.ProtocolType != nil && *s.ProtocolType != g.protocolType || s.Protocol != nil && *s.Protocol != g.protocol:
		err = refuse(InconsistentProtocol, "The group's protocol is another.")
	case g.state == GroupPreparing:
		err = refuse(RebalanceInProgress, "The group is rebalancing, so a rejoin is needed.")
	case g.state != GroupCompleting && g.state != GroupStable:
		err = unknownMember()
	}
	if err != nil {
		done(Synced{Err: err})
		return
	}
	g.touch(now, m)
	if g.state == GroupStable {
		done(g.synced(m))
		return
	}
	if m.synced != nil {
		m.synced(Synced{Err: unknownMember()})
	}
	m.synced = done
	if m.id != g.leader {
		return
	}
	for _, o := range g.members {
		o.assignment = s.Assignments[o.id]
	}
	generation := g.generation
	g.store(func(err *Error) {
		if g.state != GroupCompleting || g.generation != generation {
			return // a rebalance has answered everyone
		}
		if err != nil {
			for _, o := range g.members {
				if o.synced != nil {
					o.synced(Synced{Err: refuse(CoordinatorNotAvailable, "The assignment could not be stored.")})
					o.synced = nil
				}
			}
			g.prepare(now)
			return
		}
		g.setState(GroupStable, now)
		g.deadline = 0
		for _, id := range g.order {
			if o := g.members[id]; o.synced != nil {
				g.touch(now, o)
				answer := o.synced
				o.synced = nil
				answer(g.synced(o))
			}
		}
	})
}

func (g *group) synced(m *member) Synced {
	return Synced{ProtocolType: g.protocolType, Protocol: g.protocol, Assignment: m.assignment}
}

// heartbeat keeps a member's session alive and tells it of a rebalance.
func (g *group) heartbeat(now int64, id, instance string, generation int32) *Error {
	m, err := g.find(id, instance)
	switch {
	case err != nil:
		return err
	case generation != g.generation:
		return refuse(IllegalGeneration, "Specified group generation id is not valid.")
	}
	g.touch(now, m)
	if g.state == GroupPreparing {
		return refuse(RebalanceInProgress, "The group is rebalancing, so a rejoin is needed.")
	}
	return nil
}

// leave takes a member out at its own, or an administrator's, request.
func (g *group) leave(now int64, id, instance string) *Error {
	if id == "" && instance != "" {
		id = g.static[instance] // an administrator knows the instance only
		if id == "" {
			return unknownMember()
		}
	}
	if _, ok := g.pending[id]; ok {
		delete(g.pending, id)
		g.complete(now, false)
		return nil
	}
	m, err := g.find(id, instance)
	if err != nil {
		return err
	}
	g.remove(now, m)
	return nil
}

// mayCommit refuses offsets of a client that is not a member of the present
// generation, unless the group has no members and it claims to be none.
func (g *group) mayCommit(now int64, id, instance string, generation int32) *Error {
	if generation < 0 && len(g.members) == 0 {
		return nil
	}
	if generation < 0 && id == "" && instance == "" {
		return unknownMember()
	}
	m, err := g.find(id, instance)
	switch {
	case err != nil:
		return err
	case generation != g.generation:
		return refuse(IllegalGeneration, "Specified group generation id is not valid.")
	case g.state == GroupCompleting:
		return refuse(RebalanceInProgress, "The group is rebalancing, so a rejoin is needed.")
	}
	g.touch(now, m)
	return nil
}

// next is when time will have something to say, Unix milliseconds; 0 is never.
func (g *group) next() int64 {
	out := g.deadline
	note := func(at int64) {
		if at > 0 && (out == 0 || at < out) {
			out = at
		}
	}
	for _, m := range g.members {
		if !m.waits() {
			note(m.expires)
		}
	}
	for _, at := range g.pending {
		note(at)
	}
	return out
}

// tick does what has fallen due.
func (g *group) tick(now int64) {
	for id, at := range g.pending {
		if at <= now {
			delete(g.pending, id)
		}
	}
	for _, id := range append([]string(nil), g.order...) {
		if m := g.members[id]; m != nil && !m.waits() && m.expires <= now {
			g.remove(now, m)
		}
	}
	if g.deadline > 0 && g.deadline <= now {
		switch g.state {
		case GroupPreparing:
			g.complete(now, true)
		case GroupCompleting: // some never asked for what they got
			g.deadline = 0
			for _, id := range append([]string(nil), g.order...) {
				if m := g.members[id]; m != nil && m.synced == nil && g.state == GroupCompleting {
					g.remove(now, m)
				}
			}
			if g.state == GroupCompleting {
				g.prepare(now)
			}
		default:
			g.deadline = 0
		}
		return
	}
	g.complete(now, false) // ids that ran out may have been what it waited for
}
