package streams

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/ids"
	"thalweg/internal/limits"
)

// fanout is the subscriptions of a service. It draws what they hold on the
// service's budget, up to a quarter of it, so that readers who stand still
// cannot take the memory of those who write.
type fanout struct {
	share  *limits.Budget // a quarter of memory
	memory *limits.Budget
	small  sync.Pool    // *[]byte of smallEvent
	medium sync.Pool    // *[]byte of mediumEvent
	large  sync.Pool    // *[]byte of largeEvent
	kept   atomic.Int64 // bytes that channels' events hold

	mu       sync.Mutex
	channels map[channelKey]*channel      // guarded by mu
	closed   bool                         // guarded by mu
	by       map[subscriber]*Subscription // guarded by mu; ended ones for SubscriptionPause after they began
	recent   []*Subscription              // guarded by mu; by rising began, those younger than SubscriptionPause
}

// subscriber is what can have one subscription at a time.
type subscriber struct {
	consumer string // ARN
	shard    ids.Shard
}

func newFanout(memory *limits.Budget) *fanout {
	f := &fanout{share: limits.NewBudget(memory.Max() / 4), memory: memory, channels: map[channelKey]*channel{}, by: map[subscriber]*Subscription{}}
	f.small.New = func() any { return newBuffer(smallEvent) }
	f.medium.New = func() any { return newBuffer(mediumEvent) }
	f.large.New = func() any { return newBuffer(largeEvent) }
	return f
}

// holding is memory that is held; the zero holding is none.
type holding struct{ bytes, share int64 }

// try draws n bytes, or reports that there are not so many.
func (f *fanout) try(n int64) (holding, bool) {
	h := f.holding(n)
	if !f.share.TryAcquire(h.share) {
		return holding{}, false
	}
	if !f.memory.TryAcquire(n) {
		f.share.Release(h.share)
		return holding{}, false
	}
	return h, true
}

// wait waits for n bytes in turn.
func (f *fanout) wait(ctx context.Context, n int64) (holding, error) {
	h := f.holding(n)
	if err := f.share.Acquire(ctx, h.share); err != nil {
		return holding{}, err
	}
	if err := f.memory.Acquire(ctx, n); err != nil {
		f.share.Release(h.share)
		return holding{}, err
	}
	return h, nil
}

// holding is what n bytes take: one that is larger than the share takes all of it.
func (f *fanout) holding(n int64) holding {
	h := holding{bytes: n, share: n}
	if most := f.share.Max(); most > 0 {
		h.share = min(n, most)
	}
	return h
}

func (f *fanout) release(h holding) {
	if h.bytes > 0 {
		f.memory.Release(h.bytes)
		f.share.Release(h.share)
	}
}

func newBuffer(size int64) *[]byte {
	b := make([]byte, 0, size)
	return &b
}

// buffer returns an empty buffer of at least that size.
func (f *fanout) buffer(size int64) *[]byte {
	if pool := f.pool(size); pool != nil {
		return pool.Get().(*[]byte)
	}
	return newBuffer(size)
}

// recycle takes a buffer back.
func (f *fanout) recycle(b *[]byte) {
	if pool := f.pool(int64(cap(*b))); pool != nil {
		pool.Put(b)
	}
}

// pool is where buffers of a size come from and go to, nil for odd ones.
func (f *fanout) pool(size int64) *sync.Pool {
	switch size {
	case smallEvent:
		return &f.small
	case mediumEvent:
		return &f.medium
	case largeEvent:
		return &f.large
	}
	return nil
}

// begin makes sub the subscription of its consumer c and its shard. One that is older
// than SubscriptionPause ends; with a younger one, even if it has ended, the
// error is InUse.
func (f *fanout) begin(sub *Subscription, c *catalog.Resource) error {
	inUse := errs.New(errs.InUse, "Another active subscription exists for this consumer: "+c.Account+":"+
		sub.pos.Stream.Name+":"+sub.pos.Shard.String()+":"+c.Consumer.Name)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sweep(sub.began)
	if old := f.by[sub.key]; old != nil {
		if old.young(sub.began) {
			return inUse
		}
		old.end(inUse)
	}
	f.by[sub.key] = sub
	f.recent = append(f.recent, sub)
	if f.closed {
		sub.end(io.EOF)
	}
	return nil
}

