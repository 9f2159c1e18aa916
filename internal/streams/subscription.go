package streams

import (
	"context"
	"io"
	"strconv"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/log"
)

const (
	// subscriptionBytes is about what an idle subscription takes in memory beside its
	// connection, and what a small event takes.
	subscriptionBytes = 32 << 10
	// smallEvent, mediumEvent and largeEvent are the sizes of buffers for events. A
	// small one is paid for; the others are for when there is more to tell, and
	// memory to spare.
	smallEvent, mediumEvent, largeEvent = 16 << 10, 64 << 10, 384 << 10
	// recordOverhead is about what a record takes in an event beside its key and
	// data, eventOverhead what an event takes beside its records.
	recordOverhead, eventOverhead = 256, 1 << 10
	// overloadPause is how long a subscription waits when the log has no memory for
	// a read.
	overloadPause = 100 * time.Millisecond
)

// roomOf is how much of keys, data and overhead fits into a buffer, once encoded.
func roomOf(size int64) int { return int(size-eventOverhead) * 2 / 3 }

// Subscription is one consumer's reading of one shard: events from a place on,
// each as soon as there is something to tell, for SubscriptionLife. It is for one
// goroutine, which closes it.
//
// It waits for the log, and asks nobody at intervals. What it holds while its
// client takes an event is the event alone.
type Subscription struct {
	svc    *Service
	key    subscriber
	ctx    context.Context
	end    context.CancelCauseFunc // the cause is what Next returns
	closed bool                    // guarded by fanout.mu
	idle   holding                 // from beginning to end

	pos   Position // of the next record
	began int64    // Unix ms
	due   int64    // when an event is sent even if there is nothing to tell, Unix ms
	told  int64    // the latest time in a continuation, Unix ms
	over  bool     // the shard has ended, and that was told

	timer   clock.Timer
	channel *channel      // nil before the first event
	event   *event        // the last one
	held    holding       // what was waited for, for the next one
	rest    time.Duration // how long the next one has to wait for the sake of the rate
}

// Encoding writes events in the format of a client.
type Encoding interface {
	// Begin appends what stands before an event's records.
	Begin(dst []byte) []byte
	// Record appends a record, the n-th from 0 on.
	Record(dst []byte, r *Record, n int) []byte
	// End appends what stands after n records.
	End(dst []byte, n int, e *EventEnd) []byte
	// Size bounds what Record appends.
	Size(r *Record) int
	// Format names the encoding: those of one name write the same bytes.
	Format() string
}

// EventEnd is what an event tells beside its records.
type EventEnd struct {
	// Continuation is the sequence number to go on after; "" at the shard's end.
	Continuation       string
	MillisBehindLatest int64
	// Children are set at the end of a closed shard, and only then.
	Children []*catalog.Shard
}

// young reports whether s began less than SubscriptionPause before now.
func (s *Subscription) young(now int64) bool {
	age := now - s.began
	return age >= 0 && age < SubscriptionPause.Milliseconds()
}

func secondText(c *catalog.Resource) string { return strconv.FormatInt(c.Created/1000, 10) }

// Stream is the subscription's stream, as it was when it was last looked at.
func (s *Subscription) Stream() *catalog.Resource { return s.pos.Stream }

// Next waits until there is something to tell and returns it as one event, valid
// until the next call. There is always something at first and after Heartbeat.
// io.EOF is the end of the subscription's time, of the shard or of the server.
// Other errors: InUse when another has taken over, NotFound when stream or
// consumer are gone, Corrupt, those of the log and of the context.
func (s *Subscription) Next(enc Encoding) ([]byte, error) {
	s.free()
	if s.channel == nil {
		s.channel = s.svc.fan.join(channelKey{s.pos.Stream.Stream.PartitionOf(s.pos.Shard), enc.Format()})
	}
	if s.rest > 0 {
		s.wait(nil, s.rest)
		s.rest = 0
	}
	for {
		now := clock.Millis(s.svc.clock)
		switch {
		case s.ctx.Err() != nil:
			return nil, context.Cause(s.ctx)
		case s.over, now-s.began >= SubscriptionLife.Milliseconds():
			return nil, io.EOF
		}
		event, err := s.step(enc, now)
		if event != nil {
			return event, nil
		}
		if errs.KindOf(err) == errs.Throttled {
			s.wait(nil, overloadPause)
			err = nil
		}
		if err != nil && s.ctx.Err() == nil {
			return nil, err
		}
	}
}

// step returns the event to send now. Without one it has waited for what may
// change that.
func (s *Subscription) step(enc Encoding, now int64) ([]byte, error) {
	pos, err := s.svc.Current(s.ctx, s.pos)
	if err != nil {
		return nil, err
	}
	page, err := s.svc.get(pos, MaxGetRecords, roomOf(smallEvent), recordOverhead, roomOf(largeEvent))
	if err != nil {
		return nil, err
	}
	more := page.Next()
	if err = page.Err(); err != nil {
		page.Close()
		return nil, err
	}
	if more || page.Ended() || now >= s.due {
		return s.tell(page, enc, pos, more, now)
	}
	s.pos = page.Position()
	next := log.Position{Partition: page.partition, Offset: max(s.pos.Offset, page.end)}
	page.Close()
	s.free()
	s.svc.fan.tidy(s.channel, now)
	w := s.svc.log.Watch([]log.Position{next}, 1)
	defer w.Stop()
	until := min(s.due, s.began+SubscriptionLife.Milliseconds())
	s.wait(w.C, time.Duration(until-now)*time.Millisecond)
	return nil, nil
}

