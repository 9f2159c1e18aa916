package streams

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"thalweg/internal/log"
)

// Subscriptions to one shard that keep up read the same records at the same time.
// The first of them to come to a place makes the event that begins there, in its
// format; the others send the same bytes. Who is elsewhere, a slow reader or a new
// one, makes its own and waits for nobody.

const (
	// sharedEvents is how many events a channel keeps at most, and sharedLife for how
	// long: enough for those who were a moment slower. All channels together keep as
	// much as half of the fan-out's share of memory.
	sharedEvents = 64
	sharedLife   = time.Second
)

// event is one encoded event. Who holds it drops it; the last one gives its memory
// back. But for holders all is set before ready is closed.
type event struct {
	from, next int64 // the offsets where it begins and where the next one does
	began      int64 // when it was begun, Unix ms
	told       int64 // the time in its continuation, Unix ms
	records    int
	size       int     // keys and data, bytes
	over       bool    // it is the shard's last
	buf        *[]byte // from a pool; nil when it was given up
	held       holding // what buf holds beyond a small event
	kept       int64   // bytes, while a channel keeps it; guarded by channel.mu
	holders    atomic.Int32
	ready      chan struct{} // nil when it is not shared
}

// newEvent returns an event that is not shared, held once.
func newEvent(from, now int64) *event {
	e := &event{from: from, began: now}
	e.holders.Store(1)
	return e
}

// drop ends one hold on e, which may be nil.
func (f *fanout) drop(e *event) {
	if e == nil || e.holders.Add(-1) > 0 {
		return
	}
	if e.buf != nil {
		f.recycle(e.buf)
	}
	f.release(e.held)
}

// channel is the subscriptions to a shard in one format, and the latest events
// made for them.
type channel struct {
	key  channelKey
	subs int // guarded by fanout.mu

	mu     sync.Mutex
	limit  int      // guarded by mu: events to keep, none while there is one subscription
	events []*event // guarded by mu; oldest first
}

type channelKey struct {
	partition log.PartitionID
	format    string
}

// join returns the channel of a shard and format for one more subscription.
func (f *fanout) join(key channelKey) *channel {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := f.channels[key]
	if ch == nil {
		ch = &channel{key: key}
		f.channels[key] = ch
	}
	ch.subs++
	f.resize(ch)
	return ch
}

// part takes a subscription off its channel.
func (f *fanout) part(ch *channel) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ch.subs--; ch.subs == 0 {
		delete(f.channels, ch.key)
	}
	f.resize(ch)
}

// resize has ch keep events while there are two to share them; f.mu is held.
func (f *fanout) resize(ch *channel) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.limit = sharedEvents; ch.subs < 2 {
		ch.limit = 0
	}
	f.trim(ch, ch.limit, 0)
}

// trim drops events until there are n at most, and those begun before since; ch.mu
// is held.
func (f *fanout) trim(ch *channel, n int, since int64) {
	i := max(0, len(ch.events)-n)
	for i < len(ch.events) && ch.events[i].began < since {
		i++
	}
	for _, e := range ch.events[:i] {
		f.unkeep(e)
	}
	ch.events = slices.Delete(ch.events, 0, i)
}

// unkeep drops an event that a channel kept.
func (f *fanout) unkeep(e *event) {
	f.kept.Add(-e.kept)
	f.drop(e)
}

// tidy drops what is too old to be of use to anybody who keeps up.
func (f *fanout) tidy(ch *channel, now int64) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	f.trim(ch, sharedEvents, now-sharedLife.Milliseconds())
}

// claim returns the event that begins at from, held. If mine is true it is the
// caller's to make, and to settle; else its ready is to be waited for.
func (f *fanout) claim(ch *channel, from, now int64) (e *event, mine bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	f.trim(ch, ch.limit, now-sharedLife.Milliseconds())
	for _, e := range ch.events {
		if e.from == from {
			e.holders.Add(1)
			return e, false
		}
	}
	most := f.share.Max() / 2
	if e = newEvent(from, now); ch.limit > 0 && (most == 0 || f.kept.Load() < most) {
		f.trim(ch, ch.limit-1, 0)
		e.ready = make(chan struct{})
		e.holders.Add(1)
		ch.events = append(ch.events, e)
	}
	return e, true
}

// settle tells those who wait for e that it is made, or given up: then it is not
// found any more. Nor is one that has no memory of its own. It does nothing for one
// that is not shared.
func (f *fanout) settle(ch *channel, e *event) {
	if e.ready == nil {
		return
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if i := slices.Index(ch.events, e); i >= 0 {
		if e.buf == nil || e.held.bytes == 0 {
			ch.events = slices.Delete(ch.events, i, i+1)
			f.drop(e)
		} else {
			e.kept = e.held.bytes
			f.kept.Add(e.kept)
		}
	}
	close(e.ready)
}
