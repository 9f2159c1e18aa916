// Package crash proves the log's promise under simulated faults: whatever is
// acknowledged is there after any crash, whole, in its place, bit for bit.
//
// A script drives log/disk over a file system in memory, step by step, with no
// goroutine and no real time, so that a seed repeats a run exactly. At file-system
// calls all over the script the machine is stopped: a copy of the disk is made as
// a power cut (or a killed process) would leave it, opened, compared with a model
// of what was acknowledged, and driven on to its own next crash.
//
// go test ./tests/crash -crash.points=20000 is the full run; see the flags.
package crash

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// rec is one batch as it must be found.
type rec struct {
	base, arrival int64 // arrival is -1 as long as nobody was told
	count         int32
	key           uint32 // that it is stored under, 0 for none
	bytes         []byte
}

func (r rec) end() int64 { return r.base + int64(r.count) }

// prodBatch is one batch of an idempotent producer.
type prodBatch struct {
	first, last   int32
	base, arrival int64
}

// prod is an idempotent producer as a partition knows it.
type prod struct {
	epoch  int16
	recent []prodBatch // the last five; never changed in place
}

// part is the model of one partition.
type part struct {
	cfg         log.Config
	start, end  int64
	lastArrival int64
	epoch       uint32
	sealed      bool
	recs        []rec // of [start, end); elements never change
	prods       map[int64]prod
	open        map[int64]int64  // first offsets of open transactions, by producer
	aborted     []log.AbortedTxn // elements never change
	compacts    compacts
}

// model is what a log holds, as far as its caller was told. It is also a
// reference implementation of Append. Copies share what does not change.
type model struct {
	parts  map[log.PartitionID]*part
	shared map[log.PartitionID]bool // parts that another copy may hold
}

func newModel() *model {
	return &model{parts: map[log.PartitionID]*part{}, shared: map[log.PartitionID]bool{}}
}

// clone returns a copy that may be changed on its own.
func (m *model) clone() *model {
	out := newModel()
	for id, p := range m.parts {
		out.parts[id] = p
		out.shared[id], m.shared[id] = true, true
	}
	return out
}

// own returns a partition to be changed.
func (m *model) own(id log.PartitionID) *part {
	p := m.parts[id]
	if m.shared[id] {
		q := *p
		q.recs = q.recs[:len(q.recs):len(q.recs)]
		q.prods, q.open = maps.Clone(q.prods), maps.Clone(q.open)
		q.aborted = q.aborted[:len(q.aborted):len(q.aborted)]
		p = &q
		m.parts[id], m.shared[id] = p, false
	}
	return p
}

// apply does what req asks for and returns the results, without arrivals.
func (m *model) apply(req log.Request) []log.Result {
	rs := make([]log.Result, len(req.Entries))
	at := m
	if req.Atomic {
		at = m.clone()
	}
	for i, e := range req.Entries {
		rs[i].Err = at.entry(e, &rs[i])
		if rs[i].Err != nil && req.Atomic {
			for k := range rs {
				if k != i {
					rs[k] = log.Result{Err: log.ErrAborted}
				}
			}
			return rs
		}
	}
	if req.Atomic {
		*m = *at
	}
	return rs
}

func (m *model) entry(e log.Entry, r *log.Result) error {
	id := e.Partition
	p := m.parts[id]
	switch {
	case e.Kind == log.Create && p != nil:
		return log.ErrExists
	case e.Kind == log.Create:
		m.parts[id] = &part{cfg: e.Config, lastArrival: -1, prods: map[int64]prod{}, open: map[int64]int64{}}
		m.parts[id].compacts.note(e.Config)
		m.shared[id] = false
		return nil
	case p == nil:
		return log.ErrNotFound
	case e.ExpectedEpoch != log.AnyEpoch && e.ExpectedEpoch < p.epoch && e.Kind != log.Fence:
		return log.ErrFenced
	}
	p = m.own(id)
	switch e.Kind {
	case log.Data:
		return p.data(e.Batch, r)
	case log.Configure:
		p.cfg = e.Config
		p.compacts.note(e.Config)
	case log.Seal:
		if !p.sealed && len(p.open) > 0 {
			return log.ErrInTransaction
		}
		p.sealed = true
		r.Offset = p.end
	case log.Trim:
		p.trim(min(e.Offset, p.end))
		r.Offset = p.start
	case log.Fence:
		p.epoch++
		r.Epoch = p.epoch
	case log.Delete:
		delete(m.parts, id)
	}
	return nil
}