// tell returns the event of a page that begins at pos, and closes the page. more
// tells whether there is a record on it. Without an event it has waited for what
// was missing.
func (s *Subscription) tell(page *Page, enc Encoding, pos Position, more bool, now int64) (event []byte, err error) {
	e, mine := newEvent(pos.Offset, now), true
	if more {
		e, mine = s.svc.fan.claim(s.channel, pos.Offset, now)
	}
	s.event = e
	if mine {
		if need := s.make(e, page, enc, more, now); need > 0 {
			s.free()
			s.held, err = s.svc.fan.wait(s.ctx, need)
			return nil, err
		}
	} else {
		page.Close()
		<-e.ready // it is being made, which waits for nobody
		if e.buf == nil {
			s.free()
			return nil, nil
		}
	}
	pos.Offset = e.next
	s.pos, s.over, s.told, s.due = pos, e.over, max(s.told, e.told), now+Heartbeat.Milliseconds()
	if e.records > 0 {
		s.svc.meters.of(pos.Stream.Stream.Number, pos.Shard).out(e.records, int64(e.size))
	}
	if e.size > 0 {
		s.rest = s.svc.pacePush(pos.Stream, s.key, e.size)
	}
	return *e.buf, nil
}

// make makes e of a page and closes the page. What it returns, if anything, must
// be waited for first, and e is given up.
func (s *Subscription) make(e *event, page *Page, enc Encoding, more bool, now int64) (need int64) {
	defer page.Close() // before anybody waits: others may need what it pins
	defer s.svc.fan.settle(s.channel, e)
	if need = s.afford(page, enc, more); need > 0 {
		return need
	}
	if e.ready != nil && s.held.bytes == 0 { // others may hold it for longer
		s.held, _ = s.svc.fan.try(smallEvent)
	}
	e.held, s.held = s.held, holding{}
	buf := s.svc.fan.buffer(max(e.held.bytes, smallEvent))
	b, n := enc.Begin((*buf)[:0]), 0
	for ; more; more = page.Next() {
		r := page.Record()
		b = enc.Record(b, r, n)
		e.size += len(r.Key) + len(r.Data)
		n++
	}
	pos := page.Position()
	tail := EventEnd{MillisBehindLatest: page.MillisBehindLatest()}
	if e.over = page.Ended(); e.over {
		tail.Children = Children(pos.Stream, pos.Shard)
	} else {
		// Time moves the number on while there are no records; the offset in it stays,
		// so that AFTER_SEQUENCE_NUMBER goes on exactly here.
		e.told = max(s.told, s.svc.now(pos.Stream))
		tail.Continuation = sequence(pos.Shard, page.created, pos.Offset-1, e.told).String()
	}
	*buf = enc.End(b, n, &tail)
	e.records, e.next, e.buf = n, pos.Offset, buf
	return 0
}

// afford sees to memory for an event that begins with the page's record, if there
// is one, and widens the page when there is memory for more. What it returns, if
// anything, must be waited for.
func (s *Subscription) afford(page *Page, enc Encoding, more bool) (need int64) {
	if !more || s.held.bytes > 0 {
		return 0
	}
	first := page.Record()
	need = int64(enc.Size(first)) + eventOverhead
	size := max(need, largeEvent)
	for _, fits := range []int64{smallEvent, mediumEvent} {
		if need <= fits && page.ahead() <= roomOf(fits) {
			size = fits
			break
		}
	}
	if size > smallEvent {
		if held, ok := s.svc.fan.try(size); ok {
			s.held = held
			page.room = max(0, roomOf(size)-len(first.Key)-len(first.Data)-recordOverhead)
			return 0
		}
	}
	if need <= smallEvent {
		return 0
	}
	return need
}

// wait waits for c, for d, and for the end of the subscription; nil waits for the
// other two. Its timer is armed only meanwhile.
func (s *Subscription) wait(c <-chan struct{}, d time.Duration) {
	if s.timer == nil {
		s.timer = s.svc.clock.NewTimer(d)
	} else {
		s.timer.Reset(d)
	}
	select {
	case <-c:
	case <-s.timer.C():
	case <-s.ctx.Done():
	}
	s.timer.Stop()
}

// free gives the last event back, and what was held for the next one.
func (s *Subscription) free() {
	s.svc.fan.drop(s.event)
	s.svc.fan.release(s.held)
	s.event, s.held = nil, holding{}
}

// Close ends the subscription and gives all that it holds back.
func (s *Subscription) Close() {
	s.end(nil)
	s.free()
	s.svc.fan.release(s.idle)
	if s.channel != nil {
		s.svc.fan.part(s.channel)
	}
	s.svc.fan.leave(s, clock.Millis(s.svc.clock))
}
