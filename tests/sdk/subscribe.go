package sdk

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// Register makes a consumer of a stream and returns its ARN.
func Register(ctx context.Context, c *kinesis.Client, stream, consumer string) (string, error) {
	d, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &stream})
	if err != nil {
		return "", err
	}
	out, err := c.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{
		StreamARN: d.StreamDescriptionSummary.StreamARN, ConsumerName: &consumer,
	})
	if err != nil {
		return "", err
	}
	return *out.Consumer.ConsumerARN, nil
}

// From names a place to start at.
func From(t types.ShardIteratorType) types.StartingPosition { return types.StartingPosition{Type: t} }

// After names the place after a sequence number.
func After(sequence string) types.StartingPosition {
	return types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: &sequence}
}

// Subscription is one SubscribeToShard under way.
type Subscription struct {
	stream *kinesis.SubscribeToShardEventStream
	// Continuation is that of the last event; "" before the first, and after the
	// last of a closed shard.
	Continuation string
	// Children are those of the last event.
	Children []types.ChildShard
}

// Subscribe begins to read a shard, with a copy of c: a client reads all its
// subscriptions through one buffer (smithy-go 1.28.9, internal/eventstream.Codec),
// so that two at a time overwrite each other's messages.
func Subscribe(ctx context.Context, c *kinesis.Client, consumer, shard string, at types.StartingPosition) (*Subscription, error) {
	out, err := kinesis.New(c.Options()).SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &consumer, ShardId: &shard, StartingPosition: &at})
	if err != nil {
		return nil, err
	}
	return &Subscription{stream: out.GetStream()}, nil
}

// Next returns the records of the next event. ok is false at the stream's end;
// err then tells whether it was an orderly one.
func (s *Subscription) Next() (records []types.Record, ok bool, err error) {
	e, ok := <-s.stream.Events()
	if !ok {
		return nil, false, s.stream.Err()
	}
	event := e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
	s.Continuation, s.Children = "", event.ChildShards
	if event.ContinuationSequenceNumber != nil {
		s.Continuation = *event.ContinuationSequenceNumber
	}
	return event.Records, true, nil
}

// Close ends the subscription from this side.
func (s *Subscription) Close() error { return s.stream.Close() }
