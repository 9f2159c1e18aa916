package client

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"thalweg/internal/clock"
)

// fakePush pushes records 0..n-1, three in each subscription, one an event, and
// then ends as the script says. The continuation is the number of the next one.
type fakePush struct {
	n       int
	refusal []error // one taken per Subscribe
	ends    []error // one taken per subscription
	silent  int     // subscriptions that end before their first event
	begun   []string
}

type fakeEvents struct {
	events chan types.SubscribeToShardEventStream
	err    error
}

func (f *fakeEvents) Events() <-chan types.SubscribeToShardEventStream { return f.events }
func (f *fakeEvents) Err() error                                       { return f.err }
func (f *fakeEvents) Close() error                                     { return nil }

func take(list *[]error) (err error) {
	if len(*list) > 0 {
		err, *list = (*list)[0], (*list)[1:]
	}
	return err
}

func (f *fakePush) Subscribe(_ context.Context, in *kinesis.SubscribeToShardInput) (Events, error) {
	if err := take(&f.refusal); err != nil {
		return nil, err
	}
	from := aws.ToString(in.StartingPosition.SequenceNumber)
	f.begun = append(f.begun, string(in.StartingPosition.Type)+from)
	at, _ := strconv.Atoi(from)
	out := &fakeEvents{events: make(chan types.SubscribeToShardEventStream, 4), err: take(&f.ends)}
	defer close(out.events)
	if f.silent--; f.silent >= 0 {
		return out, nil
	}
	for last := at + 3; at < last; {
		e := types.SubscribeToShardEvent{Records: []types.Record{{Data: []byte(strconv.Itoa(at))}}}
		if at++; at < f.n {
			e.ContinuationSequenceNumber = aws.String(strconv.Itoa(at))
		} else {
			e.ChildShards = []types.ChildShard{{ShardId: aws.String("child")}}
		}
		out.events <- &types.SubscribeToShardEventStreamMemberSubscribeToShardEvent{Value: e}
		if at == f.n {
			break
		}
	}
	return out, nil
}

func TestSubscriberReadsOnAcrossTrouble(t *testing.T) {
	inUse := &smithy.GenericAPIError{Code: "ResourceInUseException"}
	synctest.Test(t, func(t *testing.T) {
		f := &fakePush{
			n: 10, refusal: []error{inUse, inUse, nil, &smithy.GenericAPIError{Code: "LimitExceededException"}, nil, inUse},
			ends: []error{nil, errors.New("connection reset"), nil},
		}
		s := &Subscriber{API: f, Clock: clock.System(), Consumer: "c", ID: "shard", Start: Latest()}
		next, children := 0, 0
		err := s.Read(t.Context(), func(p Page) error {
			for _, r := range p.Records {
				if string(r.Data) != strconv.Itoa(next) {
					t.Errorf("read %s, want %d", r.Data, next)
				}
				next++
			}
			children += len(p.Children)
			return nil
		})
		if err != nil || next != 10 || children != 1 {
			t.Errorf("read %d of 10 records, %d children: %v", next, children, err)
		}
		if len(f.begun) != 4 || f.begun[0] != "LATEST" || f.begun[3] != "AFTER_SEQUENCE_NUMBER9" {
			t.Errorf("began at %v", f.begun)
		}
	})
}

// TestSubscriberKeepsItsPin has a subscription to the tip break off before it told
// where that is: the next one begins where the first was opened, not at a later tip.
func TestSubscriberKeepsItsPin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakePush{n: 1, silent: 1, ends: []error{errors.New("connection reset")}}
		s := &Subscriber{API: f, Clock: clock.System(), Start: Latest()}
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		opened := time.Now()
		if err := s.Read(t.Context(), func(Page) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if want := []string{"LATEST", "AT_TIMESTAMP"}; !slices.Equal(f.begun, want) || !s.Start.Time.Equal(opened) {
			t.Errorf("began at %v, %v; want %v, %v", f.begun, s.Start.Time, want, opened)
		}
	})
}

func TestSubscriberStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := errors.New("enough")
		inUse := &smithy.GenericAPIError{Code: "ResourceInUseException"}
		for name, c := range map[string]struct {
			f    fakePush
			fn   func(Page) error
			want func(error) bool
		}{
			"the caller": {fakePush{n: 10}, func(Page) error { return stop }, func(err error) bool { return err == stop }},
			"another took over": {fakePush{n: 10, ends: []error{inUse}}, func(Page) error { return nil },
				func(err error) bool { return Code(err) == "ResourceInUseException" }},
			"another does not leave": {fakePush{n: 10, refusal: []error{inUse, inUse, inUse, inUse, inUse, inUse, inUse, inUse, inUse, inUse, inUse, inUse}},
				func(Page) error { return nil }, func(err error) bool { return Code(err) == "ResourceInUseException" }},
			"no access": {fakePush{n: 10, refusal: []error{&smithy.GenericAPIError{Code: "AccessDeniedException"}}},
				func(Page) error { return nil }, func(err error) bool { return Code(err) == "AccessDeniedException" }},
		} {
			s := &Subscriber{API: &c.f, Clock: clock.System(), Start: TrimHorizon()}
			if err := s.Read(t.Context(), c.fn); !c.want(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s := &Subscriber{API: &fakePush{n: 10}, Clock: clock.System(), Start: TrimHorizon()}
		if err := s.Read(ctx, func(Page) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
	})
}
