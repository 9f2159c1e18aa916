// Package firehose is the door of Data Firehose: it turns the shapes of the API into
// calls of package delivery and back. One file per operation, each opened by its
// contract.
//
// A destination's configuration, its update and its description are three shapes of
// nearly the same members. The domain keeps one: the JSON form of the description
// (destinations.go).
//
// The door keeps no state, and is safe for concurrent use.
package firehose

import (
	"errors"
	"time"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/firehose"
	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
	"thalweg/internal/errs"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// Door answers the operations of Data Firehose.
type Door struct {
	model.Unimplemented
	delivery *delivery.Service
	streams  *streams.Service
	clusters Clusters
}

// Clusters are the Kafka clusters whose topics can be read.
type Clusters interface {
	// Lookup returns the cluster of a name and id. Errors: NotFound.
	Lookup(scope catalog.Scope, name, uuid string) (*catalog.Resource, error)
	// Brokers returns what has the cluster's topics.
	Brokers(r *catalog.Resource) (*brokers.Cluster, error)
}

// New returns the door to the delivery streams d; the streams they read are s's, the
// topics those of c.
func New(d *delivery.Service, s *streams.Service, c Clusters) *Door {
	return &Door{delivery: d, streams: s, clusters: c}
}

// Service is the table of operations to serve.
func (d *Door) Service() *awsapi.Service { return model.NewService(d) }

// scopeOf is where a caller's names mean something.
func scopeOf(c awsapi.Caller) catalog.Scope {
	return catalog.Scope{Account: c.Account, Region: c.Region}
}

// wireError is the table from kinds of failure to the errors of the API.
func wireError(err error) error {
	if err == nil {
		return nil
	}
	msg := message(err)
	switch errs.KindOf(err) {
	case errs.Invalid, errs.OutOfRange, errs.Unsupported:
		return model.NewInvalidArgumentException(msg)
	case errs.NotFound:
		return model.NewResourceNotFoundException(msg)
	case errs.Exists, errs.InUse:
		return model.NewResourceInUseException(msg)
	case errs.LimitExceeded:
		return model.NewLimitExceededException(msg)
	case errs.Fenced:
		return model.NewConcurrentModificationException(msg)
	case errs.Throttled, errs.NoSpace, errs.ReadOnly:
		return model.NewServiceUnavailableException(msg)
	}
	return err // becomes InternalFailure and a line in the log
}

// message is the sentence for the client.
func message(err error) string {
	var e *errs.Error
	if errors.As(err, &e) && e.Msg != "" {
		return e.Msg
	}
	return err.Error()
}

func millis(ms int64) opt.V[time.Time] { return opt.Of(time.UnixMilli(ms).UTC()) }
