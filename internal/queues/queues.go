// Package queues is the domain of the queues of Kinesis Data Streams: many
// consumers that share a stream's records, each of which goes to one of them at a
// time until it is acknowledged.
//
// Records stay where they are, in the stream. A queue keeps, for each shard, the
// offset below which everything has been received once, and the records below it
// that are not acknowledged yet: who received them, until when they are hidden,
// how often. What is below and not among them is done. So a queue takes memory for
// its unacknowledged records alone: [MaxInFlight] of them and its dead letters,
// drawn on the budget.
//
// All of that is a log of events (package meta; event.go), from which memory is
// derived at a start. A receive is durable before its records are given out, so
// that a receipt holds, and a record stays hidden, across a crash; an
// acknowledgement is durable before it is answered. Calls that come meanwhile share
// one commit.
//
// Which record is a dead letter is decided when its time of being hidden is over
// and somebody asks. Nothing runs beside the calls, and nobody asks at intervals:
// who waits is woken by the log, by the clock, and by calls that make a record
// visible.
//
// A Service is safe for concurrent use.
package queues

import (
	"context"
	"maps"
	"slices"
	"sync"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/meta"
	"thalweg/internal/streams"
)

const (
	// MaxInFlight is how many records of a queue may be received and not
	// acknowledged (docs.aws.amazon.com/streams/latest/dev/queues-quotas.html).
	MaxInFlight = 120_000
	// MaxReceive is how many records one receive gives (API_ReceiveQueueRecords).
	MaxReceive = 10
	// recordBytes is about what an unacknowledged record takes in memory.
	recordBytes = 256
	// upkeepEvery is how often, in milliseconds, a queue that is used looks for
	// records past the stream's retention.
	upkeepEvery = 60_000
	// never is a time that does not come, in Unix milliseconds.
	never = 1 << 62
)

// Options configure a Service. Streams, Log and Clock are needed.
type Options struct {
	Streams *streams.Service
	Log     log.Log
	// Partition is where the events are kept.
	Partition log.PartitionID
	Clock     clock.Clock
	// Memory is what unacknowledged records draw on; nil sets no bound.
	Memory *limits.Budget
	// InFlight is how many records of a queue may be received and not acknowledged;
	// 0 is MaxInFlight.
	InFlight int
}

// Service is the queues of one log.
type Service struct {
	streams *streams.Service
	log     log.Log
	clock   clock.Clock
	memory  *limits.Budget
	most    int // records in flight of one queue
	store   *meta.Store

	mu     sync.Mutex
	queues map[string]*queue // by id; guarded by mu

	writes writes
}

// Open reads the queues' events. Errors: see [meta.Open].
func Open(ctx context.Context, o Options) (*Service, error) {
	s := &Service{streams: o.Streams, log: o.Log, clock: o.Clock, memory: o.Memory, most: o.InFlight}
	if s.most == 0 {
		s.most = MaxInFlight
	}
	store, err := meta.Open(ctx, meta.Options{Log: o.Log, Partition: o.Partition, Clock: o.Clock, Machine: (*machine)(s)})
	if err != nil {
		return nil, err
	}
	s.store = store
	alive := s.alive()
	for _, id := range slices.Collect(maps.Keys(s.queues)) {
		if !alive[id] { // deleted a moment before the crash
			s.drop(id)
		}
	}
	return s, nil
}

// alive are the ids of all queues that there are.
func (s *Service) alive() map[string]bool {
	out := map[string]bool{}
	for _, r := range s.streams.AllQueues() {
		out[r.Name] = true
	}
	return out
}

// Delete removes a queue and all it knows. Who waits for its records is told.
// Errors: NotFound, those of the log.
func (s *Service) Delete(ctx context.Context, scope catalog.Scope, id string) error {
	if err := s.streams.DeleteQueue(ctx, scope, id); err != nil {
		return err
	}
	s.drop(id)
	return nil
}

// drop forgets a queue. Its event goes with the next commit: until then the
// catalog tells that it is gone.
func (s *Service) drop(id string) {
	q := s.queue(id)
	q.mu.Lock()
	defer q.close()
	q.forget()
	q.gone = true
	q.wake()
	q.note(event{kind: evGone, queue: id})
	s.mu.Lock()
	delete(s.queues, id)
	s.mu.Unlock()
}

// queue returns what is known of the queue of that id.
func (s *Service) queue(id string) *queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[id]
	if q == nil {
		q = &queue{svc: s, id: id, shards: map[ids.Shard]*shard{}, changed: make(chan struct{})}
		s.queues[id] = q
	}
	return q
}

// find returns a queue that the catalog knows, with its stream. Errors: NotFound.
func (s *Service) find(scope catalog.Scope, id string) (res, stream *catalog.Resource, err error) {
	if res, err = s.streams.Queue(scope, id); err != nil {
		return nil, nil, err
	}
	stream, err = s.streams.QueueStream(res)
	return res, stream, err
}

func notFound(r *catalog.Resource) error {
	return errs.New(errs.NotFound, "Queue "+r.Name+" under account "+r.Account+" not found.")
}
