// Package compact decides what compaction leaves of a partition: of every key the
// last record, and what readers need to tell whose transactions count. It works
// on record batches in memory; where they are is the business of the log.
//
// A pass goes over the partition twice. [Pass.Note] takes the keys of what was not
// compacted yet, [Pass.Filter] then rewrites everything from the log start. Rules:
// Apache Kafka, "Design > Log Compaction", KIP-98 (transactions), KIP-534 (how
// long tombstones and markers stay).
package compact

import (
	"encoding/binary"
	"sort"

	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// maxUnpacked bounds a compressed batch once unpacked; what is larger stays as it
// is, and its keys are not looked at.
const maxUnpacked = 64 << 20

// Pass is one compaction of one partition. It is not safe for concurrent use.
type Pass struct {
	keys *Keys
	// now is the time of the pass, stay how long tombstones and markers stay from
	// the first pass on that met them; Unix ms and ms.
	now, stay int64
	upTo      int64
	full      bool
	aborted   map[int64][]log.AbortedTxn // by producer, in order
	// open are the producers that a batch of a transaction was met of whose marker
	// was not.
	open   map[int64]bool
	unpack *batch.Decompressor
	pack   batch.Compressor
	stays  []bool
	work   []byte
	// Dropped counts the records that were left out.
	Dropped int64
}

// NewPass begins a pass that knows so many keys. aborted are the transactions of
// the partition that were aborted; batches of any other are as good as those of
// none. Below clean the partition has been compacted.
func NewPass(keys *Keys, clean, now, stay int64, aborted []log.AbortedTxn) *Pass {
	p := &Pass{
		keys: keys, now: now, stay: stay, upTo: clean,
		aborted: map[int64][]log.AbortedTxn{}, open: map[int64]bool{}, unpack: batch.NewDecompressor(maxUnpacked),
	}
	for _, a := range aborted {
		p.aborted[a.ProducerID] = append(p.aborted[a.ProducerID], a)
	}
	return p
}

// UpTo is how far the keys are known: nothing from there on is changed.
func (p *Pass) UpTo() int64 { return p.upTo }

// Note takes the keys of b. Batches come in order, the first holds the offset up to
// which the partition is compacted. It reports false when there is no room for
// more: the pass then goes up to the record that found none.
func (p *Pass) Note(b []byte) bool {
	h, err := batch.ParseHeader(b)
	if err != nil || p.full {
		return false
	}
	from := p.upTo
	end := h.BaseOffset + int64(h.LastOffsetDelta) + 1
	if h.Attributes&batch.Control == 0 && !p.isAborted(h) {
		if it, ok := p.records(b); ok {
			for it.Next() {
				r := it.Record()
				if r.Key == nil || r.Offset < from {
					continue
				}
				if !p.keys.Put(r.Key, r.Offset) {
					p.upTo, p.full = r.Offset, true
					return false
				}
			}
		}
	}
	p.upTo = max(p.upTo, end)
	return true
}

// isAborted tells a batch of a transaction that was aborted.
func (p *Pass) isAborted(h batch.Header) bool {
	if h.Attributes&batch.Transactional == 0 {
		return false
	}
	list := p.aborted[h.ProducerID]
	i := sort.Search(len(list), func(i int) bool { return list[i].LastOffset > h.BaseOffset })
	return i < len(list) && list[i].FirstOffset <= h.BaseOffset
}

// records unpacks b.
func (p *Pass) records(b []byte) (batch.Iterator, bool) {
	b, err := p.unpack.Decompress(b)
	if err != nil {
		return batch.Iterator{}, false
	}
	it, err := batch.Records(b)
	return it, err == nil
}

// Verdict is what becomes of a batch.
type Verdict uint8

const (
	// Keep leaves it as it is.
	Keep Verdict = iota
	// Rewrite puts another in its place, with the same range of offsets.
	Rewrite
	// Drop leaves nothing of it.
	Drop
)

// Filter decides about b, which begins below UpTo. Batches come in order from the
// log start on. With last, something is left in any case, so that the offsets up to
// its end have a place. out, of a Rewrite, is valid until the next call.
func (p *Pass) Filter(b []byte, last bool) (v Verdict, out []byte) {
	h, err := batch.ParseHeader(b)
	switch {
	case err != nil:
		return Keep, nil
	case h.Attributes&batch.Control != 0:
		return p.marker(b, h, last)
	}
	dead := p.isAborted(h)
	if h.Attributes&batch.Transactional != 0 {
		p.open[h.ProducerID] = true
	}
	stays, dropped, tombstones, ok := p.decide(b, h, dead)
	_, stamped := h.Horizon()
	stamp := tombstones && !stamped
	switch {
	case !ok, dropped == 0 && !stamp && h.Count > 0, h.Count == 0 && last:
		return Keep, nil
	case dropped == int(h.Count) && !last:
		p.Dropped += int64(dropped)
		return Drop, nil
	}
	if out = p.rewrite(b, h, stays, stamp); out == nil {
		return Keep, nil
	}
	p.Dropped += int64(dropped)
	return Rewrite, out
}

// decide says of each record of b whether it stays, and whether one of those that
// do is a tombstone whose time can begin. ok is false if b cannot be read.
func (p *Pass) decide(b []byte, h batch.Header, dead bool) (stays []bool, dropped int, tombstones, ok bool) {
	it, ok := p.records(b)
	if !ok {
		return nil, 0, false, false
	}
	horizon, stamped := h.Horizon()
	over := stamped && horizon <= p.now
	stays = p.stays[:0]
	for it.Next() {
		r := it.Record()
		stay := r.Offset >= p.upTo || !dead && p.isLast(r) && (r.Value != nil || !over)
		tombstones = tombstones || stay && r.Offset < p.upTo && r.Value == nil
		if !stay {
			dropped++
		}
		stays = append(stays, stay)
	}
	p.stays = stays
	return stays, dropped, tombstones, it.Err() == nil
}

// isLast tells a record that no later one of its key is known of. One without a
// key is none's last: there should be none (Apache Kafka drops it too).
func (p *Pass) isLast(r *batch.Record) bool {
	if r.Key == nil {
		return false
	}
	last, ok := p.keys.Last(r.Key)
	return !ok || last <= r.Offset
}

// rewrite makes what is left of b, or nil if that cannot be.
func (p *Pass) rewrite(b []byte, h batch.Header, stays []bool, stamp bool) []byte {
	plain, err := p.unpack.Decompress(b)
	if err != nil {
		return nil
	}
	horizon, left, i := int64(-1), false, -1
	if stamp {
		horizon = p.horizon()
	}
	p.work, err = batch.Filter(p.work[:0], plain, horizon, func(*batch.Record) bool {
		i++
		left = left || stays[i]
		return stays[i]
	})
	codec := h.Attributes & batch.CompressionMask
	switch {
	case err != nil:
		return nil
	case !left:
		return p.work
	}
	out, err := p.pack.Compress(p.work, codec)
	if err != nil {
		return nil
	}
	return out
}

// horizon is when what this pass stamps may go.
func (p *Pass) horizon() int64 {
	if at := p.now + p.stay; at >= p.now {
		return at
	}
	return 1<<63 - 1
}

// marker decides about the marker of a transaction. While a batch of it is there,
// so is the marker; after that it stays as long as a tombstone does, for readers
// that are under way.
func (p *Pass) marker(b []byte, h batch.Header, last bool) (Verdict, []byte) {
	id := h.ProducerID
	needed := p.open[id]
	delete(p.open, id)
	horizon, stamped := h.Horizon()
	switch {
	case needed || last || !ends(b, h):
		return Keep, nil
	case !stamped:
		var err error
		p.work, err = batch.Filter(p.work[:0], b, p.horizon(), func(*batch.Record) bool { return true })
		if err != nil {
			return Keep, nil
		}
		return Rewrite, p.work
	case horizon > p.now:
		return Keep, nil
	}
	return Drop, nil
}

// ends tells a marker that ends a transaction: its key is a version and a type,
// int16 each, 0 abort and 1 commit.
func ends(b []byte, h batch.Header) bool {
	it, err := batch.Records(b)
	if err != nil || !it.Next() || len(it.Record().Key) < 4 {
		return false
	}
	return binary.BigEndian.Uint16(it.Record().Key[2:]) <= 1 && h.ProducerID >= 0
}