// sweep forgets ended subscriptions that keep nobody waiting any more; mu is held.
func (f *fanout) sweep(now int64) {
	n := 0
	for ; n < len(f.recent) && !f.recent[n].young(now); n++ {
		if old := f.recent[n]; old.closed {
			f.forget(old)
		}
	}
	f.recent = append(f.recent[:0], f.recent[n:]...)
}

// forget drops sub, unless another has taken its place; mu is held.
func (f *fanout) forget(sub *Subscription) {
	if f.by[sub.key] == sub {
		delete(f.by, sub.key)
	}
}

// leave notes that sub has ended.
func (f *fanout) leave(sub *Subscription, now int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if sub.closed = true; !sub.young(now) {
		f.forget(sub)
	}
}

// end ends the subscriptions of a consumer, with an error; "" is every consumer.
func (f *fanout) end(consumer string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, sub := range f.by {
		if consumer == "" || consumer == key.consumer {
			sub.end(err)
		}
	}
}

// EndSubscriptions ends every subscription, now and from now on, as at the end of
// its time: the server stops.
func (s *Service) EndSubscriptions() {
	s.fan.mu.Lock()
	s.fan.closed = true
	s.fan.mu.Unlock()
	s.fan.end("", io.EOF)
}

// Subscriptions returns how many subscriptions there are now.
func (s *Service) Subscriptions() (n int) {
	s.fan.mu.Lock()
	defer s.fan.mu.Unlock()
	for _, sub := range s.fan.by {
		if !sub.closed {
			n++
		}
	}
	return n
}

// NewSubscription is what a subscription is made from.
type NewSubscription struct {
	Consumer ConsumerID
	// Shard is its id as a client names it.
	Shard string
	At    StartingAt
	// DryRun asks for the checks only.
	DryRun bool
}

// Subscribe begins a subscription, which ends with ctx; nil for a dry run. The
// one that the consumer had for the shard ends. Errors: NotFound, InUse, Invalid,
// LimitExceeded without memory for it, those of the log.
func (s *Service) Subscribe(ctx context.Context, n NewSubscription) (*Subscription, error) {
	c, err := s.Consumer(n.Consumer)
	if err != nil {
		return nil, err
	}
	if s.Status(c) != catalog.Active {
		return nil, errs.New(errs.InUse, "Consumer "+n.Consumer.Name+" with creation timestamp "+secondText(c)+" under stream "+
			n.Consumer.Stream+" and account "+c.Account+" is not in ACTIVE status.")
	}
	r, sh, err := s.Shard(n.Consumer.Scope, n.Consumer.Stream, n.Shard)
	if err != nil {
		return nil, err
	}
	pos, err := s.Locate(r, sh, n.At)
	if err != nil || n.DryRun {
		return nil, err
	}
	if err := s.admitSubscribe(r, sh.Number, c.ARN); err != nil {
		return nil, err
	}
	held, ok := s.fan.try(subscriptionBytes)
	if !ok {
		return nil, errs.New(errs.LimitExceeded, "The server is short of memory for subscriptions. Try again later.")
	}
	now := clock.Millis(s.clock)
	sub := &Subscription{svc: s, key: subscriber{c.ARN, sh.Number}, idle: held, pos: pos, began: now, due: now}
	sub.ctx, sub.end = context.WithCancelCause(ctx)
	if err := s.fan.begin(sub, c); err != nil {
		sub.end(nil)
		s.fan.release(held)
		return nil, err
	}
	n.Consumer.Second = c.Created / 1000
	if _, err := s.Consumer(n.Consumer); err != nil { // Deregister did not find sub
		sub.Close()
		return nil, err
	}
	return sub, nil
}
