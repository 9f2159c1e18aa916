package awsapi

import (
	"context"
	"net/http"

	"thalweg/internal/arn"
)

// Caller is who makes a request, and where.
type Caller struct {
	// Account is the 12-digit account whose resources are meant.
	Account string
	// Region is that of the request's credential scope.
	Region      string
	AccessKeyID string
	// PrincipalARN names the user or role behind the access key.
	PrincipalARN string
	// RequestID is the id in the answer's x-amzn-RequestId.
	RequestID string
	// SourceIP is the address of the connection's other end.
	SourceIP string
	// LocalIP is the address of this end, "" where that is not known.
	LocalIP string
	// Secure is whether the connection is encrypted.
	Secure bool
	// Service is the service's name.
	Service string
	// Invocation is the id that AWS's SDKs send with every attempt of one call
	// (amz-sdk-invocation-id), "" where there is none.
	Invocation string
}

// ARN names a resource of the caller's account and region, in the region's own
// partition.
func (c Caller) ARN(service, resource string) string {
	return arn.New(service, c.Region, c.Account, resource).String()
}

// Auth says who makes a request and what they may do. Both methods are called by
// many requests at once.
type Auth interface {
	// Authenticate verifies the request, whose whole body is given, against the
	// signing name of the service it was routed to. It fills Account, Region,
	// AccessKeyID and PrincipalARN.
	Authenticate(r *http.Request, service string, body []byte) (Caller, *Error)
	// Authorize reports whether the caller may do the action to the resource, an
	// ARN or "*" where the request names none.
	Authorize(c Caller, action, resource string) *Error
}

// Budget bounds the memory of all requests under way.
type Budget interface {
	TryAcquire(n int64) bool
	Release(n int64)
}

// Observer is told of every request that was routed. code is the error's, empty
// for success.
type Observer interface {
	Observe(service, op, code string, seconds float64, bytesIn, bytesOut int)
}

// call is the state of one request, kept in its context.
type call struct {
	caller     Caller
	auth       Auth
	action     string
	authorised bool
	done       []func()
	x          *exchange // nil outside a server
}

type callKey struct{}

func callFrom(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// CallerFrom returns the caller of the request that ctx belongs to, the zero
// Caller when it belongs to none.
func CallerFrom(ctx context.Context) Caller {
	if c := callFrom(ctx); c != nil {
		return c.caller
	}
	return Caller{}
}

// WithCaller returns a context for calls to a handler outside a server, as tests
// make them; they may do anything.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callKey{}, &call{caller: c, authorised: true})
}

// Authorize asks whether the caller of ctx may do the operation under way to the
// resource. It is for a [FastFunc], and for a handler that learns the resource
// only from a token. Without a request in ctx the answer is no.
func Authorize(ctx context.Context, resource string) *Error {
	action := ""
	if c := callFrom(ctx); c != nil {
		action = c.action
	}
	return AuthorizeAction(ctx, action, resource)
}

// AuthorizeAction is Authorize for an action that an operation needs beside its own.
func AuthorizeAction(ctx context.Context, action, resource string) *Error {
	c := callFrom(ctx)
	switch {
	case c == nil:
		return errDenied()
	case c.auth == nil: // from WithCaller
		return nil
	}
	if err := c.auth.Authorize(c.caller, action, resource); err != nil {
		return err
	}
	c.authorised = true
	return nil
}

// Hold draws n bytes of the memory budget for the request of ctx, until it has
// been answered, and reports whether there were so many. A handler calls it for
// what it builds beyond a few kilobytes. Outside a server there is no bound.
func Hold(ctx context.Context, n int) bool {
	c := callFrom(ctx)
	return c == nil || c.x == nil || c.x.mem.grow(c.x.mem.held+int64(n))
}

// Send writes what a [FastFunc] has of its answer so far and returns out emptied,
// for the rest. It may be called once the operation can no longer fail: status
// and headers are gone with the first piece, and an error after it breaks the
// connection off. Outside a server it returns out as it is.
func Send(ctx context.Context, out []byte) []byte {
	c := callFrom(ctx)
	if c == nil || c.x == nil {
		return out
	}
	c.x.send(out)
	return out[:0]
}

// OnDone has f called once the answer of the request under way has been encoded,
// or has failed. A handler uses it to release what its output refers to. Outside
// a server it does nothing.
func OnDone(ctx context.Context, f func()) {
	if c := callFrom(ctx); c != nil {
		c.done = append(c.done, f)
	}
}

func errDenied() *Error {
	return NewError("AccessDeniedException", "Access denied.", http.StatusBadRequest)
}
