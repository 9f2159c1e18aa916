package disk

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// seqBatch is one batch of an idempotent producer.
type seqBatch struct {
	first, last   int32 // sequences
	base, arrival int64
}

// keptBatches is how many batches per producer are known for duplicates, the
// number of requests that a client may have in flight (Apache Kafka,
// max.in.flight.requests.per.connection of idempotent producers).
const keptBatches = 5

// producer is what a partition knows of one producer id.
type producer struct {
	id          int64
	epoch       int16
	n           int                   // batches known
	batches     [keptBatches]seqBatch // oldest first
	txnFirst    int64                 // first offset of its open transaction, -1 if none
	lastArrival int64
	lsn         uint64 // of the frame that last changed it
}

// check decides whether a batch may be appended. A duplicate returns the batch
// that it repeats. A producer that is not known may begin with any sequence, as
// its state may have expired, unless it must begin with 0. Rules: Apache Kafka,
// KIP-98, "Data Structures and Formats / Producer Identifiers", and KIP-890.
func (p *producer) check(h batch.Header, fromZero bool) (dup *seqBatch, err error) {
	if fromZero && h.BaseSequence > 0 && (p == nil || p.n == 0) {
		return nil, log.ErrOutOfOrderSequence
	}
	if p == nil {
		return nil, nil
	}
	if h.ProducerEpoch < p.epoch {
		return nil, log.ErrProducerFenced
	}
	if h.Attributes&batch.Control != 0 || h.BaseSequence < 0 {
		return nil, nil
	}
	if h.ProducerEpoch > p.epoch {
		if h.BaseSequence != 0 {
			return nil, log.ErrOutOfOrderSequence
		}
		return nil, nil
	}
	last := lastSequence(h)
	for i := range p.n {
		if b := &p.batches[i]; b.first == h.BaseSequence && b.last == last {
			return b, nil
		}
	}
	if p.n > 0 && nextSequence(p.batches[p.n-1].last) != h.BaseSequence {
		return nil, log.ErrOutOfOrderSequence
	}
	return nil, nil
}

func lastSequence(h batch.Header) int32 {
	return int32((int64(h.BaseSequence) + int64(h.LastOffsetDelta)) & math.MaxInt32)
}

func nextSequence(s int32) int32 { return int32((int64(s) + 1) & math.MaxInt32) }

// note records an appended batch of p.
func (p *producer) note(h batch.Header, control controlType, f *frame) {
	if h.ProducerEpoch != p.epoch {
		p.epoch = h.ProducerEpoch
		p.n = 0
	}
	p.lastArrival, p.lsn = f.arrival, f.lsn
	if h.Attributes&batch.Control != 0 {
		if control != controlOther {
			p.txnFirst = -1
		}
		return
	}
	if h.Attributes&batch.Transactional != 0 && p.txnFirst < 0 {
		p.txnFirst = f.base
	}
	if h.BaseSequence < 0 {
		return
	}
	b := seqBatch{first: h.BaseSequence, last: lastSequence(h), base: f.base, arrival: f.arrival}
	if p.n == keptBatches {
		copy(p.batches[:], p.batches[1:])
		p.n--
	}
	p.batches[p.n] = b
	p.n++
}

// noteProducer is [producer.note] for a partition that may not know it yet.
func (p *partition) noteProducer(h batch.Header, control controlType, f *frame) {
	pr := p.producers[h.ProducerID]
	if pr == nil {
		if p.producers == nil {
			p.producers = map[int64]*producer{}
		}
		pr = &producer{id: h.ProducerID, epoch: h.ProducerEpoch, txnFirst: -1}
		p.producers[h.ProducerID] = pr
	}
	pr.note(h, control, f)
}

// forgetProducers forgets those that were idle since before a time and, of more than
// most, those that were for longest; none that has a transaction open.
func (p *partition) forgetProducers(before int64, most int) {
	var idle []*producer
	for id, pr := range p.producers {
		switch {
		case pr.txnFirst >= 0:
		case pr.lastArrival < before:
			delete(p.producers, id)
		default:
			idle = append(idle, pr)
		}
	}
	over := min(len(p.producers)-most, len(idle))
	if over <= 0 {
		return
	}
	slices.SortFunc(idle, func(a, b *producer) int { return cmp.Compare(a.lsn, b.lsn) })
	for _, pr := range idle[:over] {
		delete(p.producers, pr.id)
	}
}

