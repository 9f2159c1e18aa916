package brokers

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/log"
)

// TransactionsTopic is where transactions are kept, in Apache Kafka's own records.
const TransactionsTopic = "__transaction_state"

const (
	// txnPartitions is transaction.state.log.num.partitions.
	txnPartitions = 50
	// lastEpoch is the last epoch that a producer gets; the one after it is for
	// fencing.
	lastEpoch = 1<<15 - 2
)

// txnState is where in its life a transactional id is. Values are on disk: Apache
// Kafka's. Those in between, for which it has to write markers one after another,
// do not occur here: the markers of all partitions and the end of the transaction
// are one atomic append.
type txnState int8

const (
	txnEmpty          txnState = 0
	txnOngoing        txnState = 1
	txnCompleteCommit txnState = 4
	txnCompleteAbort  txnState = 5
)

// Transactions are the transactional producers of a cluster. What it knows is what
// the records of TransactionsTopic say. [Transactions.Run] must run beside it.
type Transactions struct {
	cluster *Cluster
	wake    chan struct{}

	mu     sync.Mutex
	loaded bool            // guarded by mu
	byID   map[string]*Txn // guarded by mu
	stores [txnPartitions]keyedPartition
}

// Txn is one transactional id.
type Txn struct {
	id    string
	store *keyedPartition
	// mu is held while a change is made durable, so that every change is seen by
	// the next.
	mu sync.Mutex
	txn
	dead bool  // it has expired
	held int64 // bytes drawn on the budget
	// previous is the producer id before the present one, whose epochs ran out with
	// the end of a transaction. -1 is none.
	previous int64
	// fenced is the epoch before the server itself raised it; its producer may
	// still go on by asking for a new one (KIP-360). -1 is none.
	fenced int16
}

// txn is what is durable of it.
type txn struct {
	producer int64
	epoch    int16
	timeout  int64 // milliseconds
	state    txnState
	parts    []topicPartition // of the open transaction, in order
	started  int64            // of the last one, Unix milliseconds; -1 is none of the producer
	updated  int64
}

// Transactions are the cluster's transactions.
func (c *Cluster) Transactions() *Transactions { return c.transactions }

func newTransactions(c *Cluster) *Transactions {
	return &Transactions{cluster: c, wake: make(chan struct{}, 1), byID: map[string]*Txn{}}
}

// Coordinator is the broker that clients ask about a transactional id.
func (ts *Transactions) Coordinator(id string) int32 {
	return 1 + int32(javaHash(id)&0x7fffffff)%ts.cluster.Brokers()
}

// Ready makes the place where transactions are kept, if there is none, and reads
// it once.
func (ts *Transactions) Ready(ctx context.Context) *Error {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.loaded {
		return nil
	}
	if err := ts.cluster.groups.Ready(ctx); err != nil { // transactions end in groups, too
		return err
	}
	t, err := ts.cluster.internalTopic(ctx, TransactionsTopic, txnPartitions)
	if err != nil {
		return err
	}
	for i := range ts.stores {
		p, ok := t.Partition(int32(i))
		if !ok {
			return refuse(CoordinatorNotAvailable, "The place of the transactions has no partition %d.", i)
		}
		ts.stores[i].open(ts.cluster.log, p)
		if err := ts.load(ctx, &ts.stores[i]); err != nil {
			clear(ts.byID)
			return &Error{Code: CoordinatorNotAvailable, Msg: "The transactions cannot be read.", Err: err}
		}
	}
	ts.loaded = true
	ts.look()
	return nil
}

func (ts *Transactions) look() {
	select {
	case ts.wake <- struct{}{}:
	default: // it is about to
	}
}

// enter returns the transactional id with its lock held, nil if there is none and
// make is not set.
func (ts *Transactions) enter(ctx context.Context, id string, make bool) (*Txn, *Error) {
	if id == "" {
		return nil, refuse(InvalidRequest, "The transactional id is empty.")
	}
	if err := ts.Ready(ctx); err != nil {
		return nil, err
	}
	for {
		ts.mu.Lock()
		t := ts.byID[id]
		if t == nil && make {
			t = ts.add(id)
		}
		ts.mu.Unlock()
		if t == nil {
			return nil, nil
		}
		t.mu.Lock()
		if !t.dead {
			return t, nil
		}
		t.mu.Unlock()
	}
}

