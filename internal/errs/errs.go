// Package errs is the error that crosses package borders: what was being done,
// of what kind the failure is, and what an operator can do about it.
//
// A domain package returns *Error; a door maps Kind to its wire error in one
// table. Errors are returned or logged, never both. The package holds no state
// and is safe for concurrent use.
package errs

import (
	"errors"
	"strings"
)

// Kind says of what sort a failure is. The list is append-only.
type Kind uint8

const (
	// Internal is a failure that is nobody's fault but ours.
	Internal Kind = iota
	// Invalid is a request that can never succeed as it stands.
	Invalid
	// NotFound is a resource that does not exist.
	NotFound
	// Exists is a resource that is there already.
	Exists
	// InUse is a resource in a state that forbids the request for now.
	InUse
	// LimitExceeded is a request beyond a quota.
	LimitExceeded
	// Throttled is a request that may succeed when tried again later.
	Throttled
	// Expired is a token or iterator past its time.
	Expired
	// Denied is a caller that may not do this.
	Denied
	// ReadOnly is a data directory that takes no more writes until a restart.
	ReadOnly
	// NoSpace is a full disk or a reached --max-disk; it may pass.
	NoSpace
	// Corrupt is stored data that fails its check.
	Corrupt
	// Fenced is a writer whose epoch is no longer the newest.
	Fenced
	// Sealed is a partition that takes no more records.
	Sealed
	// OutOfRange is an offset below the log start or beyond its end.
	OutOfRange
	// Unsupported is something not built, or not allowed here.
	Unsupported
	// Closed is a component that has been shut down.
	Closed
)

var kindNames = [...]string{
	"internal", "invalid", "not found", "exists", "in use", "limit exceeded", "throttled", "expired",
	"denied", "read-only", "no space", "corrupt", "fenced", "sealed", "out of range", "unsupported", "closed",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Error is one failure. Op is the operation as a verb phrase ("open segment"),
// Msg the sentence a user may see, Hint the next command to try, Err the cause.
// Every field but Kind may be empty.
type Error struct {
	Kind Kind
	Op   string
	Msg  string
	Hint string
	Err  error
}

// New returns an error of kind k that says msg.
func New(k Kind, msg string) *Error { return &Error{Kind: k, Msg: msg} }

// Wrap returns an error of kind k for op, caused by err.
func Wrap(k Kind, op string, err error) *Error { return &Error{Kind: k, Op: op, Err: err} }

func (e *Error) Error() string {
	parts := make([]string, 0, 4)
	for _, p := range []string{e.Op, e.Msg} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	if len(parts) == 0 {
		parts = append(parts, e.Kind.String())
	}
	s := strings.Join(parts, ": ")
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes two errors of this type equal when kind and message are, so that
// sentinel values can be compared with errors.Is.
func (e *Error) Is(target error) bool {
	var t *Error
	ok := errors.As(target, &t)
	return ok && t.Kind == e.Kind && t.Msg == e.Msg && t.Err == nil
}

// KindOf returns the kind of the outermost *Error in err's chain, Internal if
// there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
