package kinesis

import (
	"context"
	"errors"
	"io"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/streams"
)

// SubscribeToShard
//
// Pushes a shard's records to a consumer as a stream of events, from
// StartingPosition on, for five minutes: each event is sent when its records
// arrive, and an empty one after five seconds without. ContinuationSequenceNumber
// is always there and always rises; a subscription AFTER_SEQUENCE_NUMBER of it
// goes on without loss or duplicate. At the end of a closed shard the last event
// has ChildShards instead. A consumer has one subscription to a shard: a call
// within five seconds of a successful one is refused, a later one takes over, and
// the earlier stream ends with ResourceInUse. A client that takes nothing for 30
// seconds is given up.
//
// Errors: ResourceNotFound for consumer and shard; ResourceInUse; InvalidArgument
// as for GetShardIterator; LimitExceeded when there is no memory for another
// subscription, and, where AWS's limits hold, beyond one call a second of the
// consumer and shard; DryRunOperation. In the stream: ResourceNotFound when stream
// or consumer are removed, ResourceInUse, InternalFailure.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html
//
// Status: done
func (d *Door) SubscribeToShard(ctx context.Context, in *model.SubscribeToShardInput) (*model.SubscribeToShardOutput, error) {
	id, err := consumerID(in.ConsumerARN.V)
	if err != nil {
		return nil, err
	}
	at := streams.StartingAt{
		Type: streams.Start(in.StartingPosition.Type.V), Sequence: in.StartingPosition.SequenceNumber.V, Call: "SubscribeToShard",
	}
	if in.StartingPosition.Timestamp.Set {
		at.Time, at.HasTime = in.StartingPosition.Timestamp.V.UnixMilli(), true
	}
	sub, err := d.streams.Subscribe(ctx, streams.NewSubscription{Consumer: id, Shard: in.ShardId.V, At: at, DryRun: in.DryRun.V})
	if err != nil {
		return nil, wireError(err)
	}
	if sub == nil {
		r, err := d.streams.Lookup(id.Scope, id.Stream)
		if err != nil {
			return nil, wireError(err)
		}
		return nil, d.dryRun(r)
	}
	defer sub.Close()
	events := awsapi.BeginEvents(ctx)
	enc := newEventEncoding(events)
	for {
		event, err := sub.Next(enc)
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil
		case err != nil:
			return nil, wireError(err)
		}
		if err := events.Send(event); err != nil {
			return nil, err
		}
	}
}
