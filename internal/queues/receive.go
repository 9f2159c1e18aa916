package queues

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/log"
	"thalweg/internal/streams"
)

// Receiving is what a receive asks for.
type Receiving struct {
	Scope catalog.Scope
	Queue string // its id
	// Dead asks for dead letters instead of the queue's other records.
	Dead bool
	// Limit is 1 to MaxReceive.
	Limit int
	// Wait is how long to wait for a record when there is none.
	Wait time.Duration
	// VisibilitySeconds is how long the records are hidden from others; less than 0
	// is the queue's own time.
	VisibilitySeconds int
	// Hold draws the memory for a record of so many bytes, and reports whether there
	// was so much; nil sets no bound.
	Hold func(bytes int) bool
}

// Record is one record received.
type Record struct {
	Receipt  string
	Sequence ids.Sequence
	// Key is nil for a record put without one.
	Key, Data []byte
	// Arrival and FirstReceived are in Unix milliseconds.
	Arrival, FirstReceived int64
	Count                  uint32
}

// Receive gives records that are visible, those before all that were received
// before, and hides them. It waits while there is none, for as long as was asked
// for, and then gives none. Errors: NotFound, also when the queue is deleted
// meanwhile; Throttled when as many records as may be are not acknowledged, and
// when there is no memory for more; Corrupt, those of the log and of the context.
func (s *Service) Receive(ctx context.Context, o Receiving) ([]Record, error) {
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	until := clock.Millis(s.clock) + o.Wait.Milliseconds()
	for {
		if _, err := s.streams.Queue(o.Scope, o.Queue); err != nil {
			return nil, err
		}
		t := take{Receiving: o, q: s.queue(o.Queue)}
		err := t.run()
		if len(t.out) > 0 {
			return t.out, s.commit(ctx)
		}
		if err != nil || t.now >= until {
			return nil, err
		}
		if err := s.wait(ctx, &t, until); err != nil {
			return nil, err
		}
	}
}

