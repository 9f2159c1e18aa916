package client

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/internal/clock"
)

// Events is one subscription under way.
type Events interface {
	Events() <-chan types.SubscribeToShardEventStream
	Err() error // after Events is closed
	Close() error
}

// SubscribeAPI is what having a shard pushed calls.
type SubscribeAPI interface {
	Subscribe(ctx context.Context, in *kinesis.SubscribeToShardInput) (Events, error)
}

// Subscribe begins a subscription, with an SDK client of its own: one client reads
// all its subscriptions through one buffer, so that two at a time overwrite each
// other's messages (smithy-go 1.28.9, internal/eventstream.Codec).
func (c *Client) Subscribe(ctx context.Context, in *kinesis.SubscribeToShardInput) (Events, error) {
	out, err := kinesis.New(c.options).SubscribeToShard(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.GetStream(), nil
}

// busyFor is how long a server refuses a second subscription after a first, with
// a second to spare.
const busyFor = 6 * time.Second

// Subscriber has one shard pushed to a registered consumer, and keeps its place.
// It is [Shard] over enhanced fan-out.
type Subscriber struct {
	API   SubscribeAPI
	Clock clock.Clock
	// Consumer is the consumer's ARN.
	Consumer string
	ID       string
	Start    Start

	events Events // nil between two subscriptions
}

// Open pins the start: with [Latest], every record put after Open returns is
// read. [Subscriber.Read] calls it otherwise. It waits while the server refuses
// because of a subscription that has just begun.
func (s *Subscriber) Open(ctx context.Context) error {
	at := &types.StartingPosition{Type: s.Start.Type}
	if s.Start.Sequence != "" {
		at.SequenceNumber = aws.String(s.Start.Sequence)
	}
	if !s.Start.Time.IsZero() {
		at.Timestamp = aws.Time(s.Start.Time)
	}
	in := &kinesis.SubscribeToShardInput{ConsumerARN: aws.String(s.Consumer), ShardId: aws.String(s.ID), StartingPosition: at}
	backoff := newBackoff()
	for began := s.Clock.Now(); ; {
		var err error
		if s.events, err = s.API.Subscribe(ctx, in); err == nil {
			if s.Start.Type == types.ShardIteratorTypeLatest { // for the next one, should this break off before its first event
				s.Start = Start{Type: types.ShardIteratorTypeAtTimestamp, Time: s.Clock.Now()}
			}
			return nil
		}
		s.events = nil
		if Code(err) != "ResourceInUseException" || s.Clock.Now().Sub(began) > busyFor {
			return err
		}
		if err := backoff.wait(ctx, s.Clock); err != nil {
			return err
		}
	}
}

// Read calls fn with event after event until the shard's closed end (nil), an
// error of fn, or the end of ctx (its error). It goes on where it was when a
// subscription's time is over, and after a server's restart. Another subscription
// of the same consumer ends it, with the server's error.
func (s *Subscriber) Read(ctx context.Context, fn func(Page) error) error {
	backoff := newBackoff()
	for {
		ended, err := s.one(ctx, func(p Page) error {
			backoff = newBackoff()
			return fn(p)
		})
		var stop stopped
		switch {
		case errors.As(err, &stop):
			return stop.err
		case ctx.Err() != nil:
			return ctx.Err()
		case ended:
			return nil
		case err == nil:
			continue
		case errors.Is(err, errBroken), Retryable(err):
			if err := backoff.wait(ctx, s.Clock); err != nil {
				return err
			}
			continue
		}
		return err
	}
}

// stopped is an error of the function that takes pages.
type stopped struct{ err error }

func (s stopped) Error() string { return s.err.Error() }

// errBroken is a subscription whose connection failed.
var errBroken = errors.New("the subscription was broken off")

// one reads one subscription to its end; ended is the shard's.
func (s *Subscriber) one(ctx context.Context, fn func(Page) error) (ended bool, err error) {
	if s.events == nil {
		if err := s.Open(ctx); err != nil {
			return false, err
		}
	}
	events := s.events
	s.events = nil
	defer events.Close()
	for {
		select {
		case e, ok := <-events.Events():
			if !ok {
				if err = events.Err(); err != nil && Code(err) == "" {
					err = errBroken
				}
				return false, err
			}
			push, is := e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
			if !is {
				continue // of a newer version
			}
			page := s.page(&push.Value)
			if err := fn(page); err != nil {
				return false, stopped{err}
			}
			if page.Ended {
				return true, nil
			}
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// page is an event as a page; the place moves behind it.
func (s *Subscriber) page(e *types.SubscribeToShardEvent) Page {
	if e.ContinuationSequenceNumber != nil {
		s.Start = After(*e.ContinuationSequenceNumber)
	}
	return Page{
		ShardID: s.ID, Records: e.Records, Behind: time.Duration(aws.ToInt64(e.MillisBehindLatest)) * time.Millisecond,
		Ended: e.ContinuationSequenceNumber == nil, Children: e.ChildShards,
	}
}
