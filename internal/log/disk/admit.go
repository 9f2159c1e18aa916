package disk

import (
	"crypto/cipher"
	"slices"
	"time"

	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// Append implements [log.Log].
func (l *Log) Append(req log.Request, done func([]log.Result)) {
	p := &pending{req: req, done: done}
	if len(req.Entries) == 1 {
		p.results = p.one[:]
	} else {
		p.results = make([]log.Result, len(req.Entries))
	}
	l.check(p)
	if !p.refused && p.held > 0 && !l.o.Memory.TryAcquire(p.held) {
		p.refuse(log.ErrOverloaded)
	}
	if p.refused {
		p.held = 0
	}
	if !l.q.push(p) {
		l.o.Memory.Release(p.held)
		p.fail(log.ErrClosed)
		done(p.results)
		return
	}
	if l.o.Manual {
		l.pump()
	}
}

// check finds what is wrong with the entries themselves. It runs on the
// caller's goroutine.
func (l *Log) check(p *pending) {
	bytes := 0
	for i := range p.req.Entries {
		e := &p.req.Entries[i]
		err := l.checkEntry(e)
		p.results[i].Err = err
		if err != nil && p.req.Atomic {
			p.abort(i, err)
			return
		}
		bytes += len(e.Batch)
		p.need += frameSize + max(len(e.Batch)+sealOverhead, configSize+compactionSize)
	}
	if bytes > l.o.MaxRequestBytes || p.need > 2*l.o.MaxRequestBytes {
		p.refuse(log.ErrTooLarge)
		return
	}
	p.held = int64(bytes)
}

func (l *Log) checkEntry(e *log.Entry) error {
	switch e.Kind {
	case log.Data:
		if len(e.Batch) > l.o.MaxBatchBytes {
			return log.ErrTooLarge
		}
		h, err := batch.ParseHeader(e.Batch)
		if err != nil || h.Size() != len(e.Batch) || h.LastOffsetDelta == 1<<31-1 ||
			h.Count < 1 || h.Count > h.LastOffsetDelta+1 || !batch.CheckCRC(e.Batch, h) {
			return log.ErrInvalidBatch
		}
	case log.Create, log.Configure:
		if e.Config.KeyID != 0 {
			if _, err := l.seal.cipher(e.Config.KeyID); err != nil {
				return err
			}
		}
		k := e.Config.Compaction
		if min(int64(e.Config.MaxAge), e.Config.MaxBytes, k.MinBytes, int64(k.MinWait), int64(k.MinLag), int64(k.MaxLag), int64(k.Tombstones)) < 0 {
			return errs.New(errs.Invalid, "partition configuration is negative")
		}
		if !(k.MinDirty >= 0 && k.MinDirty <= 1) || !k.On && k != (log.Compaction{}) {
			return errs.New(errs.Invalid, "partition's compaction is out of range")
		}
	case log.Seal, log.Trim, log.Fence, log.Delete:
	default:
		return errs.New(errs.Invalid, "entry kind is unknown")
	}
	return nil
}

// refuse gives every entry err.
func (p *pending) refuse(err error) {
	for i := range p.results {
		p.results[i] = log.Result{Err: err}
	}
	p.refused, p.need = true, 0
}

// abort gives entry i err, and the rest the error of a broken atomic append.
func (p *pending) abort(i int, err error) {
	p.refuse(log.ErrAborted)
	p.results[i].Err = err
}

// admit puts p's entries into the round, or says why not.
func (w *writer) admit(p *pending) {
	if p.refused {
		return
	}
	m := w.mark()
	w.frees = w.givesBack(p)
	for i := range p.req.Entries {
		r := &p.results[i]
		if r.Err != nil {
			continue
		}
		r.Err = w.entry(&p.req.Entries[i], r)
		if r.Err != nil && p.req.Atomic {
			w.back(m)
			p.abort(i, r.Err)
			p.refused = false // by the state, not by itself
			return
		}
	}
}

// lookup finds a partition as of everything admitted.
func (w *writer) lookup(id log.PartitionID) *partition {
	p := w.overlay[id]
	if p == nil {
		p = w.l.parts[id] // changed by this goroutine only
	}
	if p == nil || p.w.gone {
		return nil
	}
	return p
}

// entry admits one entry.
func (w *writer) entry(e *log.Entry, r *log.Result) error {
	p := w.lookup(e.Partition)
	if e.Kind == log.Create {
		return w.create(e, p)
	}
	if p == nil {
		return log.ErrNotFound
	}
	if e.ExpectedEpoch != log.AnyEpoch && e.ExpectedEpoch < p.w.epoch && e.Kind != log.Fence {
		return log.ErrFenced
	}
	if e.Kind == log.Data {
		return w.data(e, p, r)
	}
	f := frame{kind: e.Kind, arrival: max(w.now, p.w.lastArrival)}
	var payload []byte
	switch e.Kind {
	case log.Configure:
		payload = appendConfig(nil, e.Config)
	case log.Seal:
		r.Offset = p.w.end
		if p.w.sealed {
			return nil
		}
		if p.inTransaction() {
			return log.ErrInTransaction
		}
		f.base = p.w.end
	case log.Trim:
		r.Offset = max(min(e.Offset, p.w.end), p.w.start)
		if r.Offset == p.w.start {
			return nil
		}
		f.base = r.Offset
	case log.Fence:
		r.Epoch = p.w.epoch + 1
		f.base = int64(r.Epoch)
	}
	w.undos = append(w.undos, undo{p: p, old: p.w})
	w.place(p, f, payload, nil)
	return nil
}

// create admits a Create; p is the partition if it is there.
func (w *writer) create(e *log.Entry, p *partition) error {
	if p != nil {
		return log.ErrExists
	}
	if err := w.roomOnDisk(frameSize); err != nil {
		return err
	}
	p = newPartition(e.Partition)
	w.undos = append(w.undos, undo{p: p, created: true, prev: w.overlay[p.id]})
	w.overlay[p.id] = p
	w.place(p, frame{kind: log.Create, arrival: w.now}, appendConfig(nil, e.Config), nil)
	return nil
}

// data admits a batch.
func (w *writer) data(e *log.Entry, p *partition, r *log.Result) error {
	h, err := batch.ParseHeader(e.Batch)
	if err != nil {
		return log.ErrInvalidBatch
	}
	var pr *producer
	if h.ProducerID >= 0 {
		pr = p.producers[h.ProducerID]
		dup, err := pr.check(h, e.FromZero)
		if err != nil {
			return err
		}
		if dup != nil {
			r.Offset, r.Arrival, r.Duplicate = dup.base, dup.arrival, true
			return nil
		}
	}
	if p.w.sealed {
		return log.ErrSealed
	}
	f := frame{kind: log.Data, base: p.w.end, count: h.LastOffsetDelta + 1, arrival: max(w.now, p.w.lastArrival)}
	var key cipher.AEAD
	if p.w.cfg.KeyID != 0 && h.Attributes&batch.Control == 0 {
		f.keyID = p.w.cfg.KeyID
		if key, err = w.l.seal.cipher(f.keyID); err != nil {
			return err
		}
	}
	if err := w.roomOnDisk(len(e.Batch) + frameSize + sealOverhead); err != nil {
		return err
	}
	u := undo{p: p, old: p.w}
	if pr != nil {
		w.prods = append(w.prods, *pr)
		u.prod = len(w.prods)
	} else if h.ProducerID >= 0 {
		u.added, u.newProd = true, h.ProducerID
	}
	w.undos = append(w.undos, u)
	r.Offset, r.Arrival, r.KeyID = f.base, f.arrival, f.keyID
	batch.SetBase(e.Batch, r.Offset, w.leaderEpoch)
	at := w.place(p, f, e.Batch, key)
	if h.ProducerID >= 0 {
		p.noteProducer(h, controlOf(e.Batch, h), at)
	}
	return nil
}

// givesBack reports whether p asks, all or nothing, for what gives space back: a
// partition's end, a higher start, or a shorter retention. The record of it must
// not be refused for want of that very space.
func (w *writer) givesBack(p *pending) bool {
	return p.req.Atomic && slices.ContainsFunc(p.req.Entries, func(e log.Entry) bool {
		if e.Kind != log.Configure {
			return e.Kind == log.Delete || e.Kind == log.Trim
		}
		at := w.lookup(e.Partition)
		return at != nil && (less(e.Config.MaxAge, at.w.cfg.MaxAge) || less(e.Config.MaxBytes, at.w.cfg.MaxBytes))
	})
}

// less compares two bounds of a retention, of which 0 is none.
func less[N int64 | time.Duration](a, b N) bool { return a > 0 && (b == 0 || a < b) }

// roomOnDisk refuses what would go beyond MaxDisk.
func (w *writer) roomOnDisk(bytes int) error {
	limit := w.l.o.MaxDisk
	if limit == 0 || w.frees {
		return nil
	}
	used := w.l.boundUsed()
	if grown := w.file.pos + int64(w.fill-w.start+bytes) - w.file.size; grown > 0 {
		used += grown
	}
	if used <= limit {
		return nil
	}
	w.l.setFull(true)
	w.l.wakeMaintenance()
	return log.ErrNoSpace
}
