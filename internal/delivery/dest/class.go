package dest

import "errors"

// Class says what the engine does about a failed delivery.
type Class uint8

const (
	// Retryable may succeed when tried again: it is, with backoff, for the time that
	// the configuration gives. An error without a class is of this one.
	Retryable Class = iota
	// Throttled is Retryable, and says that the destination is overloaded: fewer
	// deliveries to its host follow.
	Throttled
	// Permanent will never succeed: the batch goes to the error output at once.
	Permanent
)

func (c Class) String() string { return [...]string{"retryable", "throttled", "permanent"}[c] }

// Error is a delivery that failed, as the error output and the ledger tell it.
type Error struct {
	Class Class
	// Code is the service's name for it, such as S3.NoSuchBucket or
	// HttpEndpoint.RequestTimeout.
	Code    string
	Message string
	// Untouched tells that nothing of the batch has arrived, so that it may go
	// elsewhere.
	Untouched bool
	// Arrived tells of a record of the batch, by its position, that it has arrived all the
	// same, so that it is not among those that failed. Nil: none has.
	Arrived func(index int) bool
	Err     error // the cause; may be nil
}

func (e *Error) Error() string {
	s := e.Code + ": " + e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf returns the class of err.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return Retryable
}