func (p *part) data(b []byte, r *log.Result) error {
	h, err := batch.ParseHeader(b)
	if err != nil || h.Size() != len(b) || !batch.CheckCRC(b, h) {
		return log.ErrInvalidBatch
	}
	if h.ProducerID >= 0 {
		if done, err := p.produced(h, r); done || err != nil {
			return err
		}
	}
	if p.sealed {
		return log.ErrSealed
	}
	r.Offset = p.end
	if h.Attributes&batch.Control == 0 {
		r.KeyID = p.cfg.KeyID
	}
	p.recs = append(p.recs, rec{base: p.end, arrival: -1, count: h.LastOffsetDelta + 1, key: r.KeyID, bytes: b})
	p.end += int64(h.LastOffsetDelta) + 1
	if h.ProducerID >= 0 {
		p.note(h, b, r.Offset)
	}
	return nil
}

// note takes an appended batch into what is known of its producer.
func (p *part) note(h batch.Header, b []byte, base int64) {
	id := h.ProducerID
	pr := p.prods[id]
	if pr.epoch != h.ProducerEpoch {
		pr = prod{epoch: h.ProducerEpoch}
	}
	first, open := p.open[id]
	switch {
	case h.Attributes&batch.Control != 0:
		if open && b[len(b)-markerTail] == 0 {
			p.aborted = append(p.aborted, log.AbortedTxn{ProducerID: id, FirstOffset: first, LastOffset: base})
		}
		delete(p.open, id)
	default:
		if h.Attributes&batch.Transactional != 0 && !open {
			p.open[id] = base
		}
		recent := append(slices.Clone(pr.recent), prodBatch{first: h.BaseSequence, last: h.BaseSequence + h.LastOffsetDelta, base: base, arrival: -1})
		pr.recent = recent[max(0, len(recent)-5):]
	}
	p.prods[id] = pr
}

// stable is the last stable offset.
func (p *part) stable(start int64) int64 {
	out := p.end
	for _, first := range p.open {
		out = min(out, max(first, start))
	}
	return out
}

// produced checks an idempotent batch; done is a duplicate.
func (p *part) produced(h batch.Header, r *log.Result) (done bool, err error) {
	pr, known := p.prods[h.ProducerID]
	switch {
	case !known:
		return false, nil
	case h.ProducerEpoch < pr.epoch:
		return false, log.ErrProducerFenced
	case h.Attributes&batch.Control != 0:
		return false, nil
	case h.ProducerEpoch > pr.epoch && h.BaseSequence != 0:
		return false, log.ErrOutOfOrderSequence
	case h.ProducerEpoch > pr.epoch:
		return false, nil
	}
	for _, b := range pr.recent {
		if b.first == h.BaseSequence && b.last == h.BaseSequence+h.LastOffsetDelta {
			r.Offset, r.Duplicate = b.base, true
			return true, nil
		}
	}
	if n := len(pr.recent); n > 0 && pr.recent[n-1].last+1 != h.BaseSequence {
		return false, log.ErrOutOfOrderSequence
	}
	return false, nil
}

// trim raises the log start.
func (p *part) trim(to int64) {
	p.start = max(p.start, to)
	n := 0
	for n < len(p.recs) && p.recs[n].end() <= p.start {
		n++
	}
	p.recs = p.recs[n:len(p.recs):len(p.recs)]
}

// setArrival notes the arrival of the batch at base.
func (p *part) setArrival(base, arrival int64) {
	for i := len(p.recs) - 1; i >= 0; i-- {
		if p.recs[i].base == base && p.recs[i].arrival != arrival {
			recs := slices.Clone(p.recs)
			recs[i].arrival = arrival
			p.recs = recs
			break
		}
	}
	p.lastArrival = max(p.lastArrival, arrival)
}

// found is a partition as a reader sees it.
type found struct {
	info    log.Info
	recs    []rec
	aborted []log.AbortedTxn // of a committed read of everything
}

// observe reads everything that is in l.
func observe(l log.Log) (map[log.PartitionID]found, error) {
	out := map[log.PartitionID]found{}
	for _, id := range l.Partitions() {
		f, err := observePart(l, id)
		if err != nil {
			return nil, fmt.Errorf("partition %v: %w", id, err)
		}
		out[id] = f
	}
	return out, nil
}

