package kafkalog

import (
	"cmp"

	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// Refusals that are this implementation's own.
var (
	errKeys        error = errs.New(errs.Unsupported, "Apache Kafka cannot encrypt what it stores")
	errTransaction error = errs.New(errs.Unsupported, "transactions on Apache Kafka go through its own coordinator")
	errProducer    error = errs.New(errs.Unsupported, "a producer's batch cannot be part of an atomic append, or under an epoch, on Apache Kafka")
)

// maxUnpacked is how large a batch of the journal may be when unpacked.
const maxUnpacked = 64 << 20

// serve does one request and returns its results.
func (l *Log) serve(req log.Request) []log.Result {
	if err := l.failed(); err != nil {
		if errs.KindOf(err) != errs.Closed {
			err = log.ErrReadOnly
		}
		return refuse(req, err)
	}
	pl := l.plan(req)
	if pl.refused && req.Atomic {
		for i := range pl.results {
			if pl.results[i].Err == nil {
				pl.results[i].Err = log.ErrAborted
			}
		}
		return pl.results
	}
	if journaled(req) && len(pl.steps) > 0 {
		if err := l.record(pl.steps); err != nil {
			if req.Atomic {
				return refuse(req, err)
			}
			for _, s := range pl.steps {
				pl.results[s.entry].Err = err
			}
			return pl.results
		}
	}
	for _, s := range pl.steps {
		if err := l.failed(); err != nil && errs.KindOf(err) != errs.Closed {
			pl.results[s.entry].Err = log.ErrReadOnly
			continue
		}
		pl.results[s.entry] = l.apply(s, pl.results[s.entry], journaled(req))
	}
	return pl.results
}

// journaled reports whether a request goes through the journal: all do but plain
// appends of data.
func journaled(req log.Request) bool {
	if req.Atomic && len(req.Entries) > 1 {
		return true
	}
	for i := range req.Entries {
		if e := &req.Entries[i]; e.Kind != log.Data || e.ExpectedEpoch != log.AnyEpoch {
			return true
		}
	}
	return false
}

// plan is what a request comes to, entry by entry, if nobody else writes.
type plan struct {
	l       *Log
	view    map[log.PartitionID]*part // what the entries so far make of the partitions
	journal bool
	results []log.Result
	steps   []step
	refused bool
}

func (l *Log) plan(req log.Request) *plan {
	pl := &plan{l: l, view: map[log.PartitionID]*part{}, journal: journaled(req), results: make([]log.Result, len(req.Entries))}
	for i := range req.Entries {
		if err := pl.entry(i, &req.Entries[i]); err != nil {
			pl.results[i] = log.Result{Err: err}
			pl.refused = true
		}
	}
	return pl
}

// part is p as the entries so far leave it, nil if there is none.
func (pl *plan) part(p log.PartitionID) *part {
	st, ok := pl.view[p]
	if !ok {
		if known, err := pl.l.part(p); err == nil {
			known.start = -1
			st = &known
		}
		pl.view[p] = st
	}
	return st
}

func (pl *plan) entry(i int, e *log.Entry) error {
	st := pl.part(e.Partition)
	s := step{Do: e.Kind, Partition: e.Partition, entry: i}
	switch {
	case e.Kind == log.Create && st != nil:
		return log.ErrExists
	case (e.Kind == log.Create || e.Kind == log.Configure) && e.Config.KeyID != 0:
		return errKeys
	case e.Kind != log.Create && st == nil:
		return log.ErrNotFound
	case e.Kind != log.Create && e.Kind != log.Fence && e.ExpectedEpoch < st.epoch && e.ExpectedEpoch != log.AnyEpoch:
		return log.ErrFenced
	}
	r := &pl.results[i]
	switch e.Kind {
	case log.Data:
		h, err := pl.check(e.Batch)
		if err != nil {
			return err
		}
		if st.sealed {
			return log.ErrSealed
		}
		s.Offset, s.batch = st.end, e.Batch
		st.end += int64(h.LastOffsetDelta) + 1
	case log.Create:
		s.Config = e.Config
		pl.view[e.Partition] = &part{config: e.Config, lastArrival: -1}
	case log.Configure:
		s.Config, st.config = e.Config, e.Config
	case log.Seal:
		r.Offset = st.end
		if st.sealed {
			return nil
		}
		if _, err := pl.l.part(e.Partition); err == nil {
			if b, err := pl.l.bounds(e.Partition, *st); err != nil || b.Stable < b.End {
				return cmp.Or(err, log.ErrInTransaction)
			}
		}
		st.sealed = true
		s.Offset, s.LastArrival = st.end, st.lastArrival
	case log.Trim:
		if st.start < 0 {
			b, err := pl.l.bounds(e.Partition, *st)
			if err != nil {
				return err
			}
			st.start = b.Start
		}
		to := min(e.Offset, st.end)
		r.Offset = max(to, st.start)
		if to <= st.start {
			return nil
		}
		st.start = to
		s.Offset, s.LastArrival = to, st.lastArrival
	case log.Fence:
		st.epoch++
		s.Epoch, r.Epoch = st.epoch, st.epoch
	case log.Delete:
		pl.view[e.Partition] = nil
	default:
		return errs.New(errs.Invalid, "kind of entry is not known")
	}
	pl.steps = append(pl.steps, s)
	return nil
}

// check refuses what is not one whole valid batch. What goes through the journal
// must not be refused by Kafka later, so it is looked into.
func (pl *plan) check(b []byte) (batch.Header, error) {
	h, err := batch.ParseHeader(b)
	switch {
	case err != nil || h.Size() != len(b) || !batch.CheckCRC(b, h) || isSeal(b):
		return h, log.ErrInvalidBatch
	case len(b) > pl.l.opts.MaxBatchBytes:
		return h, log.ErrTooLarge
	case h.Attributes&(batch.Transactional|batch.Control) != 0:
		return h, errTransaction
	case !pl.journal:
		return h, nil
	case h.ProducerID >= 0:
		return h, errProducer
	case batch.Validate(b, batch.NewDecompressor(maxUnpacked)) != nil:
		return h, log.ErrInvalidBatch
	}
	return h, nil
}

// apply does one step on the cluster and notes it. A step of the journal has to
// succeed: if it does not, the log is read-only until it is opened again.
func (l *Log) apply(s step, r log.Result, journaled bool) log.Result {
	ctx := l.group.Context()
	st, err := l.part(s.Partition)
	if s.Do != log.Create && err != nil {
		return log.Result{Err: err}
	}
	switch s.Do {
	case log.Data:
		r = l.produce(s, st)
		if r.Err != nil && journaled && l.failed() == nil {
			return log.Result{Err: l.fail(r.Err)}
		}
		return r
	case log.Create:
		st, err = part{config: s.Config, lastArrival: -1}, l.cluster.create(ctx, l.topic(s.Partition), s.Config)
	case log.Configure:
		st.config, err = s.Config, l.cluster.configure(ctx, l.topic(s.Partition), s.Config)
	case log.Seal:
		st.sealed = true
		st.end, err = l.seal(s.Partition, st.end)
		r.Offset = st.end
	case log.Trim:
		err = l.cluster.trim(ctx, l.topic(s.Partition), s.Offset)
	case log.Fence:
		st.epoch = s.Epoch
	case log.Delete:
		l.set(s.Partition, nil)
		err = l.cluster.drop(ctx, l.topic(s.Partition))
	}
	if err != nil {
		return log.Result{Err: l.fail(err)}
	}
	if s.Do != log.Delete {
		l.set(s.Partition, &st)
	}
	if s.Do == log.Seal || s.Do == log.Trim || s.Do == log.Delete {
		l.watch.changed(s)
	}
	return r
}

// produce appends a batch to its partition's topic. Where it lands tells whether
// others wrote there, and then what they wrote tells whether it counts.
func (l *Log) produce(s step, st part) log.Result {
	h, err := batch.ParseHeader(s.batch)
	if err != nil {
		return log.Result{Err: log.ErrInvalidBatch}
	}
	batch.SetBase(s.batch, 0, -1)
	ack, err := l.cluster.produce(l.group.Context(), l.topic(s.Partition), s.batch)
	if err != nil {
		if errs.KindOf(err) == errs.Internal {
			err = l.fail(err)
		}
		return log.Result{Err: err}
	}
	if ack.base < st.end {
		return log.Result{Offset: ack.base, Arrival: ack.arrival, Duplicate: true}
	}
	if ack.base > st.end {
		at, sealed, err := l.find(l.topic(s.Partition), st.end, ack.base, isSeal)
		if err != nil {
			return log.Result{Err: l.fail(err)}
		}
		if sealed {
			st.end, st.sealed = at, true
			l.set(s.Partition, &st)
			return log.Result{Err: log.ErrSealed}
		}
	}
	st.end = ack.base + int64(h.LastOffsetDelta) + 1
	st.lastArrival = ack.arrival
	l.set(s.Partition, &st)
	return log.Result{Offset: ack.base, Arrival: ack.arrival}
}