// add makes a transactional id; mu is held.
func (ts *Transactions) add(id string) *Txn {
	t := &Txn{id: id, store: &ts.stores[(javaHash(id)&0x7fffffff)%txnPartitions], fenced: -1, previous: -1, txn: txn{producer: -1, epoch: -1, started: -1}}
	ts.byID[id] = t
	ts.account(t)
	return t
}

// current returns the transactional id with its lock held, if the producer is its
// present one.
func (ts *Transactions) current(ctx context.Context, id string, producer int64, epoch int16) (*Txn, *Error) {
	t, err := ts.enter(ctx, id, false)
	switch {
	case err != nil:
		return nil, err
	case t == nil:
		return nil, refuse(InvalidProducerIDMapping, "There is no transactional id of that name.")
	case t.producer != producer:
		err = refuse(InvalidProducerIDMapping, "The producer id is not that of the transactional id.")
	case t.epoch != epoch:
		err = refuse(ProducerFenced, "There is a newer producer with the same transactional id.")
	}
	if err != nil {
		t.mu.Unlock()
		return nil, err
	}
	return t, nil
}

// Init gives a transactional producer its id with the next epoch. A transaction
// that its predecessor left open is aborted. producer and epoch are those that it
// had, -1 for none.
func (ts *Transactions) Init(ctx context.Context, id string, timeout int64, producer int64, epoch int16) (int64, int16, *Error) {
	if timeout <= 0 || timeout > ts.cluster.settingNumber("transaction.max.timeout.ms") {
		return -1, -1, refuse(InvalidTxnTimeout, "The transaction timeout is larger than the maximum value allowed by the broker.")
	}
	if err := ts.cluster.groups.admit(txnBytes + int64(len(id))); err != nil {
		return -1, -1, err
	}
	t, err := ts.enter(ctx, id, true)
	if err != nil {
		return -1, -1, err
	}
	defer t.mu.Unlock()
	if producer >= 0 && (producer != t.producer || epoch != t.epoch && epoch != t.fenced) {
		return -1, -1, refuse(ProducerFenced, "There is a newer producer with the same transactional id.")
	}
	next := t.txn
	next.state, next.timeout, next.parts, next.started = txnEmpty, timeout, nil, -1
	var markers []log.Entry
	if t.state == txnOngoing {
		markers = ts.markers(t, t.epoch+1, false)
	}
	if err := ts.raise(ctx, &next); err != nil {
		return -1, -1, err
	}
	if err := ts.change(t, next, markers, false); err != nil {
		return -1, -1, err
	}
	t.fenced, t.previous = -1, -1
	return t.producer, t.epoch, nil
}

// raise gives t the next epoch, or another producer id where there is none left.
func (ts *Transactions) raise(ctx context.Context, t *txn) *Error {
	if t.producer >= 0 && t.epoch < lastEpoch {
		t.epoch++
		return nil
	}
	fresh, err := ts.cluster.NewProducerID(ctx)
	if err != nil {
		return err
	}
	t.producer, t.epoch = fresh, 0
	return nil
}

// AddPartitions makes partitions part of the producer's transaction, beginning one
// if none is open.
func (ts *Transactions) AddPartitions(ctx context.Context, id string, producer int64, epoch int16, parts []Commit) *Error {
	failed := false
	for i := range parts {
		p := &parts[i]
		t := ts.cluster.Topic(p.Topic)
		switch {
		case t == nil || p.Partition < 0 || p.Partition >= t.Partitions():
			p.Err = refuse(UnknownTopic, "This server does not host this topic-partition.")
		case t.Internal():
			p.Err = refuse(InvalidTopic, "The topic %s is internal: clients do not write to it.", t.Name())
		}
		failed = failed || p.Err != nil
	}
	if failed {
		for i := range parts {
			if parts[i].Err == nil {
				parts[i].Err = refuse(OperationNotAttempted, "The partition was not added, because others of the request could not be.")
			}
		}
		return nil
	}
	t, err := ts.current(ctx, id, producer, epoch)
	if err != nil {
		return err
	}
	defer t.mu.Unlock()
	return ts.addParts(t, parts)
}

