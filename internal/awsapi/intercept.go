package awsapi

import (
	"context"
	"errors"
)

// Interceptor stands between the pipeline and the handlers of the operations it
// wants. A request reaches it authorised, valid and admitted.
type Interceptor interface {
	// Wants reports whether calls of an operation are to go through Intercept. It
	// is asked for every request. An operation that is wanted is not answered by
	// its Fast.
	Wants(op *Op) bool
	// Intercept answers a call, by next or without it.
	Intercept(ctx context.Context, c Call, next func(context.Context) (Output, error)) (Output, error)
}

// Call is one call of an operation.
type Call struct {
	Service *Service
	Op      *Op
	// Resource is the ARN of what the call is about, or "*".
	Resource string
}

// ErrBreak, from an Interceptor, breaks the connection off instead of an answer.
var ErrBreak = errors.New("break the connection off")

type entryFaultKey struct{}

// WithEntryFaults returns a context whose [EntryFaults] is f.
func WithEntryFaults(ctx context.Context, f func() string) context.Context {
	return context.WithValue(ctx, entryFaultKey{}, f)
}

// EntryFaults returns what the handler of a batch is to ask for each entry, in
// order: the code of the error that the entry is made to fail with, "" where it is
// not. It is nil, nearly always, when none is made to.
func EntryFaults(ctx context.Context) func() string {
	f, _ := ctx.Value(entryFaultKey{}).(func() string)
	return f
}
