package brokers

import (
	"context"
	"errors"

	"thalweg/internal/clock"
	"thalweg/internal/log"
)

// TxnInfo describes a transactional id.
type TxnInfo struct {
	ID       string
	State    string
	Producer int64
	Epoch    int16
	Timeout  int64 // milliseconds
	// Started is when its last transaction was begun, Unix milliseconds; -1 when
	// its present producer has begun none.
	Started int64
	Parts   []Commit // of the open transaction
}

// String is Apache Kafka's name of the state.
func (s txnState) String() string {
	switch s {
	case txnOngoing:
		return "Ongoing"
	case txnCompleteCommit:
		return "CompleteCommit"
	case txnCompleteAbort:
		return "CompleteAbort"
	}
	return "Empty"
}

// TxnStates are the states that Apache Kafka knows; some do not occur here.
func TxnStates() []string {
	return []string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}
}

func (t *Txn) info() TxnInfo {
	out := TxnInfo{ID: t.id, State: t.state.String(), Producer: t.producer, Epoch: t.epoch, Timeout: t.timeout, Started: t.started}
	for _, p := range t.parts {
		out.Parts = append(out.Parts, Commit{Topic: p.topic, Partition: p.partition})
	}
	return out
}

// TxnFilter chooses transactional ids.
type TxnFilter struct {
	States    []string // none is all
	Producers []int64  // none is all
	// Running is for how long a transaction must have been begun, in milliseconds;
	// negative is all.
	Running int64
	Pattern string // the whole id matches it; "" is all
}

// List returns the transactional ids that a filter chooses, by id.
func (ts *Transactions) List(ctx context.Context, f TxnFilter) ([]TxnInfo, *Error) {
	pattern, err := compile(f.Pattern)
	if err != nil {
		return nil, &Error{Code: InvalidRegularExpression, Msg: "Transaction ID pattern `" + cut(f.Pattern) + "` is not a valid regular expression", Err: err}
	}
	if err := ts.Ready(ctx); err != nil {
		return nil, err
	}
	now := clock.Millis(ts.cluster.clock)
	states, producers := setOf(f.States), setOf(f.Producers)
	var out []TxnInfo
	for _, t := range ts.all() {
		t.mu.Lock()
		if !t.dead && t.producer >= 0 &&
			(len(states) == 0 || states[t.state.String()]) &&
			(len(producers) == 0 || producers[t.producer]) &&
			(f.Running < 0 || now-t.started >= f.Running) &&
			(f.Pattern == "" || isWhole(pattern, t.id)) {
			out = append(out, t.info())
		}
		t.mu.Unlock()
	}
	return out, nil
}

// setOf makes a set of a list: a filter may be as long as a request, and is held
// against as many as there are.
func setOf[T comparable](list []T) map[T]bool {
	out := make(map[T]bool, len(list))
	for _, v := range list {
		out[v] = true
	}
	return out
}

// Describe describes a transactional id.
func (ts *Transactions) Describe(ctx context.Context, id string) (TxnInfo, *Error) {
	t, err := ts.enter(ctx, id, false)
	if err == nil && t == nil {
		err = refuse(TransactionalIDNotFound, "The transactionalId could not be found")
	}
	if err != nil {
		return TxnInfo{}, err
	}
	defer t.mu.Unlock()
	return t.info(), nil
}

// Producers are the producers that a partition knows of.
func (c *Cluster) Producers(t *Topic, i int32) ([]log.Producer, *Error) {
	p, ok := t.Partition(i)
	if !ok {
		return nil, refuse(UnknownTopic, "This server does not host this topic-partition.")
	}
	list, err := c.log.Producers(p)
	if err != nil {
		return nil, logError(err)
	}
	return list, nil
}

// Marker ends whatever transaction a producer has open in a partition, whether its
// transactional id knows of it or not.
type Marker struct {
	Producer    int64
	Epoch       int16
	Coordinator int32 // epoch
	Commit      bool
	// Raised tells that the epoch must be above the one that the partition knows
	// (KIP-890).
	Raised bool
}

// WriteMarker appends a marker to a partition, durably.
func (ts *Transactions) WriteMarker(ctx context.Context, m Marker, topic string, partition int32) *Error {
	if err := ts.Ready(ctx); err != nil { // the groups, too
		return err
	}
	t := ts.cluster.Topic(topic)
	switch {
	case t == nil:
		return refuse(UnknownTopic, "This server does not host this topic-partition.")
	case topic == TransactionsTopic:
		return refuse(InvalidTopic, "No transaction writes to the topic %s.", topic)
	}
	known, refused := ts.cluster.Producers(t, partition)
	if refused != nil {
		return refused
	}
	for _, p := range known {
		if p.ID == m.Producer && m.Raised && m.Epoch <= p.Epoch {
			return refuse(InvalidProducerEpoch, "Producer attempted to produce with an old epoch.")
		}
	}
	at, _ := t.Partition(partition) // known has told that it is there
	b := marker(m.Producer, m.Epoch, m.Coordinator, m.Commit, clock.Millis(ts.cluster.clock))
	_, err := log.Do(ts.cluster.log, log.Request{Entries: []log.Entry{{Kind: log.Data, Partition: at, Batch: b}}})
	switch {
	case errors.Is(err, log.ErrProducerFenced):
		return refuse(InvalidProducerEpoch, "Producer attempted to produce with an old epoch.")
	case err != nil:
		return logError(err)
	case topic == OffsetsTopic:
		ts.cluster.groups.settle(partition, m.Producer, m.Commit)
	}
	return nil
}
