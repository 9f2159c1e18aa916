package crash

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// forEver is how long tombstones stay where no run is so long.
const forEver = 1000 * time.Hour

// compacts is what compaction may have done to a partition.
type compacts struct {
	ever bool // on, at some time
	gone bool // tombstones and markers may go
}

func (c *compacts) note(cfg log.Config) {
	c.ever = c.ever || cfg.Compaction.On
	c.gone = c.gone || cfg.Compaction.On && cfg.Compaction.Tombstones < forEver
}

// anyCompaction is none for one in two.
func (m *machine) anyCompaction() log.Compaction {
	if m.rng.IntN(2) == 0 {
		return log.Compaction{}
	}
	c := log.Compaction{On: true, MinDirty: float64(m.rng.IntN(3)) / 4, MinBytes: m.rng.Int64N(2000), Tombstones: forEver}
	if m.rng.IntN(2) == 0 {
		c.Tombstones = 0
	}
	if m.rng.IntN(4) == 0 {
		c.MinLag = 10 * time.Millisecond
	}
	return c
}

func (m *machine) stepCompact() {
	before := m.log.Stats()
	m.busy = true
	err := m.log.Compact()
	m.busy = false
	if err != nil && !m.mayFail(err) {
		m.fail("compaction: %w", err)
	}
	after := m.log.Stats()
	m.ops["compacted partition"] += int(after.Compactions - before.Compactions)
	m.ops["compacted record"] += int(after.Compacted - before.Compacted)
}

// kept are the records of batches, by offset.
func kept(recs []rec) (map[int64]batch.Record, error) {
	out := map[int64]batch.Record{}
	for _, r := range recs {
		h, err := batch.ParseHeader(r.bytes)
		if err != nil {
			return nil, err
		}
		if h.Attributes&batch.Control != 0 {
			continue
		}
		it, err := batch.Records(r.bytes)
		if err != nil {
			return nil, err
		}
		for it.Next() {
			x := *it.Record()
			x.Offset = x.Offset - h.BaseOffset + r.base // the model's batches have none
			out[x.Offset] = x
		}
		if it.Err() != nil {
			return nil, it.Err()
		}
	}
	return out, nil
}

// matchesCompacted wants what is found to be of what was appended, and what is not
// found to be what compaction may take.
func (p *part) matchesCompacted(f found, want []rec) error {
	if err := p.sameBatches(f.recs, want); err != nil {
		return err
	}
	all, err := kept(want)
	if err != nil {
		return err
	}
	got, err := kept(f.recs)
	if err != nil {
		return err
	}
	for at, g := range got {
		w, ok := all[at]
		if !ok || g.Timestamp != w.Timestamp || !same(g.Key, w.Key) || !same(g.Value, w.Value) {
			return fmt.Errorf("%w: record at %d is another one", errDiffers, at)
		}
	}
	last, dead, err := p.lasts(want, all, f.info.Stable)
	if err != nil {
		return err
	}
	for at, w := range all {
		_, there := got[at]
		switch {
		case there, dead[at] && at < f.info.Stable, w.Key == nil && at < f.info.Stable:
		case at >= f.info.Stable:
			return fmt.Errorf("%w: record at %d is gone, the stable offset is %d", errDiffers, at, f.info.Stable)
		case last[string(w.Key)] > at:
		case w.Value == nil && p.compacts.gone:
		default:
			return fmt.Errorf("%w: record at %d is gone, and it is the last of key %x", errDiffers, at, w.Key)
		}
	}
	return p.matchesMarkers(f, want)
}

// lasts finds where below the stable offset the last of every key is, and what is
// of aborted transactions.
func (p *part) lasts(recs []rec, all map[int64]batch.Record, stable int64) (last map[string]int64, dead map[int64]bool, err error) {
	last, dead = map[string]int64{}, map[int64]bool{}
	for _, r := range recs {
		h, err := batch.ParseHeader(r.bytes)
		if err != nil {
			return nil, nil, err
		}
		for at := r.base; at < r.end() && at < stable; at++ {
			w, ok := all[at]
			switch {
			case ok && p.isAborted(h, r.base):
				dead[at] = true
			case ok && w.Key != nil:
				last[string(w.Key)] = at
			}
		}
	}
	return last, dead, nil
}

