package faults

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"thalweg/internal/awsapi"
	"thalweg/internal/errs"
)

// Kind is what a rule does to a request. The values are those of the API.
type Kind string

const (
	// Latency holds the request up for MS milliseconds; then it goes on.
	Latency Kind = "latency"
	// Throttle answers with the operation's throttling error.
	Throttle Kind = "throttle"
	// Partial has a Share of the entries of a batch fail with Error, each by
	// itself. The others are done.
	Partial Kind = "partial"
	// Fail answers with Error, which the operation declares.
	Fail Kind = "error"
	// Reset breaks the connection off, before the request is done or After it.
	Reset Kind = "reset"
)

// Rule is one fault. Members that its kind has no use for must be absent.
type Rule struct {
	// Service is the service's name; "" is every one that has the operation and in
	// which the rule is possible.
	Service   string `json:"service,omitempty"`
	Operation string `json:"operation"`
	// Stream is the name of the stream that is meant; "" is every request.
	Stream string `json:"stream,omitempty"`
	// Rate is the share of requests that are hit, above 0 and up to 1; absent is 1.
	Rate *float64 `json:"rate,omitempty"`
	// Count is how many requests are hit in all; 0 is without end.
	Count int  `json:"count,omitempty"`
	Kind  Kind `json:"kind"`

	MS int `json:"ms,omitempty"`
	// Share is above 0 and up to 1; absent is 0.5.
	Share *float64 `json:"share,omitempty"`
	// Error is the name of the error. Partial takes that of an entry's.
	Error   string `json:"error,omitempty"`
	Message string `json:"message,omitempty"`
	// Status overrides the error's own HTTP status.
	Status int  `json:"status,omitempty"`
	After  bool `json:"after,omitempty"`
}

// maxLatency bounds a request's delay.
const maxLatency = 10 * time.Minute

// batches are the operations whose handlers ask for the fault of each entry, and
// the codes that an entry may fail with: the first is the one of a rule that
// names none.
var batches = map[string][]string{
	"kinesis.PutRecords": {"ProvisionedThroughputExceededException", "InternalFailure"},
}

// common are the errors that every operation may answer with and models do not
// list, with their status
// (docs.aws.amazon.com/kinesis/latest/APIReference/CommonErrors.html).
var common = map[string]int{"InternalFailure": 500, "ServiceUnavailable": 503}

// check says what is wrong with a rule for an operation of a service.
func (r *Rule) check(svc *awsapi.Service, op *awsapi.Op) error {
	own := map[Kind][]string{
		Latency: {"ms"}, Throttle: {"message"}, Partial: {"share", "error"}, Fail: {"error", "message", "status"}, Reset: {"after"},
	}
	allowed, known := own[r.Kind]
	if !known {
		return invalid("the kind %q is none of latency, throttle, partial, error, reset", r.Kind)
	}
	for _, m := range []struct {
		name string
		set  bool
	}{
		{"ms", r.MS != 0}, {"share", r.Share != nil}, {"error", r.Error != ""}, {"message", r.Message != ""},
		{"status", r.Status != 0}, {"after", r.After},
	} {
		if m.set && !slices.Contains(allowed, m.name) {
			return invalid("the kind %s takes no %s", r.Kind, m.name)
		}
	}
	switch {
	case r.Rate != nil && !isShare(*r.Rate):
		return invalid("the rate must be above 0 and at most 1")
	case r.Share != nil && !isShare(*r.Share):
		return invalid("the share must be above 0 and at most 1")
	case r.Count < 0:
		return invalid("the count must not be negative")
	}
	name := svc.Name + "." + op.Name
	switch r.Kind {
	case Latency:
		if r.MS < 1 || time.Duration(r.MS)*time.Millisecond > maxLatency {
			return invalid("ms must be between 1 and %d", maxLatency.Milliseconds())
		}
	case Throttle:
		if !slices.Contains(op.Errors, svc.Throttle(op, "").Code) {
			return invalid("%s declares no throttling error", name)
		}
	case Partial:
		codes := batches[name]
		if codes == nil {
			return invalid("%s has no entries that can fail by themselves", name)
		}
		if r.Error != "" && !slices.Contains(codes, r.Error) {
			return invalid("an entry of %s fails with one of %s", name, strings.Join(codes, ", "))
		}
	case Fail:
		if _, ok := common[r.Error]; !ok && (svc.Errors[r.Error] == nil || !slices.Contains(op.Errors, r.Error)) {
			return invalid("%s does not declare the error %q; it declares %s, and every operation InternalFailure and ServiceUnavailable",
				name, r.Error, strings.Join(op.Errors, ", "))
		}
		if r.Status != 0 && (r.Status < 400 || r.Status > 599) {
			return invalid("the status of an error must be between 400 and 599")
		}
	}
	return nil
}

func isShare(f float64) bool { return f > 0 && f <= 1 }

// err is the error that a rule of kind Fail answers with.
func (r *Rule) err(svc *awsapi.Service) *awsapi.Error {
	text := r.Message
	if text == "" {
		text = "This error was injected."
	}
	var e *awsapi.Error
	if status, ok := common[r.Error]; ok {
		e = awsapi.NewFault(r.Error, text, status)
	} else {
		e = svc.Errors[r.Error](text)
	}
	if r.Status != 0 {
		e.Status = r.Status
	}
	return e
}

func invalid(format string, args ...any) error {
	return errs.New(errs.Invalid, fmt.Sprintf(format, args...))
}
