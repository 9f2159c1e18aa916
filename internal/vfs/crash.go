package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// edit makes name in dir point to to; nil removes it.
type edit struct {
	dir  *node
	name string
	to   *node
}

// entryOp is what one call does to directories: it happens whole or not at all.
type entryOp []edit

// link applies op at once and notes it as not yet durable; m.mu is held.
func (m *Mem) link(op entryOp) {
	for _, e := range op {
		old := e.dir.entries[e.name]
		if e.to != nil {
			e.to.names++
			e.dir.entries[e.name] = e.to
		} else {
			delete(e.dir.entries, e.name)
		}
		m.touch(e.dir)
		if old != nil {
			old.names--
			defer m.reap(old)
		}
	}
	if m.crashable {
		m.unsynced = append(m.unsynced, op)
	}
}

// bias returns how likely an unsynced change is to survive one crash: often all
// or nothing, because those are the ordinary crashes, else anything between.
func bias(r *rand.Rand) float64 {
	switch r.IntN(6) {
	case 0:
		return 0
	case 1:
		return 1
	default:
		return 0.1 + 0.8*r.Float64()
	}
}

// syncContent makes a file's bytes durable, or, if the sync fails, decides now
// and for ever which of them are; m.mu is held.
func (m *Mem) syncContent(n *node, fails bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	keep := 1.0
	if fails {
		keep = bias(m.rng)
	}
	for _, ch := range n.pending {
		ch.applySome(&n.durable, m.rng, keep)
	}
	n.pending = nil
}

// syncEntries makes a directory's entries durable. A rename between two
// directories makes both durable together, so that it stays atomic.
func (m *Mem) syncEntries(dir *node) {
	dirs := map[*node]bool{dir: true}
	for grown := true; grown; {
		grown = false
		for _, op := range m.unsynced {
			if slices.ContainsFunc(op, func(e edit) bool { return dirs[e.dir] }) {
				for _, e := range op {
					grown = grown || !dirs[e.dir]
					dirs[e.dir] = true
				}
			}
		}
	}
	var now, later []entryOp
	for _, op := range m.unsynced {
		if dirs[op[0].dir] {
			now = append(now, op)
		} else {
			later = append(later, op)
		}
	}
	m.unsynced = later
	for _, op := range now {
		for _, e := range op {
			setEntry(e.dir.durableEntries, e)
		}
	}
}

func setEntry(entries map[string]*node, e edit) {
	if e.to == nil {
		delete(entries, e.name)
	} else {
		entries[e.name] = e.to
	}
}

// surviving picks each op with probability keep, but none that touches a name
// which an op lost before it touched.
func surviving(ops []entryOp, r *rand.Rand, keep float64) []entryOp {
	type place struct {
		dir  *node
		name string
	}
	lost := map[place]bool{}
	var kept []entryOp
	for _, op := range ops {
		ok := keep >= 1 || r.Float64() < keep
		for _, e := range op {
			ok = ok && !lost[place{e.dir, e.name}]
		}
		if ok {
			kept = append(kept, op)
			continue
		}
		for _, e := range op {
			lost[place{e.dir, e.name}] = true
		}
	}
	return kept
}

// Crash returns the file system as it may look after a power cut at this
// moment: what was synced is there; every unsynced write is kept, lost or torn,
// and every unsynced change of a directory kept or lost, as seed decides. m goes
// on as if nothing had happened. The result has no locks, rules or limits. It
// needs a file system from [NewMem], with no call under way.
func (m *Mem) Crash(seed uint64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := rand.New(rand.NewPCG(seed, 1))
	keep := bias(r)
	c := &crash{
		from: m, to: NewMem(seed), seed: seed, keep: keep,
		entries: map[*node]map[string]*node{},
		copies:  map[*node]*node{},
	}
	for _, op := range surviving(m.unsynced, r, keep) {
		for _, e := range op {
			setEntry(c.of(e.dir), e)
		}
	}
	c.to.nodes, c.to.ticks, c.to.calls = m.nodes, m.ticks, m.calls
	c.to.root = c.copy(m.root)
	return c.to
}

// crash is one run of [Mem.Crash].
type crash struct {
	from, to *Mem
	seed     uint64
	keep     float64
	entries  map[*node]map[string]*node // of directories that differ from their durable ones
	copies   map[*node]*node
}

// of returns the surviving entries of dir, to be changed.
func (c *crash) of(dir *node) map[string]*node {
	if c.entries[dir] == nil {
		c.entries[dir] = maps.Clone(dir.durableEntries)
	}
	return c.entries[dir]
}

// copy returns what is left of n, once for all its names.
func (c *crash) copy(n *node) *node {
	if done := c.copies[n]; done != nil {
		return done
	}
	out := &node{id: n.id, dir: n.dir, mtime: n.mtime}
	c.copies[n] = out
	if n.dir {
		out.entries = map[string]*node{}
		for name, child := range c.of(n) {
			out.entries[name] = c.copy(child)
			out.entries[name].names++
		}
		out.durableEntries = maps.Clone(out.entries)
		return out
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	out.durable = n.durable.clone()
	r := rand.New(rand.NewPCG(c.seed, n.id+2))
	for _, ch := range n.pending {
		ch.applySome(&out.durable, r, c.keep)
	}
	out.now = out.durable.clone()
	c.to.used.Add(int64(out.now.held()))
	return out
}

// Kill returns the file system as the next process finds it when this one is
// killed at this moment: everything written is there, and what was not synced is
// as far from durable as before. m goes on as if nothing had happened. Locks,
// rules and open files are gone; limits stay. It needs a file system from
// [NewMem], with no call under way.
func (m *Mem) Kill() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := NewMem(uint64(m.calls))
	out.nodes, out.ticks, out.calls = m.nodes, m.ticks, m.calls
	out.capacity, out.noSync = m.capacity, m.noSync
	k := kill{to: out, copies: map[*node]*node{}}
	out.root = k.copy(m.root)
	for _, op := range m.unsynced {
		same := make(entryOp, len(op))
		for i, e := range op {
			same[i] = edit{k.copy(e.dir), e.name, k.copy(e.to)}
		}
		out.unsynced = append(out.unsynced, same)
	}
	return out
}

// kill is one run of [Mem.Kill].
type kill struct {
	to     *Mem
	copies map[*node]*node
}

func (k kill) copy(n *node) *node {
	if n == nil {
		return nil
	}
	if done := k.copies[n]; done != nil {
		return done
	}
	out := &node{id: n.id, dir: n.dir, mtime: n.mtime, names: n.names}
	k.copies[n] = out
	if n.dir {
		out.entries, out.durableEntries = map[string]*node{}, map[string]*node{}
		for name, child := range n.entries {
			out.entries[name] = k.copy(child)
		}
		for name, child := range n.durableEntries {
			out.durableEntries[name] = k.copy(child)
		}
		return out
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	out.durable, out.pending = n.durable.clone(), slices.Clone(n.pending)
	if n.names > 0 {
		out.now = n.now.clone()
		k.to.used.Add(int64(out.now.held()))
	}
	return out
}