// VerifyPartitions tells whether partitions are part of the producer's open
// transaction.
func (ts *Transactions) VerifyPartitions(ctx context.Context, id string, producer int64, epoch int16, parts []Commit) *Error {
	t, err := ts.current(ctx, id, producer, epoch)
	if err != nil {
		return err
	}
	defer t.mu.Unlock()
	for i := range parts {
		parts[i].Err = t.has(parts[i].Topic, parts[i].Partition)
	}
	return nil
}

// AddGroup makes the offsets of a group part of the producer's transaction.
func (ts *Transactions) AddGroup(ctx context.Context, id string, producer int64, epoch int16, group string) *Error {
	if group == "" {
		return refuse(InvalidGroupID, "The configured groupId is invalid.")
	}
	t, err := ts.current(ctx, id, producer, epoch)
	if err != nil {
		return err
	}
	defer t.mu.Unlock()
	return ts.addParts(t, []Commit{ofGroup(group)})
}

// ofGroup is where a group's offsets are.
func ofGroup(group string) Commit { return Commit{Topic: OffsetsTopic, Partition: partitionOf(group)} }

// addParts adds partitions durably; t's lock is held.
func (ts *Transactions) addParts(t *Txn, parts []Commit) *Error {
	next := t.txn
	next.parts = slices.Clone(next.parts)
	if next.state != txnOngoing {
		next.state, next.parts, next.started = txnOngoing, nil, clock.Millis(ts.cluster.clock)
	}
	for i := range parts {
		p := topicPartition{parts[i].Topic, parts[i].Partition}
		if slices.Contains(next.parts, p) {
			continue
		}
		if ts.cluster.closing(p) {
			return refuse(ConcurrentTransactions, "Shard %d of %s is closed as soon as the transactions in it have ended.", p.partition, p.topic)
		}
		next.parts = append(next.parts, p)
	}
	if t.state == txnOngoing && len(next.parts) == len(t.parts) {
		return nil
	}
	if err := ts.cluster.groups.admit(int64(len(next.parts)-len(t.parts)) * slotBytes); err != nil {
		return err
	}
	return ts.change(t, next, nil, false)
}

// closing tells whether a partition takes no new transactions.
func (c *Cluster) closing(p topicPartition) bool {
	t := c.Topic(p.topic)
	if t == nil {
		return false
	}
	at, ok := t.Partition(p.partition)
	return ok && c.streams.Closing(at)
}

// change makes next and the markers of the transaction that ends with it durable,
// and then what is known; t's lock is held.
func (ts *Transactions) change(t *Txn, next txn, markers []log.Entry, commit bool) *Error {
	next.updated = clock.Millis(ts.cluster.clock)
	b := txnBatch(t.id, &next)
	t.store.mu.Lock()
	t.store.grown += int64(len(b))
	t.store.mu.Unlock()
	entries := append(markers, log.Entry{Kind: log.Data, Partition: t.store.partition, Batch: b})
	if _, err := log.Do(ts.cluster.log, log.Request{Entries: entries, Atomic: true}); err != nil {
		if errs.KindOf(err) == errs.NotFound {
			return refuse(ConcurrentTransactions, "A topic of the transaction is being removed.")
		}
		return &Error{Code: CoordinatorNotAvailable, Msg: "The transaction could not be stored.", Err: err}
	}
	ended := t.txn
	t.txn = next
	ts.account(t)
	if len(markers) > 0 {
		for _, p := range ended.parts {
			if p.topic == OffsetsTopic {
				ts.cluster.groups.settle(p.partition, ended.producer, commit)
			}
		}
	}
	if next.state == txnOngoing || t.store.due() {
		ts.look()
	}
	return nil
}

