// Package kinesis is the door of Kinesis Data Streams: it turns the shapes of the
// API into calls of package streams and back. One file per operation, each
// opened by its contract; an operation without a file is refused by the
// generated Unimplemented.
//
// PutRecord, PutRecords and GetRecords have, beside the handler over generated
// shapes, a path of their own for JSON (fast_put.go, fast_get.go) that moves
// bytes between the request or the answer and record batches directly. It takes
// the usual form of a request only and leaves everything else, every error of
// input included, to the general path: same answer, less work.
//
// The door keeps no state but pooled buffers, and is safe for concurrent use.
package kinesis

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
	"thalweg/internal/errs"
	"thalweg/internal/opt"
	"thalweg/internal/queues"
	"thalweg/internal/streams"
)

// Door answers the operations of Kinesis Data Streams.
type Door struct {
	model.Unimplemented
	streams  *streams.Service
	queues   *queues.Service
	channels *delivery.Service
	scans    sync.Pool // *putScan
}

// New returns the door to s, its queues, and what delivers for its channels.
func New(s *streams.Service, q *queues.Service, channels *delivery.Service) *Door {
	return &Door{streams: s, queues: q, channels: channels, scans: sync.Pool{New: func() any { return new(putScan) }}}
}

// Service is the table of operations to serve, with the door's own paths in it.
func (d *Door) Service() *awsapi.Service {
	svc := model.NewService(d)
	svc.Admit, svc.Subject = d.admit, d.subject
	svc.Op("PutRecord").Fast = d.fastPutRecord
	svc.Op("PutRecords").Fast = d.fastPutRecords
	svc.Op("GetRecords").Fast = d.fastGetRecords
	return svc
}

// scopeOf is where a caller's names mean something.
func scopeOf(c awsapi.Caller) catalog.Scope {
	return catalog.Scope{Account: c.Account, Region: c.Region}
}

// address is a stream as a request names it.
type address struct {
	scope catalog.Scope
	name  string
}

// resolve reads the two ways to name a stream: by name, by ARN, or by both when
// they agree. An ARN says its own account and region.
func resolve(ctx context.Context, name, streamARN opt.V[string]) (address, error) {
	a := address{scope: scopeOf(awsapi.CallerFrom(ctx)), name: name.V}
	if !streamARN.Set {
		if !name.Set {
			return a, model.NewInvalidArgumentException("Must provide either StreamName or StreamARN.")
		}
		return a, nil
	}
	byARN, err := parseStreamARN(streamARN.V)
	if err != nil {
		return a, err
	}
	if name.Set && name.V != byARN.name {
		return a, model.NewInvalidArgumentException("StreamARN " + streamARN.V + " and StreamName " + name.V +
			" do not name the same stream.")
	}
	return byARN, nil
}

// parseStreamARN reads the ARN of a stream.
func parseStreamARN(text string) (address, error) {
	p, ok := arn.Parse(text)
	name, isStream := strings.CutPrefix(p.Resource, "stream/")
	if !ok || p.Service != "kinesis" || !isStream || name == "" || strings.Contains(name, "/") {
		return address{}, model.NewInvalidArgumentException("Invalid ARN: " + text)
	}
	return address{scope: catalog.Scope{Account: p.Account, Region: p.Region}, name: name}, nil
}

// find is resolve and a look at the stream, in whatever state.
func (d *Door) find(ctx context.Context, name, streamARN opt.V[string]) (*catalog.Resource, error) {
	a, err := resolve(ctx, name, streamARN)
	if err != nil {
		return nil, err
	}
	r, err := d.streams.Lookup(a.scope, a.name)
	return r, wireError(err)
}

// usable is find for reading and writing records.
func (d *Door) usable(ctx context.Context, name, streamARN opt.V[string]) (*catalog.Resource, error) {
	a, err := resolve(ctx, name, streamARN)
	if err != nil {
		return nil, err
	}
	r, err := d.streams.Usable(a.scope, []byte(a.name))
	return r, wireError(err)
}

// wireError is the table from kinds of failure to the errors of the API.
func wireError(err error) error {
	if err == nil {
		return nil
	}
	msg := message(err)
	switch errs.KindOf(err) {
	case errs.Invalid, errs.OutOfRange:
		return model.NewInvalidArgumentException(msg)
	case errs.Unsupported:
		return model.NewValidationException(msg)
	case errs.NotFound:
		return model.NewResourceNotFoundException(msg)
	case errs.Exists, errs.InUse:
		return model.NewResourceInUseException(msg)
	case errs.LimitExceeded:
		return model.NewLimitExceededException(msg)
	case errs.Throttled:
		return model.NewProvisionedThroughputExceededException(msg)
	case errs.Expired:
		return model.NewExpiredIteratorException(msg)
	case errs.Denied:
		return model.NewAccessDeniedException(msg)
	case errs.NoSpace, errs.ReadOnly:
		// AWS has no name for these; the text is for who runs the server.
		return model.NewInternalFailureException(msg)
	}
	return err // becomes InternalFailure and a line in the log
}

// pageError is wireError for operations that take a NextToken.
func pageError(err error) error {
	if errs.KindOf(err) == errs.Expired {
		return model.NewExpiredNextTokenException(message(err))
	}
	return wireError(err)
}

// message is the sentence for the client.
func message(err error) string {
	var e *errs.Error
	if errors.As(err, &e) && e.Msg != "" {
		return e.Msg
	}
	return err.Error()
}

// dryRun is the answer to a request for r that would have succeeded.
func (d *Door) dryRun(r *catalog.Resource) error {
	if err := d.streams.AdmitDryRun(r); err != nil {
		return model.NewThrottlingException(message(err))
	}
	return model.NewDryRunOperationException("The request would have succeeded, but the DryRun parameter was set.")
}

func millis(ms int64) opt.V[time.Time] { return opt.Of(time.UnixMilli(ms).UTC()) }

// capped is a page size: def when absent, at most def.
func capped(v opt.V[int32], def int) int { return min(int(v.Or(int32(def))), def) }
