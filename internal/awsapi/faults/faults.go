// Package faults has requests fail on purpose, so that tests of clients meet what
// AWS may answer: errors, throttling, batches done in part, delays and broken
// connections.
//
// A fault is a [Rule]. Which requests it hits is decided by a generator that is
// seeded with the rule, so the same seed and the same order of requests give the
// same faults. What is answered is what happened: a request that fails has not
// been done, an entry that fails is not stored, but for a connection that is
// broken off after the request was done. Only errors that an operation can have
// can be injected.
//
// A Set is safe for concurrent use. Without rules it costs a request one load of
// a pointer.
package faults

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi"
	"thalweg/internal/clock"
)

// MaxRules is how many rules there can be at a time, used up ones included.
const MaxRules = 64

// Set is the rules of one server. It is an awsapi.Interceptor.
type Set struct {
	services []*awsapi.Service
	clock    clock.Clock
	byOp     atomic.Pointer[map[*awsapi.Op][]*rule] // those that can still hit; nil: none

	mu    sync.Mutex
	rules []*rule // guarded by mu
}

// rule is a Rule at work.
type rule struct {
	Rule
	ops  []*awsapi.Op
	rand *rand.Rand // guarded by Set.mu
	met  int        // guarded by Set.mu
	hit  int        // guarded by Set.mu
}

// Status is a rule and what it did.
type Status struct {
	Rule
	// Met is how many requests it could have hit, Hit how many it did.
	Met int `json:"met"`
	Hit int `json:"hit"`
}

// New returns a set without rules, for services.
func New(services []*awsapi.Service, c clock.Clock) *Set { return &Set{services: services, clock: c} }

// Add adds rules behind those there are, all or none. Errors: Invalid.
func (s *Set) Add(seed uint64, rules []Rule) error {
	added := make([]*rule, len(rules))
	for i := range rules {
		r := &rule{Rule: rules[i], rand: rand.New(rand.NewPCG(seed, uint64(i)))}
		why := invalid("there is no operation %q of service %q", r.Operation, r.Service)
		for _, svc := range s.services {
			op := svc.Op(r.Operation)
			if op == nil || r.Service != "" && r.Service != svc.Name {
				continue
			}
			if err := r.check(svc, op); err != nil {
				why = err
				continue
			}
			r.ops = append(r.ops, op)
		}
		if r.ops == nil {
			return invalid("rule %d: %v", i+1, why)
		}
		added[i] = r
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rules)+len(added) > MaxRules {
		return invalid("there can be %d rules at a time, and there are %d", MaxRules, len(s.rules))
	}
	s.rules = append(s.rules, added...)
	s.index()
	return nil
}

// List returns the rules in order.
func (s *Set) List() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Status, len(s.rules))
	for i, r := range s.rules {
		out[i] = Status{Rule: r.Rule, Met: r.met, Hit: r.hit}
	}
	return out
}

// Clear removes all rules.
func (s *Set) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
	s.index()
}

// index sets byOp; s.mu is held.
func (s *Set) index() {
	byOp := map[*awsapi.Op][]*rule{}
	for _, r := range s.rules {
		if r.spent() {
			continue
		}
		for _, op := range r.ops {
			byOp[op] = append(byOp[op], r)
		}
	}
	if len(byOp) == 0 {
		s.byOp.Store(nil)
		return
	}
	s.byOp.Store(&byOp)
}

func (r *rule) spent() bool { return r.Count > 0 && r.hit >= r.Count }

// Wants implements [awsapi.Interceptor].
func (s *Set) Wants(op *awsapi.Op) bool {
	byOp := s.byOp.Load()
	return byOp != nil && len((*byOp)[op]) > 0
}

// Intercept implements [awsapi.Interceptor]. The rules are asked in order; the
// first that answers ends it.
func (s *Set) Intercept(ctx context.Context, c awsapi.Call, next func(context.Context) (awsapi.Output, error)) (awsapi.Output, error) {
	byOp := s.byOp.Load()
	if byOp == nil {
		return next(ctx)
	}
	account, stream := streamOf(ctx, c.Resource)
	for _, r := range (*byOp)[c.Op] {
		if !s.hits(r, stream) {
			continue
		}
		switch r.Kind {
		case Latency:
			if !s.wait(ctx, time.Duration(r.MS)*time.Millisecond) {
				return nil, awsapi.ErrBreak
			}
		case Throttle:
			return nil, c.Service.Throttle(c.Op, r.throttleText(account, stream))
		case Fail:
			return nil, r.err(c.Service)
		case Partial:
			ctx = awsapi.WithEntryFaults(ctx, s.entryFault(r, batches[c.Service.Name+"."+c.Op.Name][0]))
		case Reset:
			if r.After {
				_, _ = next(ctx) // whatever came of it, the client is not told
			}
			return nil, awsapi.ErrBreak
		}
	}
	return next(ctx)
}

// hits decides on one request.
func (s *Set) hits(r *rule, stream string) bool {
	if r.Stream != "" && r.Stream != stream {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.spent() { // since the index was read
		return false
	}
	r.met++
	if r.rand.Float64() >= or(r.Rate, 1) {
		return false
	}
	if r.hit++; r.spent() {
		s.index()
	}
	return true
}

// entryFault decides on the entries of one request.
func (s *Set) entryFault(r *rule, usual string) func() string {
	code := r.Error
	if code == "" {
		code = usual
	}
	return func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.rand.Float64() < or(r.Share, 0.5) {
			return code
		}
		return ""
	}
}

func or(f *float64, absent float64) float64 {
	if f == nil {
		return absent
	}
	return *f
}

// wait reports false when the client left first.
func (s *Set) wait(ctx context.Context, d time.Duration) bool {
	timer := s.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// throttleText is what Kinesis says of calls that come too often.
func (r *Rule) throttleText(account, stream string) string {
	switch {
	case r.Message != "":
		return r.Message
	case stream != "":
		return "Rate exceeded for stream " + stream + " under account " + account + "."
	}
	return "Rate exceeded for account " + account + "."
}

// streamOf returns the account that a call is about, and the stream if there is
// one: the name behind the resource's type.
func streamOf(ctx context.Context, resource string) (account, stream string) {
	p, ok := arn.Parse(resource)
	if !ok {
		return awsapi.CallerFrom(ctx).Account, ""
	}
	_, name, _ := strings.Cut(p.Resource, "/")
	stream, _, _ = strings.Cut(name, "/")
	return p.Account, stream
}
