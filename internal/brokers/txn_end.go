package brokers

import (
	"context"

	"thalweg/internal/clock"
	"thalweg/internal/log"
)

// End commits or aborts the producer's transaction: all of it in one durable step.
// The producer keeps its epoch.
func (ts *Transactions) End(ctx context.Context, id string, producer int64, epoch int16, commit bool) *Error {
	t, err := ts.current(ctx, id, producer, epoch)
	if err != nil {
		return err
	}
	defer t.mu.Unlock()
	want := txnCompleteAbort
	if commit {
		want = txnCompleteCommit
	}
	switch t.state {
	case want: // the answer was not seen
		return nil
	case txnOngoing:
		return ts.end(t, t.epoch, commit)
	}
	return invalidTxnState()
}

// EndAndRaise is End for a producer that gets its next epoch with it (KIP-890), so
// that nothing of the transaction that is late can become part of the next. It
// returns the producer's id and epoch from then on. Aborting what was not begun
// raises the epoch as well.
func (ts *Transactions) EndAndRaise(ctx context.Context, id string, producer int64, epoch int16, commit bool) (int64, int16, *Error) {
	t, err := ts.enter(ctx, id, false)
	switch {
	case err != nil:
		return -1, -1, err
	case t == nil:
		return -1, -1, refuse(InvalidProducerIDMapping, "There is no transactional id of that name.")
	}
	defer t.mu.Unlock()
	again := t.raisedFrom(producer, epoch)
	switch {
	case again && commit == (t.state == txnCompleteCommit): // the answer was not seen
		return t.producer, t.epoch, nil
	case again:
		return -1, -1, invalidTxnState()
	case t.producer != producer:
		return -1, -1, refuse(InvalidProducerIDMapping, "The producer id is not that of the transactional id.")
	case t.epoch != epoch:
		return -1, -1, refuse(ProducerFenced, "There is a newer producer with the same transactional id.")
	case commit && t.state != txnOngoing:
		return -1, -1, invalidTxnState()
	}
	next := t.ended(commit)
	markers := ts.markers(t, t.epoch+1, commit)
	if err := ts.raise(ctx, &next); err != nil {
		return -1, -1, err
	}
	if err := ts.change(t, next, markers, commit); err != nil {
		return -1, -1, err
	}
	t.previous = -1
	if t.producer != producer {
		t.previous = producer
	}
	return t.producer, t.epoch, nil
}

// raisedFrom tells whether the last transaction was that of a producer of this
// epoch, which was raised at its end.
func (t *Txn) raisedFrom(producer int64, epoch int16) bool {
	if t.state != txnCompleteCommit && t.state != txnCompleteAbort {
		return false
	}
	return t.producer == producer && t.epoch == epoch+1 ||
		t.previous == producer && epoch == lastEpoch && t.epoch == 0
}

func invalidTxnState() *Error {
	return refuse(InvalidTxnState, "The producer attempted a transactional operation in an invalid state.")
}

// end ends the open transaction; t's lock is held. Its markers bear epoch.
func (ts *Transactions) end(t *Txn, epoch int16, commit bool) *Error {
	next := t.ended(commit)
	next.epoch = epoch
	return ts.change(t, next, ts.markers(t, epoch, commit), commit)
}

// ended is what becomes of a transactional id whose transaction ends.
func (t *Txn) ended(commit bool) txn {
	next := t.txn
	next.parts, next.state = nil, txnCompleteAbort
	if commit {
		next.state = txnCompleteCommit
	}
	return next
}

// markers end the open transaction of t in each of its partitions that still is. A
// shard that is closed has nothing of it: a shard is not closed while it has.
func (ts *Transactions) markers(t *Txn, epoch int16, commit bool) []log.Entry {
	now := clock.Millis(ts.cluster.clock)
	var out []log.Entry
	for _, p := range t.parts {
		topic := ts.cluster.Topic(p.topic)
		if topic == nil {
			continue // gone, with its records
		}
		at, ok := topic.Partition(p.partition)
		if !ok {
			continue
		}
		if info, err := ts.cluster.log.Info(at); err == nil && info.Sealed {
			continue
		}
		out = append(out, log.Entry{Kind: log.Data, Partition: at, Batch: marker(t.producer, epoch, 0, commit, now)})
	}
	return out
}
