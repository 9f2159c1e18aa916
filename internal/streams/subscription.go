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
	// smallRoom and largeRoom bound keys and data in one event but for its first
	// record, bytes: when there is no more to tell or no memory to spare, and when
	// there is. smallEvent and largeEvent are what such an event takes once encoded.
	smallRoom, smallEvent = 8 << 10, 16 << 10
	largeRoom, largeEvent = 256 << 10, 384 << 10
	// recordOverhead is about what a record takes in an event beside its key and
	// data, eventOverhead what an event takes beside its records.
	recordOverhead, eventOverhead = 256, 1 << 10
	// overloadPause is how long a subscription waits when the log has no memory for
	// a read.
	overloadPause = 100 * time.Millisecond
)

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

	timer clock.Timer
	buf   *[]byte // of the last event, from a pool
	held  holding // what buf holds beyond a small event
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
	page, err := s.svc.get(pos, MaxGetRecords, smallRoom, recordOverhead, largeRoom)
	if err != nil {
		return nil, err
	}
	more := page.Next()
	if err = page.Err(); err != nil {
		page.Close()
		return nil, err
	}
	if more || page.Ended() || now >= s.due {
		need := s.afford(page, enc, more)
		if need == 0 {
			event := s.encode(page, enc, more, now)
			page.Close()
			return event, nil
		}
		page.Close() // before waiting: others may need what it pins
		s.held, err = s.svc.fan.wait(s.ctx, need)
		return nil, err
	}
	s.pos = page.Position()
	next := log.Position{Partition: page.partition, Offset: max(s.pos.Offset, page.end)}
	page.Close()
	s.free()
	w := s.svc.log.Watch([]log.Position{next}, 1)
	defer w.Stop()
	until := min(s.due, s.began+SubscriptionLife.Milliseconds())
	s.wait(w.C, time.Duration(until-now)*time.Millisecond)
	return nil, nil
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
	if need <= smallEvent && page.ahead() <= smallRoom {
		return 0
	}
	if held, ok := s.svc.fan.try(max(need, largeEvent)); ok {
		s.held = held
		page.room = max(0, largeRoom-len(first.Key)-len(first.Data)-recordOverhead)
		return 0
	}
	if need <= smallEvent {
		return 0
	}
	return need
}

// encode makes the event of what is on the page and moves on to its end.
func (s *Subscription) encode(page *Page, enc Encoding, more bool, now int64) []byte {
	s.buf = s.svc.fan.buffer(s.held.bytes)
	b, n := enc.Begin((*s.buf)[:0]), 0
	for ; more; more = page.Next() {
		b = enc.Record(b, page.Record(), n)
		n++
	}
	s.pos = page.Position()
	s.due = now + Heartbeat.Milliseconds()
	tail := EventEnd{MillisBehindLatest: page.MillisBehindLatest()}
	if s.over = page.Ended(); s.over {
		tail.Children = Children(s.pos.Stream, s.pos.Shard)
	} else {
		// Time moves the number on while there are no records; the offset in it stays,
		// so that AFTER_SEQUENCE_NUMBER goes on exactly here.
		s.told = max(s.told, s.svc.now(s.pos.Stream))
		tail.Continuation = sequence(s.pos.Shard, page.created, s.pos.Offset-1, s.told).String()
	}
	*s.buf = enc.End(b, n, &tail)
	return *s.buf
}

// wait waits for c, for d, and for the end of the subscription; nil waits for the
// other two.
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
}

// free gives the last event back.
func (s *Subscription) free() {
	if s.buf != nil {
		s.svc.fan.recycle(s.buf)
		s.buf = nil
	}
	s.svc.fan.release(s.held)
	s.held = holding{}
}

// Close ends the subscription and gives all that it holds back.
func (s *Subscription) Close() {
	s.end(nil)
	if s.timer != nil {
		s.timer.Stop()
	}
	s.free()
	s.svc.fan.release(s.idle)
	s.svc.fan.leave(s, clock.Millis(s.svc.clock))
}
