package kafka

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
	"thalweg/internal/clock"
	"thalweg/internal/limits"
)

const (
	// fetchSessionIdle is min.incremental.fetch.session.eviction.ms: a session that
	// was not used for so long may go for another.
	fetchSessionIdle = 2 * time.Minute
	// fetchWantBytes is what a session holds of a partition, beside its topic's name.
	fetchWantBytes = 256
)

// fetchKey names a partition as the client does: by its topic's name, or by its id.
type fetchKey struct {
	topic     string
	id        brokers.TopicID
	partition int32
}

// fetchWant is what a client wants of a partition.
type fetchWant struct {
	fetchKey
	offset int64
	max    int32
	epoch  int32 // of the leader that the client knows

	// Of a session, what the client was told last.
	end, start int64
	failed     bool
}

// wants are what a request names, in its order, each once.
func wants(in *kmsg.FetchRequest) []*fetchWant {
	var out []*fetchWant
	for i := range in.Topics {
		t := &in.Topics[i]
		for k := range t.Partitions {
			p := &t.Partitions[k]
			out = append(out, &fetchWant{fetchKey: keyOf(in.Version, t.Topic, t.TopicID, p.Partition), offset: p.FetchOffset,
				max: max(p.PartitionMaxBytes, 0), epoch: p.CurrentLeaderEpoch, end: -1, start: -1})
		}
	}
	return distinct(out, func(w **fetchWant) fetchKey { return (*w).fetchKey })
}

func keyOf(version int16, topic string, id brokers.TopicID, partition int32) fetchKey {
	if version >= 13 {
		topic = ""
	}
	return fetchKey{topic, id, partition}
}

// fetchSession is what a client fetches again and again, without naming it each
// time (KIP-227).
type fetchSession struct {
	id        int32
	principal string
	byTopicID bool

	mu    sync.Mutex
	epoch int32 // guarded by mu: of the next request
	// parts are guarded by mu: those that had no records for longest are first.
	parts []*fetchWant
	index map[fetchKey]*fetchWant // guarded by mu

	used int64 // guarded by the sessions' mu
	held int64 // guarded by the sessions' mu: bytes of the budget
}

// fetchSessions are the sessions of a door. They draw on the memory budget; when
// there is no room for another, its client goes without.
type fetchSessions struct {
	budget *limits.Budget
	clock  clock.Clock
	slots  func() int // how many there may be

	mu   sync.Mutex
	byID map[int32]*fetchSession // guarded by mu
	last int32                   // guarded by mu: the id given last
}

// newFetchSessions gives ids that begin with the time, so that those of before a
// restart are not given again to others.
func newFetchSessions(budget *limits.Budget, c clock.Clock, slots func() int) *fetchSessions {
	return &fetchSessions{budget: budget, clock: c, slots: slots, byID: map[int32]*fetchSession{}, last: int32(clock.Millis(c) & math.MaxInt32)}
}

// partsOf are the parts of a fetch of these.
func partsOf(list []*fetchWant) []fetchPart {
	parts := make([]fetchPart, len(list))
	for i, w := range list {
		parts[i] = fetchPart{want: w, offset: w.offset, max: int(w.max), epoch: w.epoch}
	}
	return parts
}

// begin makes a session of what was fetched whole; 0 is none.
func (ss *fetchSessions) begin(principal string, byTopicID bool, parts []fetchPart) int32 {
	if len(parts) == 0 {
		return 0
	}
	s := &fetchSession{principal: principal, byTopicID: byTopicID, epoch: 1, index: make(map[fetchKey]*fetchWant, len(parts))}
	for i := range parts {
		w := parts[i].want
		w.news(&parts[i])
		if s.index[w.fetchKey] == nil {
			s.parts = append(s.parts, w)
			s.index[w.fetchKey] = w
		}
	}
	s.held = wantBytes(s.parts)
	now := clock.Millis(ss.clock)
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for len(ss.byID) >= ss.slots() {
		if !ss.evict(now) {
			return 0
		}
	}
	for !ss.budget.TryAcquire(s.held) {
		if !ss.evict(now) {
			return 0
		}
	}
	for s.id == 0 || ss.byID[s.id] != nil {
		ss.last = ss.last%math.MaxInt32 + 1
		s.id = ss.last
	}
	s.used = now
	ss.byID[s.id] = s
	return s.id
}

func wantBytes(parts []*fetchWant) (n int64) {
	for _, w := range parts {
		n += fetchWantBytes + int64(len(w.topic))
	}
	return n
}

