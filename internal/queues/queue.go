package queues

import (
	"container/heap"
	"sync"

	"thalweg/internal/ids"
)

// queue is one queue in memory.
type queue struct {
	svc *Service
	id  string

	mu      sync.Mutex // guards what follows, and its shards and records
	shards  map[ids.Shard]*shard
	live    int        // records that are no dead letters
	hidden  [2]waiting // received ones by when they are visible: live, dead
	turn    int        // which shard is looked at first
	upkept  int64      // when upkeep was done, Unix ms
	gone    bool       // the queue has been deleted
	changed chan struct{}
	notes   []event // of the look under way, which close owes
}

// shard is what a queue knows of one shard.
type shard struct {
	next    int64 // everything below has been received once
	known   bool  // next is in the log: else it is the queue's start
	over    bool  // the shard is closed, and next is its end
	records map[int64]*record
}

// record is one that has been received and not been acknowledged.
type record struct {
	state
	shard  ids.Shard
	offset int64
	acking bool // an acknowledgement is on its way to the disk
	at     int  // in the heap; -1 is not in it
}

// waiting is a heap of records by when they are visible.
type waiting []*record

func (w waiting) Len() int           { return len(w) }
func (w waiting) Less(i, j int) bool { return w[i].visible < w[j].visible }
func (w waiting) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].at, w[j].at = i, j
}
func (w *waiting) Push(x any) {
	r := x.(*record)
	r.at = len(*w)
	*w = append(*w, r)
}
func (w *waiting) Pop() any {
	old := *w
	r := old[len(old)-1]
	old[len(old)-1] = nil
	*w = old[:len(old)-1]
	r.at = -1
	return r
}

// heapOf is where a record waits.
func (q *queue) heapOf(dead bool) *waiting {
	if dead {
		return &q.hidden[1]
	}
	return &q.hidden[0]
}

func (q *queue) shard(number ids.Shard) *shard {
	sh := q.shards[number]
	if sh == nil {
		sh = &shard{records: map[int64]*record{}}
		q.shards[number] = sh
	}
	return sh
}

// add makes a record, for which the caller has drawn recordBytes. It waits
// nowhere before set.
func (q *queue) add(number ids.Shard, offset int64) *record {
	r := &record{shard: number, offset: offset, at: -1}
	q.shard(number).records[offset] = r
	q.live++
	return r
}

// set gives a record its state and place.
func (q *queue) set(r *record, st state) {
	q.unqueue(r)
	if st.dead != r.dead {
		if st.dead {
			q.live--
		} else {
			q.live++
		}
	}
	r.state = st
	q.enqueue(r)
}

func (q *queue) enqueue(r *record) {
	if r.at < 0 && !r.acking {
		heap.Push(q.heapOf(r.dead), r)
	}
}

func (q *queue) unqueue(r *record) {
	if r.at >= 0 {
		heap.Remove(q.heapOf(r.dead), r.at)
	}
}

func (q *queue) remove(r *record) {
	q.unqueue(r)
	if !r.dead {
		q.live--
	}
	delete(q.shards[r.shard].records, r.offset)
	q.svc.memory.Release(recordBytes)
}

func (q *queue) removeShard(number ids.Shard) {
	sh := q.shards[number]
	if sh == nil {
		return
	}
	for _, r := range sh.records {
		q.remove(r)
	}
	delete(q.shards, number)
}

// forget removes everything.
func (q *queue) forget() {
	for number := range q.shards {
		q.removeShard(number)
	}
}

// wake tells those who wait that something may be visible now.
func (q *queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// due returns the record of the heap that can be received, nil if none can.
func (q *queue) due(dead bool, now int64) *record {
	if w := *q.heapOf(dead); len(w) > 0 && w[0].visible <= now {
		return w[0]
	}
	return nil
}

// spent reports whether a record that is visible again becomes a dead letter.
func (r *record) spent(max int) bool { return max > 0 && r.count >= uint32(max) }

// bury makes a dead letter of a record.
func (q *queue) bury(r *record) {
	st := r.state
	st.dead, st.turn = true, st.turn+1
	q.set(r, st)
	q.save(r)
}

// buryDue buries what is due, and returns when there will be more.
func (q *queue) buryDue(max int, now int64) (next int64) {
	next = never
	var due []*record
	for _, r := range q.hidden[0] {
		switch {
		case !r.spent(max):
		case r.visible <= now:
			due = append(due, r)
		default:
			next = min(next, r.visible)
		}
	}
	for _, r := range due {
		q.bury(r)
	}
	return next
}
