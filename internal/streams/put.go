package streams

import (
	"context"
	"errors"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/invariants"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// HashKeyHeader is the record header that keeps an explicit hash key, in decimal.
const HashKeyHeader = "thalweg.ehk"

// maxKeptBuffer is the largest batch buffer that a Put keeps for the next one.
const maxKeptBuffer = 4 << 20

// Put is one call's records on their way: [Service.NewPut], [Put.Add] for each,
// [Put.Commit], [Put.Result] for each, [Put.Release]. Records are written
// straight into one batch per shard; a Put that is not committed leaves no
// trace. It is for one goroutine.
type Put struct {
	svc     *Service
	route   *route
	now     int64
	groups  []group
	byShard []int32 // position in route.open -> index in groups + 1
	routed  int     // the first group of this route; those before it were refused
	placed  []place
	headers batch.Headers

	refused []error // by record, nil where it is not; empty when none is

	entries []log.Entry
	results []log.Result
	acked   chan struct{}
	onAck   func([]log.Result)
}

// group is the batch for one shard.
type group struct {
	shard   *openShard
	at      int // its position in route.open
	builder batch.Builder
	// bytes of data and keys, and, where the shard counts its load, those of them
	// for the lower half of its range.
	bytes, low int64
}

// place is where a record went, and the size of its key and data.
type place struct{ group, index, size int32 }

func newPut(s *Service) *Put {
	p := &Put{svc: s, acked: make(chan struct{}, 1)}
	p.onAck = func(r []log.Result) {
		p.results = append(p.results, r...)
		p.acked <- struct{}{}
	}
	return p
}

// NewPut begins a put to a stream. Release gives its memory back.
func (s *Service) NewPut(r *catalog.Resource) *Put {
	p := s.puts.Get().(*Put)
	p.take(s.routeOf(r))
	p.now = clock.Millis(s.clock)
	return p
}

// take makes rt the way of what is added from now on.
func (p *Put) take(rt *route) {
	p.leave()
	p.route, p.routed = rt, len(p.groups)
	if n := len(rt.open); cap(p.byShard) < n {
		p.byShard = make([]int32, n)
	} else {
		p.byShard = p.byShard[:n]
	}
}

// leave clears byShard, of which only the groups of this route are set.
func (p *Put) leave() {
	for i := range p.groups[p.routed:] {
		p.byShard[p.groups[p.routed+i].at] = 0
	}
}

// Add adds a record of size bytes, which the caller writes into the returned
// slice before the next call. key is the partition key, nil for none (AUTO
// streams only; the caller sees to that). explicit is the explicit hash key in
// decimal, nil for none; one out of range is an Invalid error.
func (p *Put) Add(key, explicit []byte, size int) ([]byte, error) {
	at, dst, err := p.add(batch.Record{Key: key, Timestamp: p.now}, explicit, size)
	if err == nil {
		p.placed = append(p.placed, at)
	}
	return dst, err
}

// add puts r, without its value and headers, into the batch of its shard.
func (p *Put) add(r batch.Record, explicit []byte, size int) (place, []byte, error) {
	var at int
	var h ids.Hash
	p.headers = p.headers.Reset()
	switch {
	case p.route.res.Stream.AutoDistribution: // keys do not decide
		at, h = p.route.next()
	case explicit != nil:
		var ok bool
		if h, ok = ids.ParseHash(explicit); !ok {
			return place{}, nil, invalid("Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. "+
				"Specified value was %s", explicit)
		}
		p.headers = p.headers.AppendHeader(HashKeyHeader, explicit)
		at = p.route.find(h)
	default:
		h = ids.HashOf(r.Key)
		at = p.route.find(h)
	}
	g := p.byShard[at]
	if g == 0 {
		g = p.addGroup(at)
	}
	gr := &p.groups[g-1]
	bytes := int64(len(r.Key) + size)
	gr.bytes += bytes
	if sh := gr.shard; sh.load != nil && h.Compare(sh.middle) < 0 {
		gr.low += bytes
	}
	r.Headers = p.headers
	return place{group: g - 1, index: int32(gr.builder.Count()), size: int32(len(r.Key) + size)}, gr.builder.Reserve(r, size), nil
}

// addGroup begins the batch for a shard, in the storage of an earlier put's.
func (p *Put) addGroup(at int) int32 {
	if len(p.groups) < cap(p.groups) {
		p.groups = p.groups[:len(p.groups)+1]
	} else {
		p.groups = append(p.groups, group{})
	}
	g := &p.groups[len(p.groups)-1]
	g.shard, g.at, g.bytes, g.low = &p.route.open[at], at, 0, 0
	g.builder.Reset()
	p.byShard[at] = int32(len(p.groups))
	return p.byShard[at]
}

// Len is the number of records added.
func (p *Put) Len() int { return len(p.placed) }

// Commit appends the records and waits until they are durable or refused, shard
// by shard. It does not stop waiting: what has been appended may be durable.
//
// A shard that was closed in between refuses its records; they go to its
// children then, in their order. So a record stands in the shard that was open
// when it was appended, and one put after the answer for another of its key
// stands behind it or in a descendant of its shard.
func (p *Put) Commit() {
	first := 0
	if p.route.limits.On() {
		p.admit()
	}
	if len(p.refused) > 0 {
		first = p.dropRefused()
	}
	for first < len(p.groups) {
		p.append(first)
		first, p.entries = p.reroute(first), p.entries[:0]
	}
}

// append appends the batches of the groups from first on and waits for their
// results.
func (p *Put) append(first int) {
	for i := range p.groups[first:] {
		g := &p.groups[first+i]
		if l := g.shard.load; l != nil {
			l.records.Add(int64(g.builder.Count()))
			l.bytes.Add(g.bytes)
			l.low.Add(g.low)
		}
		p.entries = append(p.entries, log.Entry{Kind: log.Data, Partition: g.shard.partition, Batch: g.builder.Finish()})
	}
	p.svc.log.Append(log.Request{Entries: p.entries}, p.onAck)
	<-p.acked
	for i := first; i < len(p.groups); i++ {
		g := &p.groups[i]
		switch err := p.results[i].Err; {
		case err == nil:
			g.shard.meter.in(g.builder.Count(), g.bytes)
		case errs.KindOf(err) == errs.Throttled:
			g.shard.meter.writeThrottled(g.builder.Count())
		}
	}
}

// reroute adds the records again that closed shards refused, of the groups from
// first on, whose entries are at hand. It returns the first of the new groups.
func (p *Put) reroute(first int) int {
	end := len(p.groups)
	var refused []batch.Iterator // by group from first on
	for i := first; i < end; i++ {
		if !errors.Is(p.results[i].Err, log.ErrSealed) {
			continue
		}
		if refused == nil {
			r, err := p.svc.settled(context.Background(), p.route.res, p.groups[i].shard.number)
			if err != nil {
				p.results[i].Err = err
				continue
			}
			refused = make([]batch.Iterator, end-first)
			p.take(p.svc.routeOf(r))
		}
		it, err := batch.Records(p.entries[i-first].Batch)
		if err != nil {
			p.results[i].Err = err
		}
		refused[i-first] = it
	}
	if refused == nil {
		return end
	}
	for i := range p.placed {
		at := &p.placed[i]
		g := int(at.group) - first
		if g < 0 || g >= len(refused) || !refused[g].Next() {
			continue
		}
		r := refused[g].Record()
		explicit, _ := r.Headers.Get(HashKeyHeader)
		to, dst, err := p.add(batch.Record{Key: r.Key, Timestamp: r.Timestamp}, explicit, len(r.Value))
		if err != nil {
			continue
		}
		copy(dst, r.Value)
		*at = to
	}
	return end
}

// Fail has the i-th record fail with a kind of error, before the put is committed:
// Throttled, or Internal. It is how a test aid shows a client what it may meet.
func (p *Put) Fail(i int, kind errs.Kind) {
	sh := p.groups[p.placed[i].group].shard
	if kind == errs.Throttled {
		p.refuse(i, rateExceeded(p.route.res, sh.number))
		return
	}
	p.refuse(i, errs.New(kind, "put to shard "+sh.number.String()+": made to fail"))
}

// refuse has the i-th record fail with err instead of being put. It comes before
// the put is committed.
func (p *Put) refuse(i int, err error) {
	if len(p.refused) == 0 {
		p.refused = make([]error, len(p.placed))
	}
	p.refused[i] = err
}

// dropRefused writes the batches anew, without the records that are refused. It
// returns the first of the new groups.
func (p *Put) dropRefused() int {
	end := len(p.groups)
	old := make([]batch.Iterator, end)
	for i := range old {
		it, err := batch.Records(p.groups[i].builder.Finish())
		invariants.Check(err == nil, "read own batch: %v", err)
		old[i] = it
	}
	p.take(p.route)
	for i := range p.placed {
		at := &p.placed[i]
		it := &old[at.group]
		it.Next()
		if p.refused[i] != nil {
			at.group = -1
			continue
		}
		shard := p.groups[at.group].at
		g := p.byShard[shard]
		if g == 0 {
			g = p.addGroup(shard)
		}
		from, to := &p.groups[at.group], &p.groups[g-1]
		if from.bytes > 0 { // in proportion: which half a record is for is not kept
			to.bytes += int64(at.size)
			to.low += int64(at.size) * from.low / from.bytes
		}
		at.group, at.index = g-1, int32(to.builder.Count())
		to.builder.Append(*it.Record())
	}
	for range end {
		p.results = append(p.results, log.Result{Err: log.ErrAborted}) // nothing was appended
	}
	return end
}

// Placed is where a record is.
type Placed struct {
	Shard    ids.Shard
	Sequence ids.Sequence
}

// Encrypted reports whether every record that was put is stored encrypted, and
// there is one.
func (p *Put) Encrypted() bool {
	some := false
	for i := range p.results {
		if r := &p.results[i]; r.Err == nil {
			if r.KeyID == 0 {
				return false
			}
			some = true
		}
	}
	return some
}

// Result tells what became of the i-th record added; it is nowhere if it was
// refused before it was appended. Errors: NotFound when the
// stream was deleted meanwhile, Throttled, NoSpace, ReadOnly, Internal.
func (p *Put) Result(i int) (Placed, error) {
	at := p.placed[i]
	if at.group < 0 {
		return Placed{}, p.refused[i]
	}
	r := &p.results[at.group]
	sh := p.groups[at.group].shard
	if r.Err != nil {
		return Placed{Shard: sh.number}, p.putError(sh, r.Err)
	}
	return Placed{
		Shard:    sh.number,
		Sequence: sequence(sh.number, sh.created, r.Offset+int64(at.index), r.Arrival),
	}, nil
}

func (p *Put) putError(sh *openShard, err error) error {
	res := p.route.res
	switch kind := errs.KindOf(err); kind {
	case errs.NotFound:
		return notFound(res.Account, res.Name)
	case errs.Throttled:
		return &errs.Error{Kind: errs.Throttled, Err: err, Msg: rateText(res, sh.number)}
	case errs.NoSpace, errs.ReadOnly:
		return errs.Wrap(kind, "put to shard "+sh.number.String(), err)
	default:
		return errs.Wrap(errs.Internal, "put to shard "+sh.number.String(), err)
	}
}

// Release gives the put's memory back. Nothing of it may be used afterwards.
func (p *Put) Release() {
	p.leave()
	for i := range p.groups {
		g := &p.groups[i]
		if g.shard = nil; g.builder.Cap() > maxKeptBuffer {
			g.builder = batch.Builder{}
		}
	}
	clear(p.entries)
	p.entries, p.groups, p.placed, p.results = p.entries[:0], p.groups[:0], p.placed[:0], p.results[:0]
	p.route, p.routed, p.refused = nil, 0, nil
	p.svc.puts.Put(p)
}

// CheckOrdering refuses a SequenceNumberForOrdering that is no sequence number,
// or one from the future. The order it asks for is kept anyway.
func (s *Service) CheckOrdering(r *catalog.Resource, text string) error {
	seq, _, err := ids.ParseSequence(text)
	if err != nil || seq.Time > s.now(r)/1000 {
		return invalid("ExclusiveMinimumSequenceNumber %s used in PutRecord on stream %s under account %s is invalid.",
			text, r.Name, r.Account)
	}
	return nil
}
