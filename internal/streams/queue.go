package streams

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"

	"thalweg/internal/arn"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
)

// A queue belongs to a stream as a consumer does: it counts as one. What it has
// delivered is package queues' matter.

// QueueSettings are what can be changed of a queue.
type QueueSettings struct {
	// VisibilitySeconds is how long a record received is kept from others.
	VisibilitySeconds int
	// MaxReceives is how many times a record is received before it becomes a
	// dead-letter record; 0 is without end.
	MaxReceives int
}

// DefaultQueueSettings are those of a queue of which nothing is said
// (API_QueueAttributes).
var DefaultQueueSettings = QueueSettings{VisibilitySeconds: 30, MaxReceives: 6}

// NewQueue is what a queue is made from.
type NewQueue struct {
	Scope  catalog.Scope
	Name   string
	Stream string
	// Start is LATEST, TRIM_HORIZON or AT_TIMESTAMP with its time; "" is LATEST.
	Start    StartingAt
	Settings QueueSettings
	Tags     map[string]string
}

func queueKey(scope catalog.Scope, id string) catalog.Key {
	return catalog.Key{Kind: catalog.KindQueue, Scope: scope, Name: id}
}

func queueOwner(scope catalog.Scope, name string) string {
	return "queue " + name + " under account " + scope.Account
}

// CreateQueue makes a queue over an on-demand stream, whose shards it begins with
// as they are now. Errors: NotFound and InUse of the stream, Exists, LimitExceeded,
// Invalid, Unsupported for a stream that is not on-demand, those of the log.
func (s *Service) CreateQueue(ctx context.Context, n NewQueue) (*catalog.Resource, error) {
	if err := checkTags("add tags to", queueOwner(n.Scope, n.Name), tagTexts(n.Tags)); err != nil {
		return nil, err
	}
	if len(n.Tags) > MaxTags {
		return nil, tooManyTags(queueOwner(n.Scope, n.Name))
	}
	var made *catalog.Resource
	err := s.change(ctx, n.Scope, n.Stream, func(tx *catalog.Tx, st *catalog.Resource) error {
		if st.Stream.Mode != catalog.OnDemand {
			return errs.New(errs.Unsupported, fmt.Sprintf("Queues are supported only for streams in ON_DEMAND mode, and stream %s under "+
				"account %s is not.", n.Stream, n.Scope.Account))
		}
		for _, q := range tx.List(catalog.KindQueue, n.Scope) {
			if q.Queue.Name == n.Name {
				return errs.New(errs.Exists, fmt.Sprintf("Queue %s already exists for account %s.", n.Name, n.Scope.Account))
			}
		}
		if err := s.checkConsumers(tx, st); err != nil {
			return err
		}
		q := &catalog.Queue{
			Stream: st.Stream.Number, Name: n.Name, Position: string(n.Start.Type), Timestamp: n.Start.Time,
			VisibilitySeconds: n.Settings.VisibilitySeconds, MaxReceives: n.Settings.MaxReceives,
		}
		if n.Start.Type == "" {
			n.Start.Type = Latest
		}
		for i := range st.Stream.Shards {
			sh := &st.Stream.Shards[i]
			pos, err := s.Locate(st, sh, n.Start)
			if err != nil {
				return err
			}
			q.Starts = append(q.Starts, catalog.QueueStart{Shard: sh.Number, Offset: pos.Offset})
		}
		id := strings.ToLower(rand.Text())
		made = &catalog.Resource{
			Key: queueKey(n.Scope, id), Created: clock.Millis(s.clock), State: catalog.Active, Tags: n.Tags, Queue: q,
			ARN: arn.New("kinesis", n.Scope.Region, n.Scope.Account, "queue/"+id).String(),
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

// Queue returns the queue of that id. Errors: NotFound.
func (s *Service) Queue(scope catalog.Scope, id string) (*catalog.Resource, error) {
	if r := s.catalog.Get(queueKey(scope, id)); r != nil {
		return r, nil
	}
	return nil, errs.New(errs.NotFound, fmt.Sprintf("Queue %s under account %s not found.", id, scope.Account))
}

// AllQueues returns the queues of every account and region.
func (s *Service) AllQueues() []*catalog.Resource { return s.catalog.All(catalog.KindQueue) }

// QueueStream returns the stream of a queue. Errors: NotFound when the queue, and
// then perhaps the stream, has been deleted.
func (s *Service) QueueStream(q *catalog.Resource) (*catalog.Resource, error) {
	if r := s.catalog.StreamNumber(q.Queue.Stream); r != nil {
		return r, nil
	}
	return nil, errs.New(errs.NotFound, fmt.Sprintf("Queue %s under account %s not found.", q.Name, q.Account))
}

// Queues returns at most limit queues of a scope by name, those after the name
// after that keep wants; more tells whether there are others.
func (s *Service) Queues(scope catalog.Scope, after string, limit int, keep func(*catalog.Resource) bool) (page []*catalog.Resource, more bool) {
	all := s.catalog.List(catalog.KindQueue, scope)
	slices.SortFunc(all, func(a, b *catalog.Resource) int { return strings.Compare(a.Queue.Name, b.Queue.Name) })
	for _, q := range all {
		if q.Queue.Name <= after || !keep(q) {
			continue
		}
		if len(page) == limit {
			return page, true
		}
		page = append(page, q)
	}
	return page, false
}

// UpdateQueue alters a queue's settings. Errors: NotFound, those of alter.
func (s *Service) UpdateQueue(ctx context.Context, scope catalog.Scope, id string, alter func(*QueueSettings) error) (*catalog.Resource, error) {
	return s.changeQueue(ctx, scope, id, func(r *catalog.Resource) error {
		set := QueueSettings{VisibilitySeconds: r.Queue.VisibilitySeconds, MaxReceives: r.Queue.MaxReceives}
		if err := alter(&set); err != nil {
			return err
		}
		r.Queue.VisibilitySeconds, r.Queue.MaxReceives = set.VisibilitySeconds, set.MaxReceives
		return nil
	})
}

// TagQueue adds tags to a queue or replaces their values. Errors: NotFound, Invalid.
func (s *Service) TagQueue(ctx context.Context, scope catalog.Scope, id string, tags map[string]string) error {
	if err := checkTags("add tags to", queueOwner(scope, id), tagTexts(tags)); err != nil {
		return err
	}
	_, err := s.changeQueue(ctx, scope, id, func(r *catalog.Resource) error {
		if r.Tags == nil {
			r.Tags = make(map[string]string, len(tags))
		}
		maps.Copy(r.Tags, tags)
		if len(r.Tags) > MaxTags {
			return tooManyTags(queueOwner(scope, id))
		}
		return nil
	})
	return err
}

// UntagQueue removes tags from a queue; those it has not are no error. Errors:
// NotFound, Invalid.
func (s *Service) UntagQueue(ctx context.Context, scope catalog.Scope, id string, keys []string) error {
	if err := checkTags("remove tags from", queueOwner(scope, id), keys); err != nil {
		return err
	}
	_, err := s.changeQueue(ctx, scope, id, func(r *catalog.Resource) error {
		for _, k := range keys {
			delete(r.Tags, k)
		}
		return nil
	})
	return err
}

func (s *Service) changeQueue(ctx context.Context, scope catalog.Scope, id string, fn func(*catalog.Resource) error) (*catalog.Resource, error) {
	var changed *catalog.Resource
	err := s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		r, err := s.Queue(scope, id)
		if err != nil {
			return err
		}
		changed = r.Clone()
		if err := fn(changed); err != nil {
			return err
		}
		tx.Put(changed)
		return nil
	})
	return changed, err
}

// DeleteQueue removes a queue. Errors: NotFound, those of the log.
func (s *Service) DeleteQueue(ctx context.Context, scope catalog.Scope, id string) error {
	err := s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		r, err := s.Queue(scope, id)
		if err != nil {
			return err
		}
		tx.Delete(r.Key, r.Created/1000, clock.Millis(s.clock)/1000)
		return nil
	})
	if err == nil {
		s.hold(-1)
	}
	return err
}

