package streams

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"sort"
	"strconv"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
)

// ConsumerID names a registered consumer.
type ConsumerID struct {
	Scope        catalog.Scope
	Stream, Name string
	// Second is the consumer's creation, Unix seconds, which stands in its ARN; 0
	// is whichever consumer bears the name now.
	Second int64
}

func (id ConsumerID) key() catalog.Key {
	return catalog.Key{Kind: catalog.KindConsumer, Scope: id.Scope, Name: id.Stream + "/" + id.Name}
}

func (id ConsumerID) notFound() error {
	with := ""
	if id.Second > 0 {
		with = " with creation timestamp " + strconv.FormatInt(id.Second, 10)
	}
	return errs.New(errs.NotFound, "Consumer "+id.Name+with+" under stream "+id.Stream+" and account "+id.Scope.Account+" not found.")
}

func (id ConsumerID) owner() string {
	return "consumer " + id.Name + " under stream " + id.Stream + " and account " + id.Scope.Account
}

// NewConsumer is what a consumer is made from.
type NewConsumer struct {
	Scope        catalog.Scope
	Stream, Name string
	Tags         map[string]string
}

// Register makes a consumer of an ACTIVE stream. One that bears the name of an
// earlier one is made in a later second, so that its ARN is another. Errors:
// NotFound and InUse of the stream, Exists, LimitExceeded, Invalid, those of the
// log.
func (s *Service) Register(ctx context.Context, n NewConsumer) (*catalog.Resource, error) {
	id := ConsumerID{Scope: n.Scope, Stream: n.Stream, Name: n.Name}
	if err := checkTags("add tags to", id.owner(), tagTexts(n.Tags)); err != nil {
		return nil, err
	}
	if len(n.Tags) > MaxTags {
		return nil, tooManyTags(id.owner())
	}
	var made *catalog.Resource
	err := s.change(ctx, n.Scope, n.Stream, func(tx *catalog.Tx, st *catalog.Resource) error {
		if tx.Get(id.key()) != nil {
			return errs.New(errs.Exists, fmt.Sprintf("Consumer %s under stream %s already exists for account %s.", n.Name, n.Stream, n.Scope.Account))
		}
		if err := s.checkConsumers(tx, st); err != nil {
			return err
		}
		now := clock.Millis(s.clock)
		made = &catalog.Resource{
			Key: id.key(), Created: max(now, (tx.LastSecond(id.key())+1)*1000), State: catalog.Active, Tags: n.Tags,
			Consumer: &catalog.Consumer{Stream: st.Stream.Number, Name: n.Name},
		}
		made.ARN = st.ARN + "/consumer/" + n.Name + ":" + strconv.FormatInt(made.Created/1000, 10)
		if s.transition > 0 {
			made.State, made.Until = catalog.Creating, now+s.transition.Milliseconds()
		}
		tx.Put(made)
		s.hold(1) // here, so that the next update sees it
		return nil
	})
	if err != nil {
		if made != nil {
			s.hold(-1)
		}
		return nil, err
	}
	return made, nil
}

// checkConsumers says whether a stream may have one more consumer or queue.
func (s *Service) checkConsumers(tx *catalog.Tx, st *catalog.Resource) error {
	others := tx.Consumers(st.Stream.Number)
	creating := 0
	for _, c := range others {
		if s.Status(c) == catalog.Creating {
			creating++
		}
	}
	limit := MaxConsumers
	if s.Commitment(st.Scope).Active() {
		limit = MaxConsumersCommitted
	}
	switch n := len(others) + len(tx.Queues(st.Stream.Number)); {
	case n >= limit:
		return errs.New(errs.LimitExceeded, fmt.Sprintf("This request would exceed the consumer limit for the stream %s under account %s. "+
			"Current consumer count for the stream: %d. Limit: %d.", st.Name, st.Account, n, limit))
	case creating >= MaxConsumersCreating:
		return errs.New(errs.LimitExceeded, fmt.Sprintf("The stream %s under account %s has %d consumers in state CREATING already. "+
			"Limit: %d.", st.Name, st.Account, creating, MaxConsumersCreating))
	}
	return s.checkRoom(1)
}

