package kafkalog

import (
	"context"
	"sync"

	"thalweg/internal/log"
)

// queue holds the appends that wait for the writer, in order and within a bound.
type queue struct {
	most    int
	wake    chan struct{}
	drained chan struct{} // closed when the writer has answered everything

	mu     sync.Mutex
	items  []item // guarded by mu
	bytes  int    // guarded by mu
	closed bool   // guarded by mu
}

type item struct {
	req   log.Request
	done  func([]log.Result)
	bytes int
	err   error // the request was refused as it came
}

func newQueue(most int) *queue {
	return &queue{most: most, wake: make(chan struct{}, 1), drained: make(chan struct{})}
}

// put queues an append and reports whether there is still a writer to answer it.
func (q *queue) put(it item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if q.bytes+it.bytes > q.most {
		it = item{done: it.done, req: it.req, err: log.ErrOverloaded}
		it.req.Entries = make([]log.Entry, len(it.req.Entries)) // its batches are not kept
	}
	q.bytes += it.bytes
	q.items = append(q.items, it)
	q.signal()
	return true
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

// take returns what waits, and whether more may come.
func (q *queue) take() (items []item, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	items, q.items = q.items, nil
	return items, !q.closed
}

func (q *queue) free(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= n
}

// entryCost is what an entry weighs in the queue beside its batch.
const entryCost = 128

// Append queues req for the writer.
func (l *Log) Append(req log.Request, done func([]log.Result)) {
	size := 0
	for i := range req.Entries {
		size += entryCost + len(req.Entries[i].Batch)
	}
	if !l.queue.put(item{req: req, done: done, bytes: size}) {
		done(refuse(req, log.ErrClosed))
	}
}

func refuse(req log.Request, err error) []log.Result {
	rs := make([]log.Result, len(req.Entries))
	for i := range rs {
		rs[i].Err = err
	}
	return rs
}

// write is the writer: one request after the other, until the queue is closed.
func (l *Log) write(context.Context) error {
	defer close(l.queue.drained)
	for {
		<-l.queue.wake
		items, more := l.queue.take()
		for _, it := range items {
			rs := refuse(it.req, it.err)
			if it.err == nil {
				rs = l.serve(it.req)
			}
			l.queue.free(it.bytes)
			it.done(rs)
		}
		if !more {
			return nil
		}
	}
}
