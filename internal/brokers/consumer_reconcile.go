package brokers

import (
	"bytes"
	"maps"
	"slices"
)

// hasAll tells whether the member has all these partitions.
func (m *consumer) hasAll(list []TopicPartitions) bool {
	return !slices.ContainsFunc(list, func(t TopicPartitions) bool {
		return slices.ContainsFunc(t.Partitions, func(p int32) bool {
			_, ok := m.owned[slot{t.Topic, p}]
			return !ok
		})
	})
}

// keeps tells whether a member still has, as far as it tells, one of the partitions
// that it is to give up.
func (b *Beat) keeps(revoking slots) bool {
	if b.Owned == nil {
		return len(revoking) > 0
	}
	return slices.ContainsFunc(b.Owned, func(t TopicPartitions) bool {
		return slices.ContainsFunc(t.Partitions, func(p int32) bool {
			_, ok := revoking[slot{t.Topic, p}]
			return ok
		})
	})
}

// reconcile brings a member a step nearer to its target, and tells whether what it
// may use is different now.
func (g *consumers) reconcile(now int64, m *consumer, b *Beat) (moved bool) {
	switch {
	case m.state == stateStable && m.epoch == g.targetEpoch:
		return false
	case g.share:
		return g.shareTarget(m)
	case m.state == stateUnrevoked && b.keeps(m.revoking):
		return false
	}
	kept, lost, gained, waits := slots{}, slots{}, slots{}, false
	for s, epoch := range m.owned {
		if _, ok := m.target[s]; ok {
			kept[s] = epoch
		} else {
			lost[s] = epoch
		}
	}
	for s := range m.target {
		if _, ok := kept[s]; ok {
			continue
		}
		if holder, ok := g.holders[s]; ok && holder != m.id {
			waits = true
		} else {
			gained[s] = g.targetEpoch
		}
	}
	old := *m
	g.release(m)
	m.previous, m.owned, m.revoking, m.moveBy = m.epoch, kept, slots{}, 0
	if b.keeps(lost) {
		m.state, m.revoking, m.moveBy = stateUnrevoked, lost, now+m.rebalance
		gained = nil
	} else {
		m.state, m.epoch = stateStable, g.targetEpoch
		if waits {
			m.state = stateUnreleased
		}
		maps.Copy(m.owned, gained)
	}
	for _, list := range []slots{m.owned, m.revoking} {
		for s := range list {
			g.holders[s] = m.id
		}
	}
	moved = len(lost) > 0 || len(gained) > 0
	if !moved && m.state == old.state && m.epoch == old.epoch && len(old.revoking) == 0 {
		m.previous = old.previous // nothing has happened
		return false
	}
	g.changed = true
	return moved
}

// shareTarget has a member of a share group at its target.
func (g *consumers) shareTarget(m *consumer) (moved bool) {
	next := slots{}
	for s := range m.target {
		next[s] = g.targetEpoch
		_, had := m.owned[s]
		moved = moved || !had
	}
	moved = moved || len(next) != len(m.owned)
	m.previous, m.epoch, m.owned, g.changed = m.epoch, g.targetEpoch, next, true
	return moved
}

// list is partitions by topic, in the order of the topics' ids.
func (in slots) list() []TopicPartitions {
	out := []TopicPartitions{}
	for _, s := range in.sorted() {
		if n := len(out); n == 0 || out[n-1].Topic != s.topic {
			out = append(out, TopicPartitions{Topic: s.topic})
		}
		t := &out[len(out)-1]
		t.Partitions = append(t.Partitions, s.partition)
	}
	return out
}

// sorted are the partitions by topic and number.
func (in slots) sorted() []slot {
	return slices.SortedFunc(maps.Keys(in), func(a, b slot) int {
		if c := bytes.Compare(a.topic[:], b.topic[:]); c != 0 {
			return c
		}
		return int(a.partition) - int(b.partition)
	})
}

// mayCommit refuses offsets of a client that is not a member, or of an epoch in
// which the partition was not yet its own.
func (g *consumers) mayCommit(id string, epoch int32, list []Commit) *Error {
	if epoch < 0 && len(g.members) == 0 {
		return nil
	}
	m := g.members[id]
	switch {
	case m == nil:
		return g.noMember(id)
	case epoch == m.epoch:
		return nil
	case m.classic != nil:
		return refuse(IllegalGeneration, "The received generation id %d does not match the expected member epoch %d.", epoch, m.epoch)
	case epoch > m.epoch:
		return refuse(StaleMemberEpoch, "Received member epoch %d is newer than current member epoch %d.", epoch, m.epoch)
	}
	for i := range list {
		c := &list[i]
		topic, _, _ := g.topics.find(c.Topic)
		s := slot{topic, c.Partition}
		since, ok := m.owned[s]
		if !ok {
			since, ok = m.revoking[s]
		}
		switch {
		case c.Err != nil:
		case !ok:
			return refuse(StaleMemberEpoch, "Partition %s-%d is not assigned or pending revocation for member.", c.Topic, c.Partition)
		case epoch < since:
			return refuse(StaleMemberEpoch, "Received member epoch %d is older than assignment epoch %d for partition %s-%d.", epoch, since, c.Topic, c.Partition)
		}
	}
	return nil
}

// mayFetch refuses a member that is none, or of another epoch. Who says nothing of
// a member may look.
func (g *consumers) mayFetch(id *string, epoch int32) *Error {
	if id == nil && epoch < 0 {
		return nil
	}
	var m *consumer
	if id != nil {
		m = g.members[*id]
	}
	switch {
	case m == nil && id == nil:
		return g.noMember("null")
	case m == nil:
		return g.noMember(*id)
	case m.epoch != epoch && m.classic != nil:
		return refuse(IllegalGeneration, "The received generation id %d does not match the expected member epoch %d.", epoch, m.epoch)
	case m.epoch != epoch:
		return refuse(StaleMemberEpoch, "The received member epoch %d does not match the expected member epoch %d.", epoch, m.epoch)
	}
	return nil
}
