package streams

import (
	"slices"
	"sort"
	"sync/atomic"

	"thalweg/internal/catalog"
	"thalweg/internal/ids"
	"thalweg/internal/limits"
	"thalweg/internal/log"
)

// route is what a put needs of a stream, derived once per version of it.
type route struct {
	res    *catalog.Resource
	limits limits.Mode
	open   []openShard   // by rising range; they tile the key space
	turn   atomic.Uint32 // under AUTO: counts records
}

type openShard struct {
	number    ids.Shard
	partition log.PartitionID
	created   int64 // Unix ms
	last      ids.Hash
	middle    ids.Hash
	load      *load // of an on-demand stream's shard; else nil
	meter     meter
}

// routeOf returns the route of a stream as r describes it.
func (s *Service) routeOf(r *catalog.Resource) *route {
	s.mu.RLock()
	rt := s.routes[r.Stream.Number]
	s.mu.RUnlock()
	if rt != nil && rt.res == r {
		return rt
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if rt = s.routes[r.Stream.Number]; rt != nil && rt.res == r {
		return rt
	}
	fresh := newRoute(r, rt, s.Limits(r))
	latest := rt == nil || rt.res.Version < r.Version
	if latest { // an older version does not know the newest shards
		s.meters.keep(r)
	}
	for i := range fresh.open {
		fresh.open[i].meter = s.meters.of(r.Stream.Number, fresh.open[i].number)
	}
	if latest && s.catalog.StreamNumber(r.Stream.Number) != nil { // else nobody would forget it
		s.routes[r.Stream.Number] = fresh
	}
	return fresh
}

func (s *Service) forgetRoute(number uint64) {
	s.meters.forget(number)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.routes, number)
}

// newRoute derives r's route. Shards go on counting where they did in last, the
// route of another version, nil if there is none.
func newRoute(r *catalog.Resource, last *route, mode limits.Mode) *route {
	rt := &route{res: r, limits: mode}
	for i := range r.Stream.Shards {
		sh := &r.Stream.Shards[i]
		if !sh.Open() {
			continue
		}
		o := openShard{
			number: sh.Number, partition: r.Stream.PartitionOf(sh.Number), created: sh.Created,
			last: sh.Range.End, middle: sh.Range.Middle(),
		}
		if r.Stream.Mode == catalog.OnDemand {
			o.load = last.loadOf(sh)
		}
		rt.open = append(rt.open, o)
	}
	slices.SortFunc(rt.open, func(a, b openShard) int { return a.last.Compare(b.last) })
	return rt
}

// loadOf returns the load that counts for sh, a new one if none does.
func (rt *route) loadOf(sh *catalog.Shard) *load {
	if rt != nil && len(rt.open) > 0 {
		if o := &rt.open[rt.find(sh.Range.End)]; o.number == sh.Number && o.load != nil {
			return o.load
		}
	}
	return new(load)
}

// find returns the position in open of the shard that h belongs to.
func (rt *route) find(h ids.Hash) int {
	return sort.Search(len(rt.open)-1, func(i int) bool { return h.Compare(rt.open[i].last) <= 0 })
}

// next returns the position of the shard whose turn it is, and a hash in it: in
// the one half of its range and in the other by turns.
func (rt *route) next() (int, ids.Hash) {
	turn := rt.turn.Add(1) - 1
	n := uint32(len(rt.open))
	at := int(turn % n)
	if turn/n%2 == 0 {
		return at, rt.open[at].last
	}
	return at, rt.open[at].middle.Prev()
}