// evict gives up the session that was not used for longest, if that is long enough;
// mu is held.
func (ss *fetchSessions) evict(now int64) bool {
	var oldest *fetchSession
	for _, s := range ss.byID {
		if oldest == nil || s.used < oldest.used {
			oldest = s
		}
	}
	if oldest == nil || now-oldest.used < fetchSessionIdle.Milliseconds() {
		return false
	}
	ss.drop(oldest)
	return true
}

// drop ends a session; mu is held.
func (ss *fetchSessions) drop(s *fetchSession) {
	if ss.byID[s.id] == s {
		delete(ss.byID, s.id)
		ss.budget.Release(s.held)
	}
}

// end ends a client's session, if it is there.
func (ss *fetchSessions) end(id int32, principal string) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if s := ss.byID[id]; s != nil && s.principal == principal {
		ss.drop(s)
	}
}

// close ends all sessions.
func (ss *fetchSessions) close() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.byID {
		ss.drop(s)
	}
}

// next takes what a request changes of its session, and returns the session and
// what is to be fetched now. A session without partitions ends, and is nil.
func (ss *fetchSessions) next(principal string, in *kmsg.FetchRequest) (*fetchSession, []fetchPart, brokers.Code) {
	ss.mu.Lock()
	s := ss.byID[in.SessionID]
	if s == nil || s.principal != principal {
		ss.mu.Unlock()
		return nil, nil, brokers.FetchSessionNotFound
	}
	s.used = clock.Millis(ss.clock)
	ss.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.byTopicID != (in.Version >= 13):
		return nil, nil, brokers.FetchSessionTopicID
	case s.epoch != in.SessionEpoch:
		return nil, nil, brokers.InvalidFetchSessionEpoch
	}
	if s.epoch++; s.epoch < 0 {
		s.epoch = 1
	}
	if !ss.resize(s, s.change(in)) {
		return nil, nil, brokers.FetchSessionNotFound // the client begins another, or goes without
	}
	if len(s.parts) == 0 {
		ss.end(s.id, principal)
		return nil, nil, brokers.OK
	}
	return s, partsOf(s.parts), brokers.OK
}

// change adds what a request wants to what the session has, and leaves out what is
// forgotten. It returns by how many bytes the session grows; mu is held.
func (s *fetchSession) change(in *kmsg.FetchRequest) (grown int64) {
	grown = -wantBytes(s.parts)
	for _, w := range wants(in) {
		if old := s.index[w.fetchKey]; old != nil {
			old.offset, old.max, old.epoch = w.offset, w.max, w.epoch
			continue
		}
		s.parts = append(s.parts, w)
		s.index[w.fetchKey] = w
	}
	for _, t := range in.ForgottenTopics {
		for _, p := range t.Partitions {
			delete(s.index, keyOf(in.Version, t.Topic, t.TopicID, p))
		}
	}
	if len(s.index) < len(s.parts) {
		s.parts = slices.DeleteFunc(s.parts, func(w *fetchWant) bool { return s.index[w.fetchKey] != w })
	}
	return grown + wantBytes(s.parts)
}

// resize draws what a session grows by on the budget. Without room it ends.
func (ss *fetchSessions) resize(s *fetchSession, grown int64) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	switch {
	case ss.byID[s.id] != s: // it has ended meanwhile
		return false
	case grown > 0 && !ss.budget.TryAcquire(grown):
		ss.drop(s)
		return false
	case grown < 0:
		ss.budget.Release(-grown)
	}
	s.held += grown
	return true
}

// news tells whether the client must be told of a partition, and notes that it is.
func (w *fetchWant) news(p *fetchPart) bool {
	if p.err != nil {
		w.failed = true
		return true
	}
	told := !w.failed && len(p.got.List) == 0 && w.end == p.got.End && w.start == p.got.Start
	w.failed, w.end, w.start = false, p.got.End, p.got.Start
	return !told
}

// told leaves the parts of which the session's client has news; those with records
// have their turn last in the next fetch.
func (s *fetchSession) told(parts []fetchPart) []fetchPart {
	s.mu.Lock()
	defer s.mu.Unlock()
	served := map[*fetchWant]bool{}
	news := parts[:0]
	for i := range parts {
		p := &parts[i]
		if p.want.news(p) {
			if len(p.got.List) > 0 {
				served[p.want] = true
			}
			news = append(news, *p)
		} else {
			p.got.Release()
		}
	}
	if len(served) > 0 {
		slices.SortStableFunc(s.parts, func(a, b *fetchWant) int {
			switch {
			case served[a] == served[b]:
				return 0
			case served[a]:
				return 1
			}
			return -1
		})
	}
	return news
}