// ChannelCount is the number of channels of the stream r.
func (s *Service) ChannelCount(r *catalog.Resource) int {
	return len(s.catalog.Channels(r.Stream.Number))
}

// readers is the number of consumers and queues of the stream r.
func (s *Service) readers(r *catalog.Resource) int {
	return s.ConsumerCount(r) + len(s.catalog.Queues(r.Stream.Number))
}

// QueuesToken is the token for a listing of queues that goes on after a name.
func (s *Service) QueuesToken(scope catalog.Scope, after string) string {
	return s.page(queuesToken, scope, append([]byte{byte(len(after))}, after...))
}

// OpenQueuesToken reads a token of QueuesToken. Errors: ErrPageToken,
// ErrPageExpired.
func (s *Service) OpenQueuesToken(scope catalog.Scope, text string) (after string, err error) {
	p, err := s.openPage(queuesToken, scope, text)
	if err != nil {
		return "", err
	}
	if int(p[0]) >= len(p) {
		return "", ErrPageToken
	}
	return string(p[1 : 1+int(p[0])]), nil
}

// ChannelsToken is the token for a listing of channels that goes on after a name.
func (s *Service) ChannelsToken(scope catalog.Scope, after string) string {
	return s.page(channelsToken, scope, append([]byte{byte(len(after))}, after...))
}

// OpenChannelsToken reads a token of ChannelsToken. Errors: ErrPageToken,
// ErrPageExpired.
func (s *Service) OpenChannelsToken(scope catalog.Scope, text string) (after string, err error) {
	p, err := s.openPage(channelsToken, scope, text)
	if err != nil {
		return "", err
	}
	if int(p[0]) >= len(p) {
		return "", ErrPageToken
	}
	return string(p[1 : 1+int(p[0])]), nil
}

// SealReceipt seals what names a record received from a queue of a scope.
func (s *Service) SealReceipt(scope catalog.Scope, payload []byte) string {
	return s.page(receiptToken, scope, payload)
}

// OpenReceipt opens what SealReceipt sealed, zeros after it; it does not expire.
// Any flaw is an error of kind Invalid.
func (s *Service) OpenReceipt(scope catalog.Scope, text string) ([]byte, error) {
	_, p, err := s.seal.open(receiptToken, scope, []byte(text))
	return p, err
}
