package disk

import (
	"sync"

	"thalweg/internal/log"
)

// pending is one append on its way.
type pending struct {
	req     log.Request
	done    func([]log.Result)
	results []log.Result // preset errors are final
	one     [1]log.Result
	held    int64 // bytes of the budget
	need    int   // frame bytes if all is accepted
	refused bool  // every result is set
}

// queue is what the writer takes its work from.
type queue struct {
	mu      sync.Mutex
	wake    sync.Cond
	reqs    []*pending
	tasks   []func() // of maintenance, run between rounds
	blocked bool     // requests wait for a checkpoint
	closed  bool     // nothing more is queued
	busy    bool     // manual mode: somebody is in the writer's role
	waiting bool     // the writer sleeps
}

func (q *queue) init() { q.wake.L = &q.mu }

// push queues p, or reports that the queue is closed.
func (q *queue) push(p *pending) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.reqs = append(q.reqs, p)
	if q.waiting {
		q.wake.Signal()
	}
	return true
}

// pushTask queues fn to run between two rounds.
func (q *queue) pushTask(fn func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.tasks = append(q.tasks, fn)
	q.wake.Signal()
	return true
}

// block makes requests wait, or lets them go on.
func (q *queue) block(on bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.blocked = on && !q.closed
	q.wake.Signal()
}

// close lets the writer finish what is queued, and then stop.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.blocked = false
	q.wake.Signal()
}

// take returns work, and waits for some if wait is set. old is the last non-empty
// reqs that it returned; its memory is used again. more is false when the queue
// is closed and empty, or when there is nothing and wait is not set.
func (q *queue) take(old []*pending, wait bool) (reqs []*pending, tasks []func(), more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.tasks) == 0 && (len(q.reqs) == 0 || q.blocked) {
		if q.closed || !wait {
			return nil, nil, false
		}
		q.waiting = true
		q.wake.Wait()
		q.waiting = false
	}
	tasks, q.tasks = q.tasks, nil
	if !q.blocked && len(q.reqs) > 0 {
		reqs = q.reqs
		clear(old)
		q.reqs = old[:0]
	}
	return reqs, tasks, true
}
