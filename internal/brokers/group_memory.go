package brokers

// About what things of groups take in memory, bytes, beside what clients send.
const (
	groupBytes  = 1 << 10
	memberBytes = 512
	offsetBytes = 256
	txnBytes    = 512
	slotBytes   = 64
)

// bytes is about what the member takes.
func (j *Join) bytes() int64 {
	n := int64(memberBytes)
	for _, p := range j.Protocols {
		n += int64(len(p.Name) + len(p.Metadata))
	}
	return n
}

// bytes is about what the group's members take.
func (g *group) bytes() int64 {
	n := int64(len(g.pending)) * memberBytes
	for _, m := range g.members {
		n += memberBytes + int64(len(m.assignment))
		for _, p := range m.protocols {
			n += int64(len(p.Name) + len(p.Metadata))
		}
	}
	return n
}

// admit refuses what the memory budget has no room for.
func (gs *Groups) admit(n int64) *Error {
	if !gs.cluster.memory.TryAcquire(n) {
		return refuse(CoordinatorNotAvailable, "The server is over its memory budget.")
	}
	gs.cluster.memory.Release(n) // account takes what it comes to
	return nil
}

// account draws what the group takes now; mu is held.
func (gs *Groups) account(e *entry) {
	n := groupBytes + e.kept + e.group.bytes()
	if e.consumers != nil {
		n += e.consumers.bytes()
	}
	gs.hold(e, n)
}

// release gives back what the group took; mu is held.
func (gs *Groups) release(e *entry) { gs.hold(e, 0) }

func (gs *Groups) hold(e *entry, n int64) {
	if n > e.held {
		gs.cluster.memory.Take(n - e.held)
	} else {
		gs.cluster.memory.Release(e.held - n)
	}
	e.held = n
}

// set notes a committed offset; mu is held.
func (e *entry) set(k topicPartition, c Committed) {
	old, ok := e.offsets[k]
	if !ok {
		e.kept += offsetBytes
	}
	e.kept += int64(len(c.Metadata) - len(old.Metadata))
	e.offsets[k] = c
}

// unset forgets a committed offset; mu is held.
func (e *entry) unset(k topicPartition) {
	if old, ok := e.offsets[k]; ok {
		e.kept -= offsetBytes + int64(len(old.Metadata))
		delete(e.offsets, k)
	}
}