// needed are the batches of which compaction leaves a record in any case, by offset.
func (p *part) needed() map[int64]bool {
	if !p.compacts.ever {
		return nil
	}
	out := map[int64]bool{}
	all, err := kept(p.recs)
	if err != nil {
		return out
	}
	last, _, err := p.lasts(p.recs, all, p.end)
	if err != nil {
		return out
	}
	for _, r := range p.recs {
		for at := r.base; at < r.end(); at++ {
			w, ok := all[at]
			out[r.base] = out[r.base] || ok && w.Key != nil && w.Value != nil && last[string(w.Key)] == at
		}
	}
	return out
}

func same(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

func (p *part) isAborted(h batch.Header, base int64) bool {
	return h.Attributes&batch.Transactional != 0 && slices.ContainsFunc(p.aborted, func(a log.AbortedTxn) bool {
		return a.ProducerID == h.ProducerID && a.FirstOffset <= base && base < a.LastOffset
	})
}

// sameBatches wants every batch that is found to stand where it did, for the same
// producer.
func (p *part) sameBatches(got, want []rec) error {
	last := int64(-1)
	for _, g := range got {
		i, ok := slices.BinarySearchFunc(want, g.base, func(w rec, base int64) int { return cmp.Compare(w.base, base) })
		if !ok || g.base <= last {
			return fmt.Errorf("%w: there is a batch at %d", errDiffers, g.base)
		}
		last = g.base
		w := want[i]
		h, err := batch.ParseHeader(g.bytes)
		if err != nil {
			return err
		}
		v, err := batch.ParseHeader(w.bytes)
		if err != nil {
			return err
		}
		if g.count != w.count || g.key != w.key || w.arrival >= 0 && g.arrival != w.arrival || h.ProducerID != v.ProducerID ||
			h.ProducerEpoch != v.ProducerEpoch || h.BaseSequence != v.BaseSequence || (h.Attributes^v.Attributes)&^batch.DeleteHorizon != 0 {
			return fmt.Errorf("%w: batch at %d is %+v, was %+v", errDiffers, g.base, h, v)
		}
	}
	return nil
}

// matchesMarkers wants the marker of a transaction there as long as anything of it
// is, and readers told of an aborted one just as long as its marker is there.
func (p *part) matchesMarkers(f found, want []rec) error {
	there := map[int64]bool{}
	for _, g := range f.recs {
		there[g.base] = true
	}
	for _, w := range want {
		h, err := batch.ParseHeader(w.bytes)
		if err != nil {
			return err
		}
		if h.Attributes&batch.Control != 0 && !there[w.base] && !p.compacts.gone {
			return fmt.Errorf("%w: marker at %d is gone", errDiffers, w.base)
		}
	}
	for _, a := range p.aborted {
		if a.LastOffset < f.info.Start || max(a.FirstOffset, f.info.Start) >= f.info.Stable {
			continue
		}
		named := slices.Contains(f.aborted, a)
		if named && !there[a.LastOffset] {
			return fmt.Errorf("%w: aborted transaction %+v is named, but its marker is gone", errDiffers, a)
		}
		if named {
			continue
		}
		for _, g := range f.recs {
			h, err := batch.ParseHeader(g.bytes)
			if err != nil {
				return err
			}
			if h.ProducerID == a.ProducerID && h.Attributes&batch.Control == 0 && g.base >= a.FirstOffset && g.base < a.LastOffset {
				return fmt.Errorf("%w: aborted transaction %+v is not named, but its batch at %d is there", errDiffers, a, g.base)
			}
		}
	}
	return nil
}