func observePart(l log.Log, id log.PartitionID) (found, error) {
	info, err := l.Info(id)
	if err != nil {
		return found{}, err
	}
	f := found{info: info}
	for next := info.Start; next < info.End; {
		got, err := l.Read(id, next, 3000, log.Uncommitted)
		if err != nil {
			return f, fmt.Errorf("read at %d of %d to %d: %w", next, info.Start, info.End, err)
		}
		if len(got.List) == 0 {
			return f, fmt.Errorf("nothing at %d, the end is %d", next, info.End)
		}
		for _, b := range got.List {
			h, err := batch.ParseHeader(b.Bytes)
			switch {
			case err != nil:
				return f, fmt.Errorf("batch at %d: %w", b.Base, err)
			case !batch.CheckCRC(b.Bytes, h) || h.BaseOffset != b.Base || h.LastOffsetDelta+1 != b.Count:
				return f, fmt.Errorf("batch at %d is not what it says", b.Base)
			case b.Base+int64(b.Count) <= next:
				return f, fmt.Errorf("batch %d+%d does not reach offset %d", b.Base, b.Count, next)
			}
			f.recs = append(f.recs, rec{base: b.Base, arrival: b.Arrival, count: b.Count, key: b.KeyID, bytes: bytes.Clone(b.Bytes)})
			next = b.Base + int64(b.Count)
		}
		got.Release()
	}
	f.aborted, err = observeAborted(l, id, info)
	return f, err
}

// observeAborted reads as a committed reader does, and returns the transactions
// that it is told to leave out.
func observeAborted(l log.Log, id log.PartitionID, info log.Info) ([]log.AbortedTxn, error) {
	var out []log.AbortedTxn
	for next := info.Start; ; {
		got, err := l.Read(id, next, 1<<20, log.Committed)
		if err != nil {
			return nil, fmt.Errorf("committed read at %d: %w", next, err)
		}
		for _, b := range got.List {
			next = b.Base + int64(b.Count)
		}
		for _, a := range got.Aborted {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
		done := len(got.List) == 0
		got.Release()
		switch {
		case next > max(info.Stable, info.Start):
			return nil, fmt.Errorf("committed read comes to %d, beyond the stable offset %d", next, info.Stable)
		case done && next < info.Stable:
			return nil, fmt.Errorf("committed read ends at %d, before the stable offset %d", next, info.Stable)
		case done:
			return out, nil
		}
	}
}

var errDiffers = errors.New("differs")

// matches compares what is found with the model at time now (Unix ms).
func (m *model) matches(all map[log.PartitionID]found, now int64) error {
	for _, id := range sorted(all) {
		if m.parts[id] == nil {
			return fmt.Errorf("%w: partition %v exists", errDiffers, id)
		}
	}
	for _, id := range sorted(m.parts) {
		p := m.parts[id]
		f, ok := all[id]
		if !ok {
			return fmt.Errorf("%w: partition %v is missing", errDiffers, id)
		}
		if err := p.matches(f, now); err != nil {
			return fmt.Errorf("partition %v: %w", id, err)
		}
	}
	return nil
}

// sorted returns the keys of a map of partitions in order.
func sorted[T any](parts map[log.PartitionID]T) []log.PartitionID {
	return slices.SortedFunc(maps.Keys(parts), func(a, b log.PartitionID) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Index, b.Index))
	})
}