// Enter holds a transactional id while records of it are appended, so that the
// transaction does not end in between. Leave ends that. The id must be known.
func (ts *Transactions) Enter(ctx context.Context, id string) (*Txn, *Error) {
	t, err := ts.enter(ctx, id, false)
	if err == nil && t == nil {
		err = refuse(InvalidProducerIDMapping, "There is no transactional id of that name.")
	}
	return t, err
}

// Leave lets the transactional id go.
func (t *Txn) Leave() { t.mu.Unlock() }

// Check refuses what is no part of the open transaction, between Enter and Leave.
func (t *Txn) Check(topic *Topic, partition int32, producer int64, epoch int16) *Error {
	if err := t.Owned(producer, epoch); err != nil {
		return err
	}
	return t.has(topic.Name(), partition)
}

// has refuses a partition that is no part of the open transaction.
func (t *Txn) has(topic string, partition int32) *Error {
	if t.state != txnOngoing || !slices.Contains(t.parts, topicPartition{topic, partition}) {
		return refuse(InvalidTxnState, "Partition was not added to the transaction")
	}
	return nil
}

// Owned refuses a producer that is not the present one, between Enter and Leave.
func (t *Txn) Owned(producer int64, epoch int16) *Error {
	switch {
	case t.producer != producer:
		return refuse(InvalidProducerIDMapping, "The producer id is not that of the transactional id.")
	case t.epoch != epoch:
		return refuse(InvalidProducerEpoch, "Producer attempted to produce with an old epoch.")
	}
	return nil
}

// Join makes partitions part of the transaction of a producer that owns it,
// beginning one if none is open, between Enter and Leave (KIP-890: what is written
// joins by itself).
func (ts *Transactions) Join(t *Txn, parts []Commit) *Error { return ts.addParts(t, parts) }

// Run aborts transactions that were open for too long, forgets ids that were not
// used for a week, and rewrites what keeps the log from being trimmed.
func (ts *Transactions) Run(ctx context.Context) error {
	timer := ts.cluster.clock.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
		case <-ts.wake:
		}
		now := clock.Millis(ts.cluster.clock)
		next := now + time.Hour.Milliseconds()
		for _, t := range ts.all() {
			t.mu.Lock()
			if !t.dead {
				next = min(next, ts.tick(t, now))
			}
			t.mu.Unlock()
		}
		for i := range ts.stores {
			if ts.stores[i].due() {
				ts.rewrite(&ts.stores[i])
			}
		}
		if !ts.cluster.wait(timer, next) {
			ts.look()
		}
	}
}

// tick does what has fallen due, and tells when there is more; t's lock is held.
func (ts *Transactions) tick(t *Txn, now int64) (next int64) {
	if t.state == txnOngoing {
		if at := t.started + t.timeout; at > now {
			return at
		}
		old := t.epoch
		if ts.end(t, t.epoch+1, false) != nil {
			return now + time.Second.Milliseconds() // a log without space, say
		}
		t.fenced = old
	}
	at := t.updated + ts.cluster.settingNumber("transactional.id.expiration.ms")
	if at > now {
		return at
	}
	if t.producer >= 0 {
		if _, err := log.Do(ts.cluster.log, log.Request{Entries: []log.Entry{
			{Kind: log.Data, Partition: t.store.partition, Batch: txnTombstone(t.id, now)}}}); err != nil {
			return now + time.Second.Milliseconds()
		}
	}
	t.dead = true
	hold(ts.cluster, &t.held, 0)
	ts.mu.Lock()
	delete(ts.byID, t.id)
	ts.mu.Unlock()
	return now + time.Hour.Milliseconds()
}

// all are the transactional ids, by name.
func (ts *Transactions) all() []*Txn {
	ts.mu.Lock()
	out := make([]*Txn, 0, len(ts.byID))
	for _, t := range ts.byID {
		out = append(out, t)
	}
	ts.mu.Unlock()
	slices.SortFunc(out, func(a, b *Txn) int { return strings.Compare(a.id, b.id) })
	return out
}
