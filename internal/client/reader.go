package client

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"thalweg/internal/clock"
)

// Start is a place to begin reading a shard.
type Start struct {
	Type types.ShardIteratorType
	// Sequence is for AT_SEQUENCE_NUMBER and AFTER_SEQUENCE_NUMBER.
	Sequence string
	// Time is for AT_TIMESTAMP.
	Time time.Time
}

// TrimHorizon is the oldest record there is.
func TrimHorizon() Start { return Start{Type: types.ShardIteratorTypeTrimHorizon} }

// Latest is just after the newest record.
func Latest() Start { return Start{Type: types.ShardIteratorTypeLatest} }

// After is just behind the record of sequence number seq.
func After(seq string) Start {
	return Start{Type: types.ShardIteratorTypeAfterSequenceNumber, Sequence: seq}
}

// ReadAPI is what reading a shard calls.
type ReadAPI interface {
	GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput, opts ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error)
	GetRecords(ctx context.Context, in *kinesis.GetRecordsInput, opts ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error)
}

// Page is what one call found, an empty one included.
type Page struct {
	ShardID string
	Records []types.Record
	// Behind is how far the page's end is behind the shard's tip.
	Behind time.Duration
	// Ended tells that this is the last page of a closed shard, Children what it
	// was split or merged into.
	Ended    bool
	Children []types.ChildShard
}

// Shard reads one shard and keeps its place.
type Shard struct {
	API    ReadAPI
	Clock  clock.Clock
	Stream string
	ID     string
	Start  Start
	// Limit is the most records of a page; 0 is the server's own.
	Limit int32
	// Idle is how long to wait after a page that reached the tip.
	Idle time.Duration

	iterator *string
	opened   time.Time
}

// Open pins the start: with [Latest], every record put after Open returns is
// read. [Shard.Read] calls it otherwise.
func (s *Shard) Open(ctx context.Context) error {
	in := &kinesis.GetShardIteratorInput{StreamName: aws.String(s.Stream), ShardId: aws.String(s.ID), ShardIteratorType: s.Start.Type}
	if s.Start.Sequence != "" {
		in.StartingSequenceNumber = aws.String(s.Start.Sequence)
	}
	if !s.Start.Time.IsZero() {
		in.Timestamp = aws.Time(s.Start.Time)
	}
	out, err := s.API.GetShardIterator(ctx, in)
	if err != nil {
		return err
	}
	s.iterator, s.opened = out.ShardIterator, s.Clock.Now()
	return nil
}

// reopen forgets an expired iterator. A LATEST that has seen no record yet
// becomes the time it was pinned, as the tip has moved since.
func (s *Shard) reopen() {
	s.iterator = nil
	if s.Start.Type == types.ShardIteratorTypeLatest {
		s.Start = Start{Type: types.ShardIteratorTypeAtTimestamp, Time: s.opened}
	}
}

// Read calls fn with page after page until the shard's closed end (nil), an
// error of fn, or the end of ctx (its error). It goes on where it was after a
// server's restart, an expired iterator or throttling.
func (s *Shard) Read(ctx context.Context, fn func(Page) error) error {
	backoff := newBackoff()
	for {
		page, err := s.next(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case Code(err) == "ExpiredIteratorException":
			s.reopen()
			continue
		case err != nil && Retryable(err):
			if err := backoff.wait(ctx, s.Clock); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		backoff = newBackoff()
		if err := fn(page); err != nil {
			return err
		}
		if page.Ended {
			return nil
		}
		if page.Behind == 0 {
			if err := sleepOn(ctx, s.Clock, s.Idle); err != nil {
				return err
			}
		}
	}
}

// next makes one call and moves the place behind what it found.
func (s *Shard) next(ctx context.Context) (Page, error) {
	if s.iterator == nil {
		if err := s.Open(ctx); err != nil {
			return Page{}, err
		}
	}
	in := &kinesis.GetRecordsInput{ShardIterator: s.iterator}
	if s.Limit > 0 {
		in.Limit = aws.Int32(s.Limit)
	}
	out, err := s.API.GetRecords(ctx, in)
	if err != nil {
		return Page{}, err
	}
	if n := len(out.Records); n > 0 {
		s.Start = After(aws.ToString(out.Records[n-1].SequenceNumber))
	}
	s.iterator = out.NextShardIterator
	return Page{
		ShardID: s.ID, Records: out.Records, Behind: time.Duration(aws.ToInt64(out.MillisBehindLatest)) * time.Millisecond,
		Ended: out.NextShardIterator == nil, Children: out.ChildShards,
	}, nil
}
