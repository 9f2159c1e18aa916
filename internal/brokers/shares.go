package brokers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"thalweg/internal/clock"
	"thalweg/internal/log"
	"thalweg/internal/log/batch"
)

// ShareTopic is where share partitions are kept, in Apache Kafka's own records.
const ShareTopic = "__share_group_state"

// shareStores is share.coordinator.state.topic.num.partitions.
const shareStores = 50

// spanBytes is about what a span takes in memory, and sharedBytes a share partition.
const (
	spanBytes   = 128
	sharedBytes = 1 << 10
)

// Shares are the partitions that share groups of a cluster read. What is done is
// what the records of ShareTopic say; who has which record until when lives in
// memory only.
//
// Every record holds all of a share partition, so that the last one of a key is what
// counts. It is appended before whoever has changed something is answered.
type Shares struct {
	cluster *Cluster

	mu     sync.Mutex
	loaded bool                 // guarded by mu
	byKey  map[shareKey]*shared // guarded by mu
	waits  map[string]*waiting  // by group, guarded by mu
	stores [shareStores]shareStore
}

// waiting is for who waits for records of a group to be delivered again.
type waiting struct {
	wake chan struct{} // closed when some are
	n    int           // of those who wait
}

// shareStore is one partition of ShareTopic.
type shareStore struct {
	keyedPartition
	rewriting sync.Mutex
}

// shared is one share partition.
type shared struct {
	key   shareKey
	store *shareStore

	mu     sync.Mutex
	state  snapshot // guarded by mu
	begun  bool     // guarded by mu; its start is known
	writes uint64   // guarded by mu; appends so far
	held   int64    // guarded by mu; bytes drawn on the budget
	dead   bool     // guarded by mu; it is being removed, or was
}

func newShares(c *Cluster) *Shares {
	return &Shares{cluster: c, byKey: map[shareKey]*shared{}, waits: map[string]*waiting{}}
}

// Shares are what the cluster's share groups read.
func (c *Cluster) Shares() *Shares { return c.shares }

// Ready makes the place where share partitions are kept, if there is none, and
// reads it once.
func (ss *Shares) Ready(ctx context.Context) *Error {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.loaded {
		return nil
	}
	t, err := ss.cluster.internalTopic(ctx, ShareTopic, shareStores)
	if err != nil {
		return err
	}
	for i := range ss.stores {
		p, ok := t.Partition(int32(i))
		if !ok {
			return refuse(CoordinatorNotAvailable, "The place of the share groups has no partition %d.", i)
		}
		ss.stores[i].open(ss.cluster.log, p)
		if err := ss.load(ctx, &ss.stores[i]); err != nil {
			for _, e := range ss.byKey {
				ss.hold(e, 0)
			}
			clear(ss.byKey)
			return &Error{Code: CoordinatorNotAvailable, Msg: "The share groups cannot be read.", Err: err}
		}
	}
	ss.loaded = true
	return nil
}

// load reads a partition; mu is held.
func (ss *Shares) load(ctx context.Context, store *shareStore) error {
	return store.each(ctx, func(b []byte, _ batch.Header) error {
		it, err := batch.Records(b)
		if err != nil {
			return err
		}
		for it.Next() {
			r := it.Record()
			k, err := parseShareKey(r.Key)
			if err != nil {
				return err
			}
			if r.Value == nil {
				if e := ss.byKey[k]; e != nil {
					ss.hold(e, 0)
					delete(ss.byKey, k)
				}
				continue
			}
			s, err := parseSnapshot(r.Value)
			if err != nil {
				return err
			}
			e := ss.byKey[k]
			if e == nil {
				e = &shared{key: k, store: store}
				ss.byKey[k] = e
			}
			e.state, e.begun = s, s.part.start >= 0
			ss.account(e)
		}
		return it.Err()
	})
}

// find returns a share partition, and makes it if there is none and make is set.
func (ss *Shares) find(ctx context.Context, k shareKey, make bool) (*shared, *Error) {
	if err := ss.Ready(ctx); err != nil {
		return nil, err
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	e := ss.byKey[k]
	if e == nil && make {
		if !ss.cluster.memory.TryAcquire(k.bytes()) {
			return nil, &Error{Code: StorageError, Msg: "The server is over its memory budget.", Err: log.ErrOverloaded}
		}
		e = &shared{key: k, store: &ss.stores[k.store()], held: k.bytes()}
		ss.byKey[k] = e
	}
	return e, nil
}

// account draws what a share partition takes now; its mu is held.
func (ss *Shares) account(e *shared) {
	n := e.key.bytes()
	for i := range e.state.part.spans {
		n += spanBytes + int64(len(e.state.part.spans[i].member))
	}
	ss.hold(e, n)
}

// bytes is about what a share partition takes without a span.
func (k *shareKey) bytes() int64 { return sharedBytes + int64(len(k.group)) }

func (ss *Shares) hold(e *shared, n int64) {
	if n > e.held {
		ss.cluster.memory.Take(n - e.held)
	} else {
		ss.cluster.memory.Release(e.held - n)
	}
	e.held = n
}

// Wake is closed as soon as a record of the group, after this call, is to be
// delivered again. Who does not wait any more calls done.
func (ss *Shares) Wake(group string) (again <-chan struct{}, done func()) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	w := ss.waits[group]
	if w == nil {
		w = &waiting{wake: make(chan struct{})}
		ss.waits[group] = w
	}
	w.n++
	return w.wake, func() {
		ss.mu.Lock()
		defer ss.mu.Unlock()
		if w.n--; w.n == 0 && ss.waits[group] == w {
			delete(ss.waits, group)
		}
	}
}

