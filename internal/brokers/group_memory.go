package brokers

// About what things of groups take in memory, bytes, beside the texts that clients
// send, which have no length that they cannot have.
const (
	groupBytes  = 1 << 10
	memberBytes = 512
	offsetBytes = 256
	txnBytes    = 512
	slotBytes   = 64
	textBytes   = 16 // of each in a list
)

// bytesOf is what texts take, those in a list.
func bytesOf(list []string) (n int64) {
	for _, s := range list {
		n += textBytes + int64(len(s))
	}
	return n
}

func bytesOfProtocols(list []Protocol) (n int64) {
	for _, p := range list {
		n += textBytes + int64(len(p.Name)+len(p.Metadata))
	}
	return n
}

// ofGroupBytes is what a group takes without anything in it.
func ofGroupBytes(id string) int64 { return groupBytes + 2*int64(len(id)) }

// bytes is about what the member takes; its id begins with what the client calls
// itself.
func (j *Join) bytes() int64 {
	return ofGroupBytes(j.Group) + memberBytes + int64(len(j.MemberID)+2*len(j.ClientID)+2*len(j.Instance)+len(j.ProtocolType)) + bytesOfProtocols(j.Protocols)
}

// bytes is about what the group's members take.
func (g *group) bytes() int64 {
	n := int64(len(g.protocolType))
	for id := range g.pending {
		n += memberBytes + int64(len(id))
	}
	for _, m := range g.members {
		n += memberBytes + int64(len(m.id)+len(m.instance)+len(m.clientID)+len(m.clientHost)+len(m.assignment)) + bytesOfProtocols(m.protocols)
	}
	return n
}

// bytes is about what the assignments take.
func (s *Sync) bytes() (n int64) {
	for id, a := range s.Assignments {
		n += int64(len(id) + len(a))
	}
	return n
}

// bytesOfCommits is what offsets take of which each could be stored.
func bytesOfCommits(group string, list []Commit) int64 {
	n := ofGroupBytes(group)
	for i := range list {
		if list[i].Err == nil {
			n += offsetBytes + int64(len(list[i].Metadata))
		}
	}
	return n
}

// bytes is about what a transactional id takes.
func (t *Txn) bytes() int64 {
	n := int64(txnBytes + len(t.id))
	for _, p := range t.parts {
		n += slotBytes + int64(len(p.topic))
	}
	return n
}

// account draws what a transactional id takes now; its lock, or that of all, is held.
func (ts *Transactions) account(t *Txn) { hold(ts.cluster, &t.held, t.bytes()) }

// hold draws n bytes for something that has drawn held.
func hold(c *Cluster, held *int64, n int64) {
	if n > *held {
		c.memory.Take(n - *held)
	} else {
		c.memory.Release(*held - n)
	}
	*held = n
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
	n := ofGroupBytes(e.id) + e.kept + e.group.bytes()
	if e.consumers != nil {
		n += e.consumers.bytes()
	}
	hold(gs.cluster, &e.held, n)
}

// release gives back what the group took; mu is held.
func (gs *Groups) release(e *entry) { hold(gs.cluster, &e.held, 0) }

// set notes a committed offset; mu is held.
func (e *entry) set(k topicPartition, c Committed) {
	old, ok := e.offsets[k]
	if !ok {
		e.kept += offsetBytes
	}
	e.kept += int64(len(c.Metadata) - len(old.Metadata))
	e.timed += one(c.Expires > 0) - one(old.Expires > 0)
	e.offsets[k] = c
}

// unset forgets a committed offset; mu is held.
func (e *entry) unset(k topicPartition) {
	if old, ok := e.offsets[k]; ok {
		e.kept -= offsetBytes + int64(len(old.Metadata))
		e.timed -= one(old.Expires > 0)
		delete(e.offsets, k)
	}
}
