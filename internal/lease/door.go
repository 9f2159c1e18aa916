// Package lease is the door of what consumer libraries call besides the streams:
// the part of DynamoDB in which they keep their leases, the one operation of
// CloudWatch to which they publish, and the one of STS by which they learn whose
// credentials they have. One file per operation, each opened by its contract.
//
// [Tables] turns the shapes of DynamoDB into calls of package tables and back.
// What is outside the part is refused: an operation as one that does not exist, a
// parameter with a ValidationException that names it. Texts of errors are
// DynamoDB's where they are known (developer guide; dynalite's recorded tests).
//
// The doors keep no state and are safe for concurrent use.
package lease

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/codec"
	"thalweg/internal/awsapi/model/cloudwatch"
	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/awsapi/model/sts"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/metrics"
	"thalweg/internal/tables"
	"thalweg/internal/tables/value"
)

// Tables answers the operations of DynamoDB.
type Tables struct{ tables *tables.Service }

// NewTables returns the door to t.
func NewTables(t *tables.Service) *Tables { return &Tables{t} }

// Service is the table of operations to serve.
func (d *Tables) Service() *awsapi.Service { return model.NewService(d) }

// Metrics answers the one operation of CloudWatch.
type Metrics struct {
	to    *metrics.Registry
	clock clock.Clock
}

// NewMetrics returns the door to r.
func NewMetrics(r *metrics.Registry, c clock.Clock) *Metrics { return &Metrics{r, c} }

// Service is the table of operations to serve.
func (d *Metrics) Service() *awsapi.Service { return cloudwatch.NewService(d) }

// Identity answers the one operation of STS.
type Identity struct{}

// Service is the table of operations to serve.
func (d Identity) Service() *awsapi.Service { return sts.NewService(d) }

// scopeOf is where a caller's names mean something.
func scopeOf(c awsapi.Caller) tables.Scope {
	return tables.Scope{Account: c.Account, Region: c.Region}
}

// resolve reads a table's name, or its ARN, which says its own account and region
// and is asked about then.
func resolve(ctx context.Context, text string) (tables.Scope, string, error) {
	c := awsapi.CallerFrom(ctx)
	if !strings.HasPrefix(text, "arn:") {
		return scopeOf(c), text, nil
	}
	p, ok := arn.Parse(text)
	table, isTable := strings.CutPrefix(p.Resource, "table/")
	if !ok || p.Service != "dynamodb" || !isTable || table == "" || strings.Contains(table, "/") {
		return tables.Scope{}, "", invalid("Invalid table ARN: " + text)
	}
	if err := awsapi.Authorize(ctx, text); err != nil {
		return tables.Scope{}, "", err
	}
	return tables.Scope{Account: p.Account, Region: p.Region}, table, nil
}

// authorised is resolve for a table that is named deep in a request. All tables
// of one request must be of one account and region.
func authorised(ctx context.Context, text string) (string, error) {
	c := awsapi.CallerFrom(ctx)
	scope, table, err := resolve(ctx, text)
	if err != nil {
		return "", err
	}
	if scope != scopeOf(c) {
		return "", invalid("Requests on several tables are limited to those of the caller's account and region: " + text)
	}
	if err := awsapi.Authorize(ctx, c.ARN("dynamodb", "table/"+table)); err != nil {
		return "", err
	}
	return table, nil
}

// invalid is the service's error for a request that cannot succeed.
func invalid(text string) *awsapi.Error {
	return awsapi.NewError("ValidationException", text, http.StatusBadRequest)
}

// unsupported refuses a parameter.
func unsupported(parameter string) error {
	return invalid(parameter + " is not supported by this server.")
}

// wireError is the table from kinds of failure to the errors of the API.
func wireError(err error) error {
	var failed *tables.ConditionFailed
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed):
		return model.NewConditionalCheckFailedException(failed.Error())
	}
	msg := message(err)
	switch errs.KindOf(err) {
	case errs.Invalid:
		return invalid(msg)
	case errs.NotFound:
		return model.NewResourceNotFoundException(msg)
	case errs.Exists, errs.InUse:
		return model.NewResourceInUseException(msg)
	case errs.LimitExceeded:
		return model.NewLimitExceededException(msg)
	case errs.Throttled:
		return model.NewProvisionedThroughputExceededException(msg)
	case errs.NoSpace, errs.ReadOnly:
		// AWS has no name for these; the text is for who runs the server.
		return model.NewInternalServerError(msg)
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

// sentence is the text of one of the service's errors.
func sentence(err error) string {
	var e *awsapi.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// writeError is wireError for a write, with the item that failed its condition
// when the request asks for it.
func writeError(err error, show bool) error {
	var failed *tables.ConditionFailed
	if errors.As(err, &failed) && show && failed.Item != nil {
		return model.NewConditionalCheckFailedException(failed.Error()).With("Item", encodedItem(failed.Item))
	}
	return wireError(err)
}

// encodedItem writes an item as a member of an error.
func encodedItem(it value.Item) func(codec.Encoder) {
	return func(e codec.Encoder) {
		e.BeginMap(len(it))
		for _, name := range codec.SortedKeys(it) {
			e.MapKey(name)
			v := attributeValue(it[name])
			v.Encode(e)
		}
		e.EndMap()
	}
}

// hold draws what an answer of n stored bytes takes to build on the budget.
func hold(ctx context.Context, n int) error {
	const expansion = 6 // values, shapes and text beside the bytes themselves
	if !awsapi.Hold(ctx, expansion*n) {
		return model.NewProvisionedThroughputExceededException("The server is short of memory for requests. Try again later.")
	}
	return nil
}