func (ss *Shares) wake(group string) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if w := ss.waits[group]; w != nil {
		close(w.wake)
		delete(ss.waits, group)
	}
}

// write is an append under way: done has the log's answer.
type write struct {
	number uint64
	done   chan *Error
}

// save appends what a share partition is now; its mu is held.
func (ss *Shares) save(e *shared) write {
	now := clock.Millis(ss.cluster.clock)
	e.writes++
	e.state.number++
	if e.state.written = now; e.state.created == 0 {
		e.state.created = now
	}
	e.state.part.changed = false
	return ss.append(e, e.state.value(), now)
}

// append appends a record of a share partition; its mu is held, so that they land
// in the order of the calls.
func (ss *Shares) append(e *shared, value []byte, now int64) write {
	var b batch.Builder
	b.Append(batch.Record{Key: e.key.record(), Value: value, Timestamp: now})
	w := write{number: e.writes, done: make(chan *Error, 1)}
	p := e.store
	encoded := b.Finish()
	p.mu.Lock()
	p.grown += int64(len(encoded))
	p.mu.Unlock()
	p.log.Append(log.Request{Entries: []log.Entry{{Kind: log.Data, Partition: p.partition, Batch: encoded}}}, func(r []log.Result) {
		if err := r[0].Err; err != nil {
			w.done <- &Error{Code: StorageError, Msg: "The state of the share group could not be stored.", Err: err}
			return
		}
		w.done <- nil
	})
	return w
}

// finish waits for a write and does what follows from it. It goes on after the
// client is gone: the log answers everything.
func (ss *Shares) finish(e *shared, w write) *Error {
	err := <-w.done
	e.mu.Lock()
	e.state.part.settled(w.number, err == nil)
	ss.account(e)
	e.mu.Unlock()
	ss.wake(e.key.group)
	if e.store.due() {
		ss.rewrite(e.store)
	}
	return err
}

// rewrite appends all share partitions of a store anew, and trims what came before.
// One that was made meanwhile has its records behind that.
func (ss *Shares) rewrite(store *shareStore) {
	if !store.rewriting.TryLock() {
		return // another does
	}
	defer store.rewriting.Unlock()
	info, err := store.log.Info(store.partition)
	if err != nil {
		return
	}
	var wait []write
	for _, e := range ss.where(func(k shareKey) bool { return &ss.stores[k.store()] == store }) {
		e.mu.Lock()
		if e.begun && !e.dead {
			wait = append(wait, ss.save(e))
		}
		e.mu.Unlock()
	}
	for _, w := range wait {
		if <-w.done != nil {
			return
		}
	}
	store.trim(info.End)
}

// where are the share partitions that match, in the order of their keys.
func (ss *Shares) where(match func(shareKey) bool) []*shared {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	var out []*shared
	for k, e := range ss.byKey {
		if match(k) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *shared) int {
		if c := strings.Compare(a.key.group, b.key.group); c != 0 {
			return c
		}
		if c := slices.Compare(a.key.topic[:], b.key.topic[:]); c != 0 {
			return c
		}
		return int(a.key.partition) - int(b.key.partition)
	})
	return out
}

// drop takes a share partition off the list; its mu is held.
func (ss *Shares) drop(e *shared) {
	e.dead = true
	ss.hold(e, 0)
	ss.mu.Lock()
	delete(ss.byKey, e.key)
	ss.mu.Unlock()
}

// forget removes share partitions, durably. Who still reads them begins anew.
func (ss *Shares) forget(ctx context.Context, match func(shareKey) bool) *Error {
	if ss.cluster.Topic(ShareTopic) == nil {
		return nil // there were never any
	}
	if err := ss.Ready(ctx); err != nil {
		return err
	}
	list := ss.where(match)
	var wait []write
	for _, e := range list {
		e.mu.Lock()
		e.dead = true
		wait = append(wait, ss.append(e, nil, clock.Millis(ss.cluster.clock)))
		e.mu.Unlock()
	}
	var failed error
	for i, w := range wait {
		err := <-w.done
		e := list[i]
		e.mu.Lock()
		if err != nil {
			failed, e.dead = errors.Join(failed, err), false
		} else {
			ss.drop(e)
			ss.wake(e.key.group)
		}
		e.mu.Unlock()
	}
	if failed != nil {
		return &Error{Code: CoordinatorNotAvailable, Msg: "The state of the share group could not be removed.", Err: failed}
	}
	return nil
}
