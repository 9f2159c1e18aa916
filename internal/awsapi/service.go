package awsapi

import (
	"context"
	"fmt"

	"thalweg/internal/awsapi/codec"
	"thalweg/internal/awsapi/codec/restjson"
	"thalweg/internal/awsapi/validate"
)

// Protocol is how a service's operations travel over HTTP.
type Protocol uint8

const (
	// AWSJSON is POST / with the operation in X-Amz-Target and the whole input in
	// the body, as JSON 1.1 or CBOR.
	AWSJSON Protocol = iota
	// RESTJSON is a method and path for each operation, members in path, query
	// and headers, and JSON in the body.
	RESTJSON
	// Query is a form with the operation in Action, answered in XML.
	Query
)

// Codec is the format of one request and its answer.
type Codec uint8

const (
	// JSON is application/x-amz-json-1.1, and application/json for RESTJSON.
	JSON Codec = iota
	// CBOR is application/x-amz-cbor-1.1.
	CBOR
)

// Input is an operation's input, made by tools/apigen.
type Input interface {
	Decode(codec.Decoder)
	Encode(codec.Encoder)
	Validate(*validate.Collector)
	// Resource returns the ARN that the input names, or "*".
	Resource(Caller) string
}

// Output is an operation's output, made by tools/apigen.
type Output interface {
	Encode(codec.Encoder)
	Decode(codec.Decoder)
}

// boundInput is an Input with members in path, query or headers.
type boundInput interface {
	DecodeRequest(*restjson.Request)
}

// boundOutput is an Output with members in headers, or a stream for a body.
type boundOutput interface {
	EncodeResponse(*restjson.Response)
}

// FastFunc may answer an operation before the general decoder sees it. It appends
// the answer's body to out and returns it with handled true; with handled false
// it has left body as it was and the general path follows. An error is answered
// as a handler's. It must call [Authorize] before it acts. body and out are
// reused after it returns.
type FastFunc func(ctx context.Context, c Codec, body, out []byte) (resp []byte, handled bool, err error)

// Op is one operation of a service.
type Op struct {
	Name string
	// Action is what policies name, such as kinesis:PutRecord.
	Action string
	// Method and Path route the operations of RESTJSON services.
	Method, Path string
	// Status is the HTTP status of success.
	Status int
	// NoOutput is whether the answer's body is empty: the model has no output, or
	// in RESTJSON none with members.
	NoOutput bool
	// Gzip is whether the request's body may come compressed.
	Gzip bool
	// Idempotent and ReadOnly are traits of the model.
	Idempotent, ReadOnly bool
	// Errors are the names of the errors the model declares.
	Errors []string
	// Invoke calls the handler's method.
	Invoke *Invoker
	// Fast, if any, is tried first. It is set before NewServer.
	Fast FastFunc

	path restjson.Template
}

// Invoker is an operation's handler without its types.
type Invoker struct {
	newInput  func() Input
	newOutput func() Output
	call      func(context.Context, Input) (Output, error)
}

// NewInput returns an empty input of the operation.
func (v *Invoker) NewInput() Input { return v.newInput() }

// NewOutput returns an empty output of the operation.
func (v *Invoker) NewOutput() Output { return v.newOutput() }

// Call has the handler answer an input of the operation. It neither validates
// nor authorises; a Server does.
func (v *Invoker) Call(ctx context.Context, in Input) (Output, error) { return v.call(ctx, in) }

// Bind makes an Invoker of a handler's method.
func Bind[I, O any, PI interface {
	*I
	Input
}, PO interface {
	*O
	Output
}](method func(context.Context, *I) (*O, error)) *Invoker {
	return &Invoker{
		newInput:  func() Input { return PI(new(I)) },
		newOutput: func() Output { return PO(new(O)) },
		call: func(ctx context.Context, in Input) (Output, error) {
			out, err := method(ctx, (*I)(in.(PI)))
			if err != nil {
				return nil, err
			}
			if out == nil {
				out = new(O)
			}
			return PO(out), nil
		},
	}
}

// Service is one AWS service: its wire facts and its operations.
type Service struct {
	// Name is the service's name in metrics and logs, such as kinesis.
	Name string
	// SigningName is the service in the scope of a signature.
	SigningName string
	// HostPrefixes are the first labels of the service's host names.
	HostPrefixes []string
	// TargetPrefix stands before the operation in X-Amz-Target (AWSJSON).
	TargetPrefix string
	Protocol     Protocol
	// Version and XMLNamespace are set for a service that speaks Query, be it
	// beside its Protocol: its API version and the name space of its answers.
	Version, XMLNamespace string
	// RPC is whether the service also speaks Smithy's RPC v2 with CBOR, under
	// TargetPrefix.
	RPC bool
	// ErrorPrefix stands before an error's name in a document.
	ErrorPrefix string
	// MaxBody bounds a request's body, in bytes.
	MaxBody int64
	// Throttled and Invalid make the service's errors for an overloaded server and
	// for an input that breaks the model's constraints.
	Throttled, Invalid func(msg string) *Error
	// Subject, if any, says what a request is about, as Input.Resource does, where
	// the input itself may not tell: it names a token.
	Subject func(ctx context.Context, in Input) string
	// Admit, if any, refuses a valid call before its handler sees it: one that comes
	// too often. Operations with a Fast see to that themselves.
	Admit func(ctx context.Context, op *Op, in Input) error
	// Errors makes every error of the model, by name.
	Errors map[string]func(msg string) *Error
	Ops    []*Op
}

// Op returns the operation of the name, nil when there is none.
func (s *Service) Op(name string) *Op {
	for _, op := range s.Ops {
		if op.Name == name {
			return op
		}
	}
	return nil
}

// check reports what is missing in the service's table. An operation without an
// action could not be authorised.
func (s *Service) check() error {
	switch {
	case s.Name == "" || s.SigningName == "" || s.MaxBody <= 0 || s.Throttled == nil || s.Invalid == nil:
		return fmt.Errorf("service %q: incomplete", s.Name)
	case s.Protocol == AWSJSON && s.TargetPrefix == "":
		return fmt.Errorf("service %q: no target prefix", s.Name)
	case s.Protocol == Query && s.Version == "":
		return fmt.Errorf("service %q: no version", s.Name)
	}
	for _, op := range s.Ops {
		if op.Name == "" || op.Action == "" || op.Invoke == nil || op.Status == 0 {
			return fmt.Errorf("service %q: operation %q: incomplete", s.Name, op.Name)
		}
		if s.Protocol == RESTJSON && (op.Method == "" || op.Path == "") {
			return fmt.Errorf("service %q: operation %q: no route", s.Name, op.Name)
		}
	}
	return nil
}