// inTransaction reports whether a producer has a transaction open, as of everything
// admitted.
func (p *partition) inTransaction() bool {
	for _, pr := range p.producers {
		if pr.txnFirst >= 0 {
			return true
		}
	}
	return false
}

// Producers implements [log.Log].
func (l *Log) Producers(id log.PartitionID) ([]log.Producer, error) {
	p := l.lookup(id)
	if p == nil {
		return nil, log.ErrNotFound
	}
	var out []log.Producer
	if !l.onWriter(func() { out = p.known() }) {
		return nil, log.ErrClosed
	}
	slices.SortFunc(out, func(a, b log.Producer) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// known are p's producers; the writer calls it.
func (p *partition) known() []log.Producer {
	out := make([]log.Producer, 0, len(p.producers))
	for _, pr := range p.producers {
		o := log.Producer{ID: pr.id, Epoch: pr.epoch, LastSequence: -1, LastArrival: pr.lastArrival, TxnStart: pr.txnFirst}
		if pr.n > 0 {
			o.LastSequence = pr.batches[pr.n-1].last
		}
		out = append(out, o)
	}
	return out
}

// controlType says what the record of a control batch does.
type controlType uint8

const (
	controlOther controlType = iota
	controlAbort
	controlCommit
)

// controlOf reads the type of a control batch: its one record's key is a version
// and a type, both int16, 0 abort and 1 commit (Apache Kafka documentation,
// "Control Batches").
func controlOf(b []byte, h batch.Header) controlType {
	if h.Attributes&batch.Control == 0 || h.Attributes&batch.CompressionMask != 0 {
		return controlOther
	}
	r := b[batch.HeaderSize:h.Size()]
	skip := func() (v int64) {
		v, n := binary.Varint(r)
		if n <= 0 {
			r = nil
			return -1
		}
		r = r[n:]
		return v
	}
	skip() // length
	if len(r) == 0 {
		return controlOther
	}
	r = r[1:] // attributes
	skip()    // timestamp delta
	skip()    // offset delta
	if n := skip(); n < 4 || len(r) < 4 {
		return controlOther
	}
	switch binary.BigEndian.Uint16(r[2:]) {
	case 0:
		return controlAbort
	case 1:
		return controlCommit
	}
	return controlOther
}

// txns are a partition's transactions as readers see them.
type txns struct {
	open       []openTxn        // by first offset
	aborted    []log.AbortedTxn // by last offset; elements never change
	abortedLSN uint64           // of the last abort
}

type openTxn struct{ producer, first int64 }

// apply notes a published batch.
func (t *txns) apply(h batch.Header, payload []byte, f *frame) {
	if h.ProducerID < 0 || h.Attributes&(batch.Transactional|batch.Control) == 0 {
		return
	}
	at := -1
	for i := range t.open {
		if t.open[i].producer == h.ProducerID {
			at = i
			break
		}
	}
	if h.Attributes&batch.Control == 0 {
		if at < 0 {
			t.open = append(t.open, openTxn{h.ProducerID, f.base})
		}
		return
	}
	c := controlOf(payload, h)
	if at < 0 || c == controlOther {
		return
	}
	if c == controlAbort {
		t.aborted = append(t.aborted, log.AbortedTxn{ProducerID: h.ProducerID, FirstOffset: t.open[at].first, LastOffset: f.base})
		t.abortedLSN = f.lsn
	}
	t.open = append(t.open[:at:at], t.open[at+1:]...)
}

func (t *txns) firstOpen() (int64, bool) {
	if len(t.open) == 0 {
		return 0, false
	}
	return t.open[0].first, true
}

// overlapping returns the transactions that touch [from, to).
func overlapping(aborted []log.AbortedTxn, from, to int64) []log.AbortedTxn {
	var out []log.AbortedTxn
	for _, a := range aborted {
		if a.LastOffset >= from && a.FirstOffset < to {
			out = append(out, a)
		}
	}
	return out
}

// trim forgets aborted transactions below start.
func (t *txns) trim(start int64) {
	n := 0
	for n < len(t.aborted) && t.aborted[n].LastOffset < start {
		n++
	}
	t.aborted = t.aborted[n:]
}

// showTxn tells readers of a published batch that belongs to a transaction; mu
// is held.
func (p *partition) showTxn(f *frame, payload []byte) {
	h, err := batch.ParseHeader(payload)
	if err == nil {
		p.txns.apply(h, payload, f)
	}
}
