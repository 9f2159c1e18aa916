package brokers

import (
	"context"
	"encoding/binary"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// Positions of header fields that name a batch's producer.
const (
	posProducerID    = 43
	posProducerEpoch = 51
)

// byProducer makes a batch that names no producer one of a transaction.
func byProducer(b []byte, attributes uint16, producer int64, epoch int16) []byte {
	binary.BigEndian.PutUint16(b[posAttributes:], attributes)
	binary.BigEndian.PutUint64(b[posProducerID:], uint64(producer))
	binary.BigEndian.PutUint16(b[posProducerEpoch:], uint16(epoch))
	binary.BigEndian.PutUint32(b[posCRC:], crc32.Checksum(b[posAttributes:], batch.Castagnoli))
	return b
}

// marker is the control batch that ends a producer's transaction: key version and
// type (0 abort, 1 commit), value version and the coordinator's epoch.
func marker(producer int64, epoch int16, coordinator int32, commit bool, now int64) []byte {
	key := []byte{0, 0, 0, 0}
	if commit {
		key[3] = 1
	}
	var b batch.Builder
	b.Append(batch.Record{Key: key, Value: binary.BigEndian.AppendUint32([]byte{0, 0}, uint32(coordinator)), Timestamp: now})
	return byProducer(b.Finish(), batch.Control|batch.Transactional, producer, epoch)
}

// markerOf reads a control batch: commit or abort; ok is false for another.
func markerOf(b []byte) (commit, ok bool) {
	it, err := batch.Records(b)
	if err != nil || !it.Next() || len(it.Record().Key) < 4 {
		return false, false
	}
	kind := binary.BigEndian.Uint16(it.Record().Key[2:])
	return kind == 1, kind <= 1
}

// txnBatch is the record of a transactional id.
func txnBatch(id string, t *txn) []byte {
	v := kmsg.NewTxnMetadataValue()
	v.ProducerID, v.ProducerEpoch, v.TimeoutMillis, v.State = t.producer, t.epoch, int32(t.timeout), kmsg.TransactionState(t.state)
	v.StartTimestamp, v.LastUpdateTimestamp = t.started, t.updated
	for _, p := range t.parts {
		i := 0
		for i < len(v.Topics) && v.Topics[i].Topic != p.topic {
			i++
		}
		if i == len(v.Topics) {
			vt := kmsg.NewTxnMetadataValueTopic()
			vt.Topic = p.topic
			v.Topics = append(v.Topics, vt)
		}
		v.Topics[i].Partitions = append(v.Topics[i].Partitions, p.partition)
	}
	var b batch.Builder
	b.Append(batch.Record{Key: txnKey(id), Value: v.AppendTo(nil), Timestamp: t.updated})
	return b.Finish()
}

func txnTombstone(id string, now int64) []byte {
	var b batch.Builder
	b.Append(batch.Record{Key: txnKey(id), Timestamp: now})
	return b.Finish()
}

func txnKey(id string) []byte {
	key := kmsg.NewTxnMetadataKey()
	key.TransactionalID = id
	return key.AppendTo(nil)
}

// load reads a partition; mu is held.
func (ts *Transactions) load(ctx context.Context, p *keyedPartition) error {
	return p.each(ctx, func(b []byte, _ batch.Header) error {
		it, err := batch.Records(b)
		if err != nil {
			return err
		}
		for it.Next() {
			if err := ts.apply(it.Record()); err != nil {
				return err
			}
		}
		return it.Err()
	})
}

// apply does what one record says; mu is held.
func (ts *Transactions) apply(r *batch.Record) error {
	var key kmsg.TxnMetadataKey
	if err := key.ReadFrom(r.Key); err != nil {
		return err
	}
	if r.Value == nil {
		if t := ts.byID[key.TransactionalID]; t != nil {
			hold(ts.cluster, &t.held, 0)
		}
		delete(ts.byID, key.TransactionalID)
		return nil
	}
	var v kmsg.TxnMetadataValue
	if err := v.ReadFrom(r.Value); err != nil {
		return err
	}
	t := ts.byID[key.TransactionalID]
	if t == nil {
		t = ts.add(key.TransactionalID)
	}
	t.txn = txn{producer: v.ProducerID, epoch: v.ProducerEpoch, timeout: int64(v.TimeoutMillis), state: txnState(v.State),
		started: v.StartTimestamp, updated: v.LastUpdateTimestamp}
	for _, vt := range v.Topics {
		for _, p := range vt.Partitions {
			t.parts = append(t.parts, topicPartition{vt.Topic, p})
		}
	}
	ts.account(t)
	switch t.state {
	case txnEmpty, txnOngoing, txnCompleteCommit, txnCompleteAbort:
		return nil
	}
	return errs.New(errs.Unsupported, "a transaction is in a state that this server does not make")
}

// rewrite appends what every transactional id of a partition consists of, and
// trims what came before the first.
func (ts *Transactions) rewrite(p *keyedPartition) {
	info, err := p.log.Info(p.partition)
	if err != nil {
		return
	}
	for _, t := range ts.all() {
		if t.store != p {
			continue
		}
		t.mu.Lock()
		if !t.dead && t.producer >= 0 {
			_, err = log.Do(p.log, log.Request{Entries: []log.Entry{{Kind: log.Data, Partition: p.partition, Batch: txnBatch(t.id, &t.txn)}}})
		}
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
	p.trim(info.End)
}

// CommitInTxn makes offsets of a group part of its producer's transaction: they
// are durable when this returns, and show when the transaction commits. join lets
// the group become part of it.
func (gs *Groups) CommitInTxn(ctx context.Context, x *Txn, producer int64, epoch int16, id, memberID, instance string, generation int32, list []Commit, join bool) *Error {
	err := x.Owned(producer, epoch)
	switch {
	case err != nil:
	case join:
		err = gs.cluster.transactions.Join(x, []Commit{ofGroup(id)})
	default:
		err = x.has(OffsetsTopic, partitionOf(id))
	}
	if err != nil {
		return err
	}
	now := clock.Millis(gs.cluster.clock)
	good := gs.checkCommits(list, now)
	if err := gs.admit(bytesOfCommits(id, list)); err != nil {
		return err
	}
	var refused *Error
	var wait chan *Error
	found, err := gs.with(ctx, id, generation < 0, func(e *entry, now int64) {
		// A producer that says nothing of a member commits for the group as it is.
		if generation >= 0 || memberID != "" || instance != "" {
			refused = e.mayCommit(now, memberID, instance, generation, list)
			if refused != nil && refused.Code == StaleMemberEpoch {
				refused = refuse(IllegalGeneration, "%s", refused.Msg) // what producers know
			}
		}
		if refused == nil && good > 0 {
			wait = make(chan *Error, 1)
			gs.storePending(e, producer, epoch, list, func(err *Error) { wait <- err })
		}
	})
	switch {
	case err != nil:
		return err
	case !found:
		return refuse(IllegalGeneration, "There is no such group, so it has no such generation.")
	case wait != nil:
		return <-wait // until then the transaction must not end
	}
	return refused
}

// storePending makes commits of a transaction durable; e.mu is held.
func (gs *Groups) storePending(e *entry, producer int64, epoch int16, list []Commit, done func(*Error)) {
	b := byProducer(e.commitBatch(list, clock.Millis(gs.cluster.clock)), batch.Transactional, producer, epoch)
	gs.append(e, b, func(err *Error) {
		if err == nil {
			for i := range list {
				if c := &list[i]; c.Err == nil {
					c.at = e.landed
					e.addPending(producer, topicPartition{c.Topic, c.Partition}, c.Committed)
				}
			}
		}
		done(err)
	})
}

// addPending notes an offset of an open transaction; mu is held.
func (e *entry) addPending(producer int64, k topicPartition, c Committed) {
	if e.pending == nil {
		e.pending = map[int64]map[topicPartition]Committed{}
	}
	if e.pending[producer] == nil {
		e.pending[producer] = map[topicPartition]Committed{}
	}
	old, ok := e.pending[producer][k]
	if !ok {
		e.kept += offsetBytes
	}
	e.kept += int64(len(c.Metadata) - len(old.Metadata))
	e.pending[producer][k] = c
}

// settle ends a producer's transaction in the groups of a partition.
func (gs *Groups) settle(partition int32, producer int64, commit bool) {
	for _, e := range gs.all() {
		if e.store != &gs.stores[partition] {
			continue
		}
		e.mu.Lock()
		e.settle(producer, commit)
		e.mu.Unlock()
	}
}

// settle ends a producer's transaction; mu is held. An offset that was committed
// after one of the transaction stays: it is the one that compaction leaves.
func (e *entry) settle(producer int64, commit bool) {
	for k, c := range e.pending[producer] {
		if old, ok := e.offsets[k]; commit && (!ok || old.at < c.at) {
			e.set(k, c)
			e.touched = max(e.touched, c.Time)
		}
		e.kept -= offsetBytes + int64(len(c.Metadata))
	}
	delete(e.pending, producer)
}

// unstable tells whether an open transaction will decide on an offset; mu is held.
func (e *entry) unstable(k topicPartition) bool {
	for _, offsets := range e.pending {
		if _, ok := offsets[k]; ok {
			return true
		}
	}
	return false
}
