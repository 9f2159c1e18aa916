package kinesis

import (
	"context"
	"strings"
	"time"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/errs"
	"thalweg/internal/opt"
	"thalweg/internal/queues"
	"thalweg/internal/streams"
)

// parseQueueARN reads the ARN of a queue; ok is false for any other text.
func parseQueueARN(text string) (scope catalog.Scope, id string, ok bool) {
	p, isARN := arn.Parse(text)
	id, isQueue := strings.CutPrefix(p.Resource, "queue/")
	if !isARN || p.Service != "kinesis" || !isQueue || id == "" || len(id) > 64 {
		return catalog.Scope{}, "", false
	}
	return catalog.Scope{Account: p.Account, Region: p.Region}, id, true
}

func queueID(v opt.V[string]) (catalog.Scope, string, error) {
	scope, id, ok := parseQueueARN(v.V)
	if !ok {
		return scope, id, model.NewInvalidArgumentException("Invalid ARN: " + v.V)
	}
	return scope, id, nil
}

// queueError is wireError for the calls that move a queue's records, which have
// another name for a request that comes too soon.
func queueError(err error) error {
	if errs.KindOf(err) == errs.Throttled {
		return model.NewThrottlingException(message(err))
	}
	return wireError(err)
}

// settings reads the attributes of a queue, over those that it has.
func settings(in *model.QueueAttributes, set *streams.QueueSettings) error {
	if in == nil {
		return nil
	}
	set.VisibilitySeconds = int(in.VisibilityTimeoutSeconds.Or(int32(set.VisibilitySeconds)))
	dead := in.DeadLetterConfiguration
	switch {
	case dead == nil:
	case dead.TargetType.V == model.TargetTypeNone && dead.MaxReceiveCount.Set:
		return model.NewInvalidArgumentException("MaxReceiveCount must not be specified when TargetType is NONE.")
	case dead.TargetType.V == model.TargetTypeNone:
		set.MaxReceives = 0
	case !dead.MaxReceiveCount.Set:
		return model.NewInvalidArgumentException("MaxReceiveCount must be specified when TargetType is BUILT_IN.")
	default:
		set.MaxReceives = int(dead.MaxReceiveCount.V)
	}
	return nil
}

func (d *Door) queueShape(r *catalog.Resource) (*model.QueueDescription, error) {
	st, err := d.streams.QueueStream(r)
	if err != nil {
		return nil, wireError(err)
	}
	q := r.Queue
	dead := &model.DeadLetterConfiguration{TargetType: opt.Of(model.TargetTypeNone)}
	if q.MaxReceives > 0 {
		dead.TargetType, dead.MaxReceiveCount = opt.Of(model.TargetTypeBuiltIn), opt.Of(int32(q.MaxReceives))
	}
	at := &model.QueueStartingPosition{Type: opt.Of(model.QueueStartingPositionTypeLatest)}
	if q.Position != "" {
		at.Type = opt.Of(model.QueueStartingPositionType(q.Position))
	}
	if at.Type.V == model.QueueStartingPositionTypeAtTimestamp {
		at.Timestamp = millis(q.Timestamp)
	}
	return &model.QueueDescription{
		QueueName: opt.Of(q.Name), QueueARN: opt.Of(r.ARN), QueueStatus: opt.Of(model.QueueStatus(r.State)),
		QueueCreationTimestamp: millis(r.Created),
		QueueAttributes: &model.QueueAttributes{
			VisibilityTimeoutSeconds: opt.Of(int32(q.VisibilitySeconds)), DeadLetterConfiguration: dead,
		},
		StreamConfigurationList: []model.QueueStreamConfiguration{{StreamARN: opt.Of(st.ARN), StartingPosition: at}},
	}, nil
}

// receive answers the two calls that receive.
func (d *Door) receive(ctx context.Context, queueARN opt.V[string], dead bool, limit, wait, visibility opt.V[int32]) ([]model.QueueRecord, error) {
	scope, id, err := queueID(queueARN)
	if err != nil {
		return nil, err
	}
	found, err := d.queues.Receive(ctx, queues.Receiving{
		Scope: scope, Queue: id, Dead: dead, Limit: int(limit.Or(queues.MaxReceive)),
		Wait: time.Duration(wait.V) * time.Second, VisibilitySeconds: int(visibility.Or(-1)),
		Hold: func(n int) bool { return awsapi.Hold(ctx, 3*n+1024) }, // the copy, and the encoded form
	})
	if err != nil {
		return nil, queueError(err)
	}
	out := make([]model.QueueRecord, len(found))
	for i := range found {
		r := &found[i]
		out[i] = model.QueueRecord{
			ReceiptHandle: opt.Of(r.Receipt), RecordId: opt.Of(r.Sequence.String()), Data: r.Data,
			ApproximateArrivalTimestamp: millis(r.Arrival), FirstReceiveTimestamp: millis(r.FirstReceived),
			ReceiveCount: opt.Of(int32(r.Count)),
		}
		if r.Data == nil {
			out[i].Data = []byte{}
		}
		if r.Key != nil {
			out[i].PartitionKey = opt.Of(string(r.Key))
		}
	}
	return out, nil
}

// batch reads what the calls on receipts have in common.
func batch[E any](queueARN opt.V[string], dead bool, entries []E, receipt func(*E) string) (queues.Batch, error) {
	scope, id, err := queueID(queueARN)
	b := queues.Batch{Scope: scope, Queue: id, Dead: dead, Receipts: make([]string, len(entries))}
	for i := range entries {
		b.Receipts[i] = receipt(&entries[i])
	}
	return b, err
}

// results sorts the entries of a batch into those that went well and the others.
func results[S, F any](b *queues.Batch, failures []error, well func(receipt opt.V[string]) S, ill func(receipt, code, msg opt.V[string]) F) ([]S, []F) {
	successful, failed := []S{}, []F{}
	for i, err := range failures {
		receipt := opt.Of(b.Receipts[i])
		if err == nil {
			successful = append(successful, well(receipt))
			continue
		}
		code := "InternalFailureException"
		switch errs.KindOf(err) {
		case errs.Invalid:
			code = "InvalidArgumentException"
		case errs.NotFound:
			code = "ResourceNotFoundException"
		case errs.Throttled:
			code = "ThrottlingException"
		}
		failed = append(failed, ill(receipt, opt.Of(code), opt.Of(message(err))))
	}
	return successful, failed
}
