package kafka

import (
	"context"
	"math"
	"slices"
	"sync"

	"thalweg/internal/brokers"
	"thalweg/internal/limits"
)

const (
	// maxShareSessions is group.share.max.share.sessions, for each broker.
	maxShareSessions = 2000
	// shareEnd is the epoch of a request that ends its session.
	shareEnd = -1
)

// shareSessionKey tells sessions apart: a member has one with each broker.
type shareSessionKey struct {
	principal, group, member string
	broker                   int32
}

// sharePartition is one partition that a session is about.
type sharePartition struct {
	topic     brokers.TopicID
	partition int32
}

// shareSession is what a member of a share group fetches again and again. It ends
// with its connection, and what the member has got goes to others.
type shareSession struct {
	conn  *conn
	epoch int32 // of the next request
	parts []sharePartition
	held  int64 // bytes of the budget
}

// shareSessions are the sessions of a door. They draw on the memory budget.
type shareSessions struct {
	budget *limits.Budget
	mu     sync.Mutex
	byKey  map[shareSessionKey]*shareSession // guarded by mu
}

func (r *request) shareKey(group, member string) shareSessionKey {
	return shareSessionKey{r.conn.principal, group, member, r.conn.at.Broker}
}

// begin makes a session, in the place of one that is there.
func (ss *shareSessions) begin(c *conn, key shareSessionKey, parts []sharePartition) *brokers.Error {
	s := &shareSession{conn: c, epoch: 1, parts: parts}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.drop(key)
	if len(ss.byKey) >= maxShareSessions*int(c.door.cluster.Brokers()) || !ss.charge(key, s) {
		return tooManySessions()
	}
	ss.byKey[key] = s
	return nil
}

func tooManySessions() *brokers.Error {
	return refuse(brokers.ShareSessionLimitReached, "")
}

// charge draws what a session takes on the budget; mu is held.
func (ss *shareSessions) charge(key shareSessionKey, s *shareSession) bool {
	n := int64(len(s.parts)+1)*fetchWantBytes + int64(len(key.group)+len(key.member))
	if n > s.held && !ss.budget.TryAcquire(n-s.held) {
		return false
	}
	if n < s.held {
		ss.budget.Release(s.held - n)
	}
	s.held = n
	return true
}

// resume finds the session of a request, changes what it is about, and returns that.
// shareEnd needs no epoch, and ends it.
func (ss *shareSessions) resume(key shareSessionKey, epoch int32, add, forget []sharePartition) ([]sharePartition, *brokers.Error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.byKey[key]
	switch {
	case s == nil:
		return nil, refuse(brokers.ShareSessionNotFound, "")
	case epoch == shareEnd:
		ss.drop(key)
		return s.parts, nil
	case epoch != s.epoch:
		return nil, refuse(brokers.InvalidShareSessionEpoch, "")
	}
	without := map[sharePartition]bool{}
	for _, p := range forget {
		without[p] = true
	}
	parts := slices.DeleteFunc(slices.Clone(s.parts), func(p sharePartition) bool { return without[p] })
	parts = distinct(append(parts, add...), func(p *sharePartition) sharePartition { return *p })
	old := s.parts
	if s.parts = parts; !ss.charge(key, s) {
		s.parts = old
		return nil, tooManySessions()
	}
	s.epoch = s.epoch%math.MaxInt32 + 1
	return parts, nil
}

// drop ends a session; mu is held.
func (ss *shareSessions) drop(key shareSessionKey) {
	if s := ss.byKey[key]; s != nil {
		ss.budget.Release(s.held)
		delete(ss.byKey, key)
	}
}

// leave ends the sessions of a connection that is no more.
func (ss *shareSessions) leave(c *conn) {
	ended := map[shareSessionKey][]sharePartition{}
	ss.mu.Lock()
	for key, s := range ss.byKey {
		if s.conn == c {
			ended[key] = s.parts
			ss.drop(key)
		}
	}
	ss.mu.Unlock()
	for key, parts := range ended {
		c.door.releaseShares(context.WithoutCancel(c.ctx), key, parts)
	}
}

// releaseShares gives others what a member has got in a session.
func (d *Door) releaseShares(ctx context.Context, key shareSessionKey, parts []sharePartition) {
	for _, p := range parts {
		d.cluster.Shares().Release(ctx, key.group, key.member, p.topic, p.partition)
	}
}
