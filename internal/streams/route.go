package streams

import (
	"slices"
	"sort"
	"sync/atomic"

	"thalweg/internal/catalog"
	"thalweg/internal/ids"
	"thalweg/internal/log"
)

// route is what a put needs of a stream, derived once per version of it.
type route struct {
	res  *catalog.Resource
	open []openShard   // by rising range; they tile the key space
	turn atomic.Uint32 // under AUTO: counts records
}

type openShard struct {
	number    ids.Shard
	partition log.PartitionID
	created   int64 // Unix ms
	last      ids.Hash
}

// routeOf returns the route of a stream as r describes it.
func (s *Service) routeOf(r *catalog.Resource) *route {
	s.mu.RLock()
	rt := s.routes[r.Stream.Number]
	s.mu.RUnlock()
	if rt != nil && rt.res == r {
		return rt
	}
	fresh := newRoute(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if rt = s.routes[r.Stream.Number]; rt == nil || rt.res.Version < r.Version {
		s.routes[r.Stream.Number] = fresh
	}
	return fresh
}

func (s *Service) forgetRoute(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.routes, number)
}

func newRoute(r *catalog.Resource) *route {
	rt := &route{res: r}
	for i := range r.Stream.Shards {
		if sh := &r.Stream.Shards[i]; sh.Open() {
			rt.open = append(rt.open, openShard{
				number: sh.Number, partition: r.Stream.PartitionOf(sh.Number), created: sh.Created, last: sh.Range.End,
			})
		}
	}
	slices.SortFunc(rt.open, func(a, b openShard) int { return a.last.Compare(b.last) })
	return rt
}

// find returns the position in open of the shard that h belongs to.
func (rt *route) find(h ids.Hash) int {
	return sort.Search(len(rt.open)-1, func(i int) bool { return h.Compare(rt.open[i].last) <= 0 })
}

// next returns the position of the shard whose turn it is.
func (rt *route) next() int { return int((rt.turn.Add(1) - 1) % uint32(len(rt.open))) }
