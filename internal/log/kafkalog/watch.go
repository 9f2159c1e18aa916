package kafkalog

import (
	"context"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/errs"
	"thalweg/internal/log"
)

const (
	// longFetch is how long a broker waits for something to send, in milliseconds;
	// a new watch waits for as long at most.
	longFetch = 100
	// watchMost is the most bytes that a watch waits for.
	watchMost = 16 << 20
)

// watch is every waiter of a log. One long fetch, over all of their partitions,
// serves them.
type watch struct {
	added chan struct{}

	mu      sync.Mutex
	closed  bool                 // guarded by mu
	waiters map[*waiter]struct{} // guarded by mu
}

type waiter struct {
	fired bool // guarded by watch.mu
	c     chan struct{}
	left  int64 // bytes that are still to come
	at    []*place
}

// place is a position that somebody waits at: bytes count from offset on, and the
// next fetch is at next.
type place struct {
	log.PartitionID
	offset, next int64
}

func (w *watch) init() {
	w.added = make(chan struct{}, 1)
	w.waiters = map[*waiter]struct{}{}
}

// Watch returns a waiter that fires when enough bytes lie at the positions.
func (l *Log) Watch(at []log.Position, minBytes int64) *log.Waiter {
	w := &waiter{c: make(chan struct{}), left: min(max(minBytes, 1), watchMost)}
	fire := false
	for _, a := range at {
		st, err := l.part(a.Partition)
		fire = fire || err != nil || st.sealed || a.Offset < 0
		if !slices.ContainsFunc(w.at, func(p *place) bool { return p.PartitionID == a.Partition && p.offset == a.Offset }) {
			w.at = append(w.at, &place{a.Partition, a.Offset, min(a.Offset, st.end)})
		}
	}
	l.watch.add(w, fire)
	if l.watch.gone(l, w) {
		l.watch.fire(w)
	}
	return &log.Waiter{C: w.c, Stop: func() { l.watch.stop(w) }}
}

// gone reports whether a partition of w was sealed or deleted since it was looked
// at.
func (w *watch) gone(l *Log, of *waiter) bool {
	return slices.ContainsFunc(of.at, func(p *place) bool {
		st, err := l.part(p.PartitionID)
		return err != nil || st.sealed
	})
}

func (w *watch) add(of *waiter, fire bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if fire || w.closed {
		of.fired = true
		close(of.c)
		return
	}
	w.waiters[of] = struct{}{}
	select {
	case w.added <- struct{}{}:
	default:
	}
}

func (w *watch) stop(of *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiters, of)
}

func (w *watch) fire(of *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fireLocked(of)
}

func (w *watch) fireLocked(of *waiter) {
	if !of.fired {
		of.fired = true
		close(of.c)
	}
	delete(w.waiters, of)
}

func (w *watch) fireAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for of := range w.waiters {
		w.fireLocked(of)
	}
}

// changed fires whoever waits for what a seal, a trim or a delete took away.
func (w *watch) changed(s step) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for of := range w.waiters {
		if slices.ContainsFunc(of.at, func(p *place) bool {
			return p.PartitionID == s.Partition && (s.Do != log.Trim || p.offset < s.Offset)
		}) {
			w.fireLocked(of)
		}
	}
}

// next returns where to fetch: for each partition the lowest place.
func (w *watch) next() map[log.PartitionID]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := map[log.PartitionID]int64{}
	for of := range w.waiters {
		for _, p := range of.at {
			if n, ok := at[p.PartitionID]; !ok || p.next < n {
				at[p.PartitionID] = p.next
			}
		}
	}
	return at
}

// saw tells the waiters of batches of a partition.
func (w *watch) saw(id log.PartitionID, list []log.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for of := range w.waiters {
		for _, p := range of.at {
			for _, b := range list {
				end := b.Base + int64(b.Count)
				if p.PartitionID != id || end <= p.next {
					continue
				}
				p.next = end
				if isSeal(b.Bytes) {
					of.left = 0
				} else if end > p.offset {
					of.left -= int64(len(b.Bytes))
				}
			}
		}
		if of.left <= 0 {
			w.fireLocked(of)
		}
	}
}

// moved tells the waiters that a partition now begins at start and ends at end.
func (w *watch) moved(id log.PartitionID, start, end int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for of := range w.waiters {
		for _, p := range of.at {
			if p.PartitionID == id && p.offset < start {
				w.fireLocked(of)
			} else if p.PartitionID == id {
				p.next = min(p.next, end)
			}
		}
	}
}

// lost fires whoever waits for a partition.
func (w *watch) lost(id log.PartitionID) { w.changed(step{Do: log.Delete, Partition: id}) }

// tail fetches for the waiters for as long as there are any.
func (l *Log) tail(ctx context.Context) error {
	for {
		at := l.watch.next()
		if len(at) == 0 {
			select {
			case <-l.watch.added:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		byLeader := map[int32][]log.PartitionID{}
		for p := range at {
			lead, err := l.cluster.leader(ctx, l.topic(p))
			if err != nil && !unsettled(err) && ctx.Err() == nil {
				l.watch.lost(p)
			}
			if err == nil {
				byLeader[lead.node] = append(byLeader[lead.node], p)
			}
		}
		idle := len(byLeader) == 0
		for node, ps := range byLeader {
			if err := l.longFetch(ctx, node, ps, at, longFetch/len(byLeader)); err != nil {
				idle = true
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if idle {
			if err := sleep(ctx, l.opts.Clock, pause); err != nil {
				return nil
			}
		}
	}
}

// longFetch waits at one broker for batches of partitions.
func (l *Log) longFetch(ctx context.Context, node int32, ps []log.PartitionID, at map[log.PartitionID]int64, wait int) error {
	req := newFetch(watchMost, log.Uncommitted)
	req.MaxWaitMillis, req.MinBytes = int32(wait), 1
	names := map[string]log.PartitionID{}
	for _, p := range ps {
		names[l.topic(p)] = p
		req.Topics = append(req.Topics, fetchTopic(l.topic(p), at[p], fetchBytes))
	}
	answer, err := l.cluster.tails.Broker(int(node)).Request(ctx, req)
	resp, ok := answer.(*kmsg.FetchResponse)
	if err == nil && ok {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil || !ok {
		for name := range names {
			l.cluster.forget(name)
		}
		return errs.Wrap(errs.Internal, "long fetch", err)
	}
	for i := range resp.Topics {
		p, known := names[resp.Topics[i].Topic]
		for k := range resp.Topics[i].Partitions {
			if known {
				l.fetched(p, &resp.Topics[i].Partitions[k])
			}
		}
	}
	return nil
}

// fetched takes what a long fetch brought for one partition.
func (l *Log) fetched(p log.PartitionID, got *kmsg.FetchResponseTopicPartition) {
	err := kerr.ErrorForCode(got.ErrorCode)
	switch {
	case err == nil:
		l.watch.saw(p, batches(got, log.Uncommitted).List)
	case err == kerr.OffsetOutOfRange:
		st, err := l.part(p)
		if err != nil {
			l.watch.lost(p)
			return
		}
		if b, err := l.bounds(p, st); err == nil {
			l.watch.moved(p, b.Start, b.End)
		}
	case unsettled(err):
		l.cluster.forget(l.topic(p))
		if _, err := l.part(p); err != nil {
			l.watch.lost(p)
		}
	default:
		l.watch.lost(p)
	}
}
