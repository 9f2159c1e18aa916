package awsapi

import (
	"errors"
	"net/http"

	"thalweg/internal/awsapi/codec"
)

// Fault says whose an error is.
type Fault uint8

const (
	// ClientFault is an error that the same request meets again.
	ClientFault Fault = iota
	// ServerFault is an error that is the service's.
	ServerFault
)

// Error is an error of a service as a client sees it.
type Error struct {
	// Code is the error's name, such as ResourceNotFoundException.
	Code string
	// Message is the sentence for the client; empty ones are not sent.
	Message string
	// Status is the HTTP status.
	Status int
	// Fault is whose the error is.
	Fault Fault
	// MessageKey is the member that carries Message; "message" when empty.
	MessageKey string
	// Fields are further members of the error's shape.
	Fields []Field
}

// Field is a member of an error's shape: a string, []string, [][]string, or a
// function that writes the value.
type Field struct {
	Name  string
	Value any
}

// NewError returns a client's error with a status.
func NewError(code, message string, status int) *Error {
	return &Error{Code: code, Message: message, Status: status}
}

// NewFault returns a server's error with a status.
func NewFault(code, message string, status int) *Error {
	return &Error{Code: code, Message: message, Status: status, Fault: ServerFault}
}

// With adds a member and returns e, which it changes. The value is one that a
// [Field] can have.
func (e *Error) With(name string, value any) *Error {
	e.Fields = append(e.Fields, Field{Name: name, Value: value})
	return e
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Code + ": " + e.Message
}

// encode writes the error as its service's clients read it: with its name, as
// typed, as __type in the JSON 1.1 and CBOR formats, with the members only, typed
// "", in REST-JSON, where a header has the name.
func (e *Error) encode(enc codec.Encoder, typed string) {
	enc.BeginStruct()
	if typed != "" {
		enc.Key("__type")
		enc.String(typed)
	}
	for _, f := range e.Fields {
		enc.Key(f.Name)
		encodeField(enc, f.Value)
	}
	if e.Message != "" {
		key := e.MessageKey
		if key == "" {
			key = "message"
		}
		enc.Key(key)
		enc.String(e.Message)
	}
	enc.EndStruct()
}

func encodeField(enc codec.Encoder, v any) {
	switch v := v.(type) {
	case string:
		enc.String(v)
	case []string:
		encodeList(enc, v)
	case [][]string:
		encodeList(enc, v)
	case func(codec.Encoder):
		v(enc)
	default:
		enc.String("")
	}
}

func encodeList[T any](enc codec.Encoder, list []T) {
	enc.BeginList(len(list))
	for _, v := range list {
		encodeField(enc, v)
	}
	enc.EndList()
}

// asError returns the *Error in err's chain.
func asError(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok && e != nil
}

// The errors of the pipeline itself. Their names and texts are AWS's, recorded by
// kinesalite (test/connection.js and test/helpers.js).

func errInternal() *Error { return NewFault("InternalFailure", "", http.StatusInternalServerError) }

func errUnknownOperation() *Error {
	return NewError("UnknownOperationException", "", http.StatusBadRequest)
}

// errNoRoute is the answer to a request that names no service; it goes out as
// XML, for want of a service whose format it could have.
func errNoRoute() *Error {
	return NewError("AccessDeniedException", "Unable to determine service/operation name to be authorized", http.StatusForbidden)
}

func errTooLarge() *Error {
	return NewError("RequestEntityTooLargeException", "", http.StatusRequestEntityTooLarge)
}

// errSerialization carries its text, when AWS gives one, in a member with a
// capital letter.
func errSerialization(text string) *Error {
	e := NewError("SerializationException", text, http.StatusBadRequest)
	e.MessageKey = "Message"
	return e
}
