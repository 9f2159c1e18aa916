package brokers

import (
	"maps"
	"slices"
	"strings"
)

// The names of those who assign on the server's side.
const (
	uniformAssignor = "uniform"
	rangeAssignor   = "range"
	simpleAssignor  = "simple" // of share groups
)

// ConsumerAssignors are the names of the assignors, the default first.
func ConsumerAssignors() []string { return []string{uniformAssignor, rangeAssignor} }

// assign makes the target of the group's epoch.
func (g *consumers) assign(now int64) {
	byTopic := map[string][]*consumer{}
	for _, id := range g.assignees() {
		m := g.members[id]
		for _, name := range g.reads(m) {
			byTopic[name] = append(byTopic[name], m)
		}
	}
	next := map[*consumer]slots{}
	for _, m := range g.members {
		next[m] = slots{}
	}
	switch {
	case g.share:
		g.assignShared(byTopic, next)
	case g.assignor() == rangeAssignor:
		g.assignRanges(byTopic, next)
	default:
		g.assignUniformly(byTopic, next)
	}
	for m, target := range next {
		m.target = target
	}
	g.targetEpoch, g.targetTime, g.changed = g.epoch, now, true
}

// assignees are the ids of the members in the order in which they are served:
// static ones by instance, then the others by id.
func (g *consumers) assignees() []string {
	return slices.SortedFunc(maps.Keys(g.members), func(a, b string) int {
		x, y := g.members[a], g.members[b]
		switch {
		case x.instance != nil && y.instance != nil:
			return strings.Compare(*x.instance, *y.instance)
		case x.instance != nil:
			return -1
		case y.instance != nil:
			return 1
		}
		return strings.Compare(a, b)
	})
}

// assignShared gives partitions to members in turn, and again from the first where
// there are fewer of the one than of the other: every partition has a member, and
// every member a partition. Topics with the same members are one list.
func (g *consumers) assignShared(byTopic map[string][]*consumer, next map[*consumer]slots) {
	type readers struct {
		members []*consumer
		slots   []slot
	}
	var all []*readers
	for _, name := range slices.Sorted(maps.Keys(byTopic)) {
		id, partitions, ok := g.topics.find(name)
		if !ok {
			continue
		}
		i := slices.IndexFunc(all, func(r *readers) bool { return slices.Equal(r.members, byTopic[name]) })
		if i < 0 {
			i = len(all)
			all = append(all, &readers{members: byTopic[name]})
		}
		for p := range partitions {
			all[i].slots = append(all[i].slots, slot{id, p})
		}
	}
	for _, r := range all {
		if len(r.slots) == 0 {
			continue
		}
		for i := range max(len(r.members), len(r.slots)) {
			next[r.members[i%len(r.members)]][r.slots[i%len(r.slots)]] = 0
		}
	}
}

// assignor is whom most members want.
func (g *consumers) assignor() string {
	if g.share {
		return simpleAssignor
	}
	votes := map[string]int{}
	best := uniformAssignor
	for _, id := range g.assignees() {
		if a := g.members[id].assignor; a != nil {
			if votes[*a]++; votes[*a] > votes[best] {
				best = *a
			}
		}
	}
	return best
}

// assignRanges gives each member of a topic a range of its partitions, the first
// ones one more where they do not come out even.
func (g *consumers) assignRanges(byTopic map[string][]*consumer, next map[*consumer]slots) {
	for name, members := range byTopic {
		id, partitions, ok := g.topics.find(name)
		if !ok {
			continue
		}
		n := int32(len(members))
		at := int32(0)
		for i, m := range members {
			size := partitions / n
			if int32(i) < partitions%n {
				size++
			}
			for ; size > 0; size-- {
				next[m][slot{id, at}] = 0
				at++
			}
		}
	}
}

// tally counts what a member is to have.
type tally struct {
	of *consumer
	n  int
}

// assignUniformly gives every member as many partitions as every other, as far as
// what they read allows it, and leaves a partition where it was unless that is in
// the way.
func (g *consumers) assignUniformly(byTopic map[string][]*consumer, next map[*consumer]slots) {
	tallies := map[*consumer]*tally{}
	for m := range next {
		tallies[m] = &tally{of: m}
	}
	owner := map[slot]*tally{}
	var all []slot
	readers := map[TopicID][]*tally{}
	for _, name := range slices.Sorted(maps.Keys(byTopic)) {
		id, partitions, ok := g.topics.find(name)
		if !ok {
			continue
		}
		for p := range partitions {
			all = append(all, slot{id, p})
		}
		for _, m := range byTopic[name] {
			readers[id] = append(readers[id], tallies[m])
			for s := range m.target {
				if s.topic == id && s.partition < partitions {
					owner[s] = tallies[m]
				}
			}
		}
	}
	for _, t := range owner {
		t.n++
	}
	least := func(s slot) *tally {
		return slices.MinFunc(readers[s.topic], func(a, b *tally) int { return a.n - b.n })
	}
	for _, s := range all {
		if owner[s] == nil {
			owner[s] = least(s)
			owner[s].n++
		}
	}
	for moved := true; moved; { // each move makes the counts more even, so it ends
		moved = false
		for _, s := range slices.Backward(all) {
			from := owner[s]
			if to := least(s); to.n+1 < from.n {
				from.n--
				to.n++
				owner[s], moved = to, true
			}
		}
	}
	for s, t := range owner {
		next[t.of][s] = 0
	}
}