func (p *part) matches(f found, now int64) error {
	in := f.info
	if in.End != p.end || in.Sealed != p.sealed || in.Epoch != p.epoch || in.Config != p.cfg {
		return fmt.Errorf("%w: end %d sealed %v epoch %d config %+v, want %d %v %d %+v", errDiffers,
			in.End, in.Sealed, in.Epoch, in.Config, p.end, p.sealed, p.epoch, p.cfg)
	}
	if in.Stable != p.stable(in.Start) {
		return fmt.Errorf("%w: stable %d, want %d (open transactions %v, %d to %d)", errDiffers, in.Stable, p.stable(in.Start), p.open, in.Start, in.End)
	}
	if in.Start < p.start || in.Start > in.End {
		return fmt.Errorf("%w: starts at %d, was trimmed to %d (end %d)", errDiffers, in.Start, p.start, in.End)
	}
	if err := p.mayStartAt(in.Start, now); err != nil {
		return err
	}
	want := p.recs
	for len(want) > 0 && want[0].end() <= in.Start {
		want = want[1:]
	}
	if p.compacts.ever {
		return p.matchesCompacted(f, want)
	}
	if len(f.recs) != len(want) {
		return fmt.Errorf("%w: %d batches from %d on, want %d", errDiffers, len(f.recs), in.Start, len(want))
	}
	last := int64(math.MinInt64)
	for i, w := range want {
		g := f.recs[i]
		switch {
		case g.base != w.base || g.count != w.count:
			return fmt.Errorf("%w: batch %d+%d, want %d+%d", errDiffers, g.base, g.count, w.base, w.count)
		case len(g.bytes) != len(w.bytes) || !bytes.Equal(g.bytes[8:12], w.bytes[8:12]) || !bytes.Equal(g.bytes[16:], w.bytes[16:]):
			return fmt.Errorf("%w: batch at %d holds other bytes", errDiffers, g.base)
		case g.key != w.key:
			return fmt.Errorf("%w: batch at %d is under key %d, want %d", errDiffers, g.base, g.key, w.key)
		case w.arrival >= 0 && g.arrival != w.arrival:
			return fmt.Errorf("%w: batch at %d arrived at %d, was told %d", errDiffers, g.base, g.arrival, w.arrival)
		case g.arrival < last:
			return fmt.Errorf("%w: arrival falls at %d", errDiffers, g.base)
		}
		last = g.arrival
	}
	if err := p.matchesAborted(f); err != nil {
		return err
	}
	if in.LastArrival < max(p.lastArrival, last) {
		return fmt.Errorf("%w: last arrival %d, want at least %d", errDiffers, in.LastArrival, max(p.lastArrival, last))
	}
	return nil
}

// matchesAborted wants every aborted transaction named that a committed reader of
// everything passes.
func (p *part) matchesAborted(f found) error {
	for _, a := range p.aborted {
		if a.LastOffset < f.info.Start || max(a.FirstOffset, f.info.Start) >= f.info.Stable {
			continue
		}
		if !slices.Contains(f.aborted, a) {
			return fmt.Errorf("%w: aborted transaction %+v is not among %v", errDiffers, a, f.aborted)
		}
	}
	for _, a := range f.aborted {
		if !slices.Contains(p.aborted, a) {
			return fmt.Errorf("%w: transaction %+v is named as aborted", errDiffers, a)
		}
	}
	return nil
}

// sealed is what an encrypted batch takes more.
const sealed = 40

// repacked is what a batch may take more when compaction has written it again: another
// encoder of the same codec packs a little worse.
const repacked = 64

// mayStartAt checks that retention, if the start is not what was last told, took
// nothing that the configuration keeps.
func (p *part) mayStartAt(start, now int64) error {
	if start == p.start {
		return nil
	}
	var after int64
	needed := p.needed()
	for i := len(p.recs) - 1; i >= 0; i-- {
		r := p.recs[i]
		after += int64(len(r.bytes))
		if r.key != 0 {
			after += sealed
		}
		if p.compacts.ever {
			after += repacked
		}
		if r.base >= start || p.compacts.ever && !needed[r.base] {
			continue
		}
		old := p.cfg.MaxAge > 0 && r.arrival >= 0 && r.arrival+p.cfg.MaxAge.Milliseconds() <= now
		much := p.cfg.MaxBytes > 0 && after > p.cfg.MaxBytes
		if !old && !much {
			return fmt.Errorf("%w: starts at %d, was %d, but the batch at %d had to be kept: with it %d bytes, arrived %d ms ago, config %+v",
				errDiffers, start, p.start, r.base, after, now-r.arrival, p.cfg)
		}
	}
	return nil
}

// adopt takes over what a reader has now seen: arrivals that nobody had been
// told, and how far retention went.
func (m *model) adopt(all map[log.PartitionID]found) {
	for id, f := range all {
		p := m.own(id)
		p.trim(f.info.Start)
		for _, r := range f.recs {
			p.setArrival(r.base, r.arrival)
		}
		p.lastArrival = max(p.lastArrival, f.info.LastArrival)
	}
}

// describe draws a request.
func describe(req log.Request) string {
	kinds := [...]string{"data", "create", "configure", "seal", "trim", "fence", "delete"}
	var out []string
	for _, e := range req.Entries {
		s := fmt.Sprintf("%s %v", kinds[e.Kind], e.Partition)
		switch e.Kind {
		case log.Data:
			s += fmt.Sprintf(" %dB", len(e.Batch))
		case log.Trim:
			s += fmt.Sprintf(" to %d", e.Offset)
		}
		out = append(out, s)
	}
	s := strings.Join(out, ", ")
	if req.Atomic {
		s = "atomic(" + s + ")"
	}
	return s
}