// Deregister removes a consumer and ends its subscriptions. Errors: NotFound,
// those of the log.
func (s *Service) Deregister(ctx context.Context, id ConsumerID) error {
	var gone *catalog.Resource
	err := s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		var err error
		if gone, err = s.Consumer(id); err != nil {
			return err
		}
		tx.Delete(gone.Key, gone.Created/1000, clock.Millis(s.clock)/1000)
		return nil
	})
	if err != nil {
		return err
	}
	s.hold(-1)
	id.Second = gone.Created / 1000
	s.fan.end(gone.ARN, id.notFound())
	return nil
}

// Consumer returns a consumer, in whatever state. Errors: NotFound, with a text of
// its own when it is the stream that is not there.
func (s *Service) Consumer(id ConsumerID) (*catalog.Resource, error) {
	st, err := s.Lookup(id.Scope, id.Stream)
	if err != nil {
		return nil, err
	}
	r := s.catalog.Get(id.key())
	if r == nil || r.Consumer.Stream != st.Stream.Number || id.Second != 0 && id.Second != r.Created/1000 {
		return nil, id.notFound()
	}
	return r, nil
}

// Consumers returns at most limit consumers of the stream r by name, those after
// the name after; more tells whether there are others.
func (s *Service) Consumers(r *catalog.Resource, after string, limit int) (page []*catalog.Resource, more bool) {
	all := s.catalog.Consumers(r.Stream.Number)
	rest := all[sort.Search(len(all), func(i int) bool { return all[i].Consumer.Name > after }):]
	return rest[:min(limit, len(rest))], len(rest) > limit
}

// ConsumerCount is the number of consumers of the stream r.
func (s *Service) ConsumerCount(r *catalog.Resource) int {
	return len(s.catalog.Consumers(r.Stream.Number))
}

// TagConsumer adds tags to a consumer or replaces their values. Errors: NotFound,
// Invalid.
func (s *Service) TagConsumer(ctx context.Context, id ConsumerID, tags map[string]string) error {
	if err := checkTags("add tags to", id.owner(), tagTexts(tags)); err != nil {
		return err
	}
	return s.changeConsumer(ctx, id, func(r *catalog.Resource) error {
		if r.Tags == nil {
			r.Tags = make(map[string]string, len(tags))
		}
		maps.Copy(r.Tags, tags)
		if len(r.Tags) > MaxTags {
			return tooManyTags(id.owner())
		}
		return nil
	})
}

// UntagConsumer removes tags from a consumer; those it has not are no error.
// Errors: NotFound, Invalid.
func (s *Service) UntagConsumer(ctx context.Context, id ConsumerID, keys []string) error {
	if err := checkTags("remove tags from", id.owner(), keys); err != nil {
		return err
	}
	return s.changeConsumer(ctx, id, func(r *catalog.Resource) error {
		for _, k := range keys {
			delete(r.Tags, k)
		}
		return nil
	})
}

// changeConsumer puts a copy of a consumer that fn has altered.
func (s *Service) changeConsumer(ctx context.Context, id ConsumerID, fn func(*catalog.Resource) error) error {
	return s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		r, err := s.Consumer(id)
		if err != nil {
			return err
		}
		r = r.Clone()
		if err := fn(r); err != nil {
			return err
		}
		tx.Put(r)
		return nil
	})
}

// ConsumersToken is the token for a listing of r's consumers that goes on after a
// name.
func (s *Service) ConsumersToken(r *catalog.Resource, after string) string {
	b := binary.BigEndian.AppendUint64(nil, r.Stream.Number)
	return s.page(consumersToken, r.Scope, append(append(b, byte(len(after))), after...))
}

// OpenConsumersToken reads a token of ConsumersToken for the stream r. Errors:
// ErrPageToken, also for a token of another stream; ErrPageExpired.
func (s *Service) OpenConsumersToken(r *catalog.Resource, text string) (after string, err error) {
	p, err := s.openPage(consumersToken, r.Scope, text)
	if err != nil {
		return "", err
	}
	if len(p) < 9 || binary.BigEndian.Uint64(p) != r.Stream.Number || 9+int(p[8]) > len(p) {
		return "", ErrPageToken
	}
	return string(p[9 : 9+int(p[8])]), nil
}
