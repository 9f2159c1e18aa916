package kinesis

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/streams"
)

// CreateQueue
//
// Makes a queue over an on-demand stream of the caller's account and region, durably.
// It delivers each record of the stream from its starting position on (LATEST if none
// is given: what is put from now on), and every record of shards made later. A queue
// counts against the stream's limit of consumers, and has to be deleted before the
// stream, or before the stream becomes provisioned. Its name is the account's once in
// a region. Without attributes a record is hidden for 30 seconds when received, and
// becomes a dead-letter record when it was received 6 times.
//
// The caller needs kinesis:AssociateStreamsWithQueue on the stream beside
// kinesis:CreateQueue.
//
// Errors: ResourceNotFound and ResourceInUse of the stream; ResourceInUse when the
// name is taken; LimitExceeded; Validation for a stream that is not on-demand;
// InvalidArgument for other than one stream, for an AT_TIMESTAMP without its time or
// with one to come, for BUILT_IN without MaxReceiveCount, NONE with one, and for tags.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateQueue.html
//
// Status: done
// Deviation: a new queue is ACTIVE at once instead of after seconds in CREATING
func (d *Door) CreateQueue(ctx context.Context, in *model.CreateQueueInput) (*model.CreateQueueOutput, error) {
	if len(in.StreamConfigurationList) != 1 {
		return nil, model.NewInvalidArgumentException("StreamConfigurationList must contain exactly one entry.")
	}
	from := in.StreamConfigurationList[0]
	a, err := parseStreamARN(from.StreamARN.V)
	if err != nil {
		return nil, err
	}
	if a.scope != scopeOf(awsapi.CallerFrom(ctx)) {
		return nil, model.NewInvalidArgumentException("The stream of a queue must be in the account and Region of the queue.")
	}
	if err := awsapi.AuthorizeAction(ctx, "kinesis:AssociateStreamsWithQueue", from.StreamARN.V); err != nil {
		return nil, err
	}
	n := streams.NewQueue{Scope: a.scope, Name: in.QueueName.V, Stream: a.name, Settings: streams.DefaultQueueSettings, Tags: in.Tags}
	if err := settings(in.QueueAttributes, &n.Settings); err != nil {
		return nil, err
	}
	if at := from.StartingPosition; at != nil {
		n.Start = streams.StartingAt{Type: streams.Start(at.Type.V), HasTime: at.Timestamp.Set}
		if at.Timestamp.Set {
			n.Start.Time = at.Timestamp.V.UnixMilli()
		}
	}
	r, err := d.streams.CreateQueue(ctx, n)
	if err != nil {
		return nil, wireError(err)
	}
	shape, err := d.queueShape(r)
	return &model.CreateQueueOutput{QueueDescription: shape}, err
}