// wait waits for whatever may let the next take find something.
func (s *Service) wait(ctx context.Context, t *take, until int64) error {
	for _, pos := range t.open {
		cur, err := s.streams.Current(ctx, pos)
		switch {
		case errs.KindOf(err) == errs.NotFound && err != nil, err == nil && cur.Stream != t.stream:
			return nil // the stream has changed: look at it again
		case err != nil:
			return err
		}
	}
	var arrived <-chan struct{}
	if len(t.watch) > 0 {
		w := s.log.Watch(t.watch, 1)
		defer w.Stop()
		arrived = w.C
	}
	timer := s.clock.NewTimer(time.Duration(min(until, t.due)-t.now) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-arrived:
	case <-t.changed:
	case <-timer.C():
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// take is one look for records.
type take struct {
	Receiving
	q           *queue
	res, stream *catalog.Resource
	now         int64
	room        int // bytes of keys and data
	out         []Record
	given       []*record // those in out: no one comes twice, be it visible at once

	// Without a record: where there would be one, and when.
	open    []streams.Position
	watch   []log.Position
	due     int64
	changed <-chan struct{}
}

func (t *take) run() (err error) {
	q, s := t.q, t.q.svc
	q.mu.Lock()
	defer q.close()
	t.now = clock.Millis(s.clock)
	// Here, where nobody has come by with a later one: shards that are not in it are
	// taken to be gone.
	if t.res, t.stream, err = s.find(t.Scope, q.id); err != nil {
		return err
	}
	if q.gone {
		return notFound(t.res)
	}
	if t.VisibilitySeconds < 0 {
		t.VisibilitySeconds = t.res.Queue.VisibilitySeconds
	}
	t.room, t.due = streams.MaxGetBytes, never
	if err := t.upkeep(); err != nil {
		return err
	}
	if t.Dead {
		t.due = q.buryDue(t.res.Queue.MaxReceives, t.now)
	}
	err = t.again()
	if !t.Dead && len(t.out) < t.Limit && err == nil {
		err = t.fresh()
	}
	for _, r := range t.given {
		q.enqueue(r)
	}
	if w := *q.heapOf(t.Dead); len(w) > 0 {
		t.due = min(t.due, w[0].visible)
	}
	t.changed = q.changed
	return err
}

// upkeep follows the stream: shards that are new to the queue, those that are gone,
// and, from time to time, records past the retention.
func (t *take) upkeep() error {
	q, st := t.q, t.stream.Stream
	there := make(map[ids.Shard]bool, len(st.Shards))
	for i := range st.Shards {
		there[st.Shards[i].Number] = true
	}
	for number := range q.shards {
		if !there[number] {
			q.removeShard(number)
			q.note(event{kind: evShard, queue: q.id, shard: number})
		}
	}
	for number := range there {
		if sh := q.shard(number); !sh.known {
			for _, s := range t.res.Queue.Starts {
				if s.Shard == number {
					sh.next = max(sh.next, s.Offset)
				}
			}
			q.advance(number, sh, sh.next)
		}
	}
	if age := t.now - q.upkept; age >= 0 && age < upkeepEvery {
		return nil
	}
	q.upkept = t.now
	for i := range st.Shards {
		sh := q.shard(st.Shards[i].Number)
		if len(sh.records) == 0 {
			continue
		}
		from, err := q.svc.streams.Locate(t.stream, &st.Shards[i], streams.StartingAt{
			Type: streams.AtTimestamp, Time: q.svc.streams.Horizon(t.stream), HasTime: true})
		if err != nil {
			return err
		}
		for offset, r := range sh.records {
			if offset < from.Offset && !r.acking {
				q.discard(r)
			}
		}
	}
	return nil
}

// again takes records that were received before.
func (t *take) again() error {
	for len(t.out) < t.Limit {
		r := t.q.due(t.Dead, t.now)
		if r == nil {
			return nil
		}
		if !t.Dead && r.spent(t.res.Queue.MaxReceives) {
			t.q.bury(r)
			t.q.wake() // who waits for dead letters
			continue
		}
		page, err := t.q.svc.streams.Scan(t.position(r.shard, r.offset), 1, streams.MaxGetBytes)
		if err != nil {
			return err
		}
		there := page.Next() && page.Record().Offset == r.offset
		switch err := page.Err(); {
		case err != nil:
			page.Close()
			return err
		case !there:
			page.Close()
			t.q.discard(r) // past the retention
			continue
		}
		ok, err := t.fits(page.Record())
		if ok {
			t.give(r, page.Record())
		}
		page.Close()
		if !ok {
			return err
		}
	}
	return nil
}

// fresh takes records that were never received, from each shard in turn.
func (t *take) fresh() error {
	q, shards := t.q, t.stream.Stream.Shards
	first := q.turn
	q.turn++
	var failed error
	for i := range shards {
		sh := &shards[(first+i)%len(shards)]
		if known := q.shard(sh.Number); !known.over {
			full, err := t.read(sh, known)
			if err != nil && failed == nil {
				failed = err // other shards may be well
			}
			if full {
				break
			}
		}
	}
	return failed
}

// read takes records of one shard. full tells that there is no room for more.
func (t *take) read(sh *catalog.Shard, known *shard) (full bool, err error) {
	q := t.q
	page, err := q.svc.streams.Scan(t.position(sh.Number, known.next), t.Limit-len(t.out), t.room)
	if err != nil {
		return false, err
	}
	defer page.Close()
	for len(t.out) < t.Limit {
		if q.live >= q.svc.most {
			return true, t.throttled(fmt.Sprintf("Queue %s has %d records in flight. Limit: %d.", t.res.Queue.Name, q.live, q.svc.most))
		}
		if !page.Next() {
			break
		}
		rec := page.Record()
		if ok, err := t.fits(rec); !ok {
			return true, err
		}
		if !q.svc.memory.TryAcquire(recordBytes) {
			return true, t.throttled("The server has no memory for more records in flight.")
		}
		r := q.add(sh.Number, rec.Offset)
		q.advance(sh.Number, known, rec.Offset+1)
		t.give(r, rec)
	}
	if err := page.Err(); err != nil {
		return false, err
	}
	if len(t.out) >= t.Limit {
		return true, nil
	}
	pos := page.Position()
	q.advance(sh.Number, known, pos.Offset) // past what readers are not shown
	if known.over = page.Ended(); !known.over {
		t.open = append(t.open, pos)
		t.watch = append(t.watch, log.Position{Partition: t.stream.Stream.PartitionOf(sh.Number), Offset: page.Tip()})
	}
	return false, nil
}

// throttled is the error for a record that must not be received now, nil when
// there are others to answer with.
func (t *take) throttled(msg string) error {
	if len(t.out) > 0 {
		return nil
	}
	return errs.New(errs.Throttled, msg)
}

// fits reports whether the answer has room for a record. The first always fits
// when there is memory.
func (t *take) fits(rec *streams.Record) (bool, error) {
	size := len(rec.Key) + len(rec.Data)
	if len(t.out) > 0 && size > t.room {
		return false, nil
	}
	if t.Hold != nil && !t.Hold(size) {
		return false, t.throttled("The server has no memory for the answer.")
	}
	t.room = max(0, t.room-size)
	return true, nil
}

// give hides a record and adds it to the answer.
func (t *take) give(r *record, rec *streams.Record) {
	st := r.state
	st.count, st.turn = st.count+1, st.turn+1
	st.visible = t.now + int64(t.VisibilitySeconds)*1000
	if st.first == 0 {
		st.first = t.now
	}
	t.q.unqueue(r)
	r.state = st
	t.given = append(t.given, r)
	t.q.save(r)
	out := Record{
		Receipt: t.q.svc.receipt(t.Scope, t.q.id, r), Sequence: rec.Sequence, Data: bytes.Clone(rec.Data), Key: bytes.Clone(rec.Key),
		Arrival: rec.Arrival, FirstReceived: st.first, Count: st.count,
	}
	t.out = append(t.out, out)
}

func (t *take) position(number ids.Shard, offset int64) streams.Position {
	return streams.Position{Stream: t.stream, Shard: number, Generation: t.stream.Stream.Generation, Offset: offset}
}

// receipt seals what names one receiving of a record (docs/formats/tokens.md).
func (s *Service) receipt(scope catalog.Scope, id string, r *record) string {
	b := append([]byte{byte(len(id))}, id...)
	b = binary.BigEndian.AppendUint32(b, uint32(r.shard))
	b = binary.BigEndian.AppendUint64(b, uint64(r.offset))
	return s.streams.SealReceipt(scope, binary.BigEndian.AppendUint32(b, r.turn))
}
