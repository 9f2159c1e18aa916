// Package lambda transforms records by functions that speak Lambda's protocol.
//
// A batch's records go to the function as one event of about BufferSizeInMBs, POSTed
// to
//
//	URL/2015-03-31/functions/function/invocations   a function's own URL: the runtime
//	                                                 interface emulator of Lambda's images
//	URL/2015-03-31/functions/ARN/invocations        an endpoint of Lambda's API, signed
//	                                                 when there are credentials
//
// or to a program in the process that is the function (package wasm),
// and come back with a result each: Ok with new data and partition keys, Dropped, or
// ProcessingFailed. Request and answer have 6 MiB each. An invocation that fails, by a
// status, a broken connection, a timeout of five minutes or an error of the function, is
// tried NumberOfRetries times more (3) with growing pauses; then its records are
// failures of type processing-failed. An answer of the wrong form is final.
//
// Sources: the developer guide on data transformation; floci's probes of AWS (2026-09)
// for which answers are retried, and the texts of errors.
package lambda

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"thalweg/internal/arn"
	"thalweg/internal/clock"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/process/wasm"
	"thalweg/internal/egress"
	"thalweg/internal/errs"
	"thalweg/internal/sigv4"
)

const (
	// MaxPayload bounds an event and an answer.
	MaxPayload = 6 << 20
	// Timeout is how long one invocation may take.
	Timeout = 5 * time.Minute

	maxRetries = 100 // of what is configured, which AWS does not check
	maxPause   = 10 * time.Second
)

// Config says where functions are.
type Config struct {
	// URLs are functions with a URL of their own, by ARN or name, Programs those that
	// run in the process.
	URLs     map[string]string
	Programs map[string]Program
	// Endpoint is where all others are asked for; empty is nowhere.
	Endpoint string
	// Account is whose functions those of a name are, and those at Endpoint. A delivery
	// stream of any account calls functions of its own only.
	Account string
	// Signer signs what goes to Endpoint; nil does not.
	Signer *sigv4.Signer
	Egress *egress.Policy
	Clock  clock.Clock
}

// Program is a function in the process. An answer has at most limit bytes.
type Program interface {
	Invoke(ctx context.Context, event []byte, limit int) ([]byte, error)
}

// Functions calls functions. It is safe for concurrent use.
type Functions struct {
	c      Config
	client *http.Client
}

// New returns the functions of a configuration; an error is of kind Invalid.
func New(c Config) (*Functions, error) {
	for name, address := range c.URLs {
		if !isURL(address) {
			return nil, errs.New(errs.Invalid, "the address of function "+name+" is no URL: "+address)
		}
	}
	if c.Endpoint != "" && !isURL(c.Endpoint) {
		return nil, errs.New(errs.Invalid, "the endpoint of functions is no URL: "+c.Endpoint)
	}
	return &Functions{c, c.Egress.Client()}, nil
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.RawQuery == "" && u.Fragment == ""
}

// failure is an invocation that did not give an answer.
type failure struct{ code, message string }

func (f *failure) Error() string { return f.code + ": " + f.message }

// names are those that a function may be configured by: by its name too, if it is of
// the operator's account.
func (f *Functions) names(function arn.ARN, text string) []string {
	kind, rest, _ := strings.Cut(function.Resource, ":")
	if name, _, _ := strings.Cut(rest, ":"); kind == "function" && function.Account == f.c.Account {
		return []string{text, name}
	}
	return []string{text}
}

// find says where a function is, and whether the call is to be signed.
func (f *Functions) find(function arn.ARN, names []string) (address string, signed bool, err error) {
	const path = "/2015-03-31/functions/"
	for _, known := range names {
		if u := f.c.URLs[known]; u != "" {
			return strings.TrimSuffix(u, "/") + path + "function/invocations", false, nil
		}
	}
	arn := names[0]
	if f.c.Endpoint != "" && function.Account == f.c.Account {
		return strings.TrimSuffix(f.c.Endpoint, "/") + path + url.PathEscape(arn) + "/invocations", f.c.Signer != nil, nil
	}
	return "", false, &failure{"Lambda.ResourceNotFound", "The Lambda function " + arn + " does not exist: neither its URL nor an endpoint of functions is configured."}
}

// invoke calls a function once, for a delivery stream of an account.
func (f *Functions) invoke(ctx context.Context, account, name string, payload []byte) ([]byte, error) {
	function, ok := arn.Parse(name)
	if !ok || function.Account != account {
		return nil, &failure{"Lambda.InvokeAccessDenied", "Access was denied. The Lambda function " + name + " is not one of the delivery stream's account."}
	}
	names := f.names(function, name)
	for _, known := range names {
		if p := f.c.Programs[known]; p != nil {
			return run(ctx, p, payload)
		}
	}
	address, signed, err := f.find(function, names)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(payload))
	if err != nil {
		return nil, &failure{"Lambda.InvalidParameterValue", err.Error()}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Amz-Invocation-Type", "RequestResponse")
	if signed {
		f.c.Signer.Sign(r, payload)
	}
	answer, err := f.client.Do(r)
	if err != nil {
		return nil, connection(ctx, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, MaxPayload+1))
	switch {
	case err != nil:
		return nil, connection(ctx, err)
	case len(body) > MaxPayload:
		return nil, &failure{"Lambda.ResponseTooLarge", "The Lambda function returned more than 6 MiB."}
	case answer.StatusCode != http.StatusOK:
		return nil, status(answer.StatusCode)
	case answer.Header.Get("X-Amz-Function-Error") != "" || functionError(body):
		return nil, &failure{"Lambda.FunctionError", "The Lambda function was successfully invoked but it returned an error result."}
	}
	return body, nil
}

// run has a program of the process answer.
func run(ctx context.Context, p Program, payload []byte) ([]byte, error) {
	answer, err := p.Invoke(ctx, payload, MaxPayload)
	switch {
	case err == nil && functionError(answer):
		return nil, &failure{"Lambda.FunctionError", "The function answered with an error."}
	case errors.Is(err, wasm.ErrTimeout):
		return nil, &failure{"Lambda.FunctionTimedOut", err.Error()}
	case errors.Is(err, wasm.ErrTooLarge):
		return nil, &failure{"Lambda.ResponseTooLarge", "The function returned more than 6 MiB."}
	case err != nil:
		return nil, &failure{"Lambda.FunctionError", "The function failed: " + err.Error()}
	}
	return answer, nil
}

// functionError tells an error from the runtime interface emulator, which sets no
// header.
func functionError(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(body, " \n"), []byte(`{"errorMessage":`)) ||
		bytes.HasPrefix(bytes.TrimLeft(body, " \n"), []byte(`{"errorType":`))
}

func connection(ctx context.Context, err error) error {
	switch {
	case errs.KindOf(err) == errs.Denied:
		return &failure{"Lambda.InvokeAccessDenied", err.Error()}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &failure{"Lambda.FunctionTimedOut",
			"Firehose encountered timeout errors when calling AWS Lambda. The maximum supported function timeout is 5 minutes."}
	}
	return &failure{"Lambda.ConnectionFailed", "The Lambda function could not be reached: " + err.Error()}
}

func status(code int) error {
	switch code {
	case http.StatusForbidden, http.StatusUnauthorized:
		return &failure{"Lambda.InvokeAccessDenied", "Access was denied. Ensure that the access policy allows access to the Lambda function."}
	case http.StatusNotFound:
		return &failure{"Lambda.ResourceNotFound", "The Lambda function does not exist."}
	case http.StatusRequestEntityTooLarge:
		return &failure{"Lambda.RequestTooLarge", "The request is too large for the Lambda function."}
	case http.StatusTooManyRequests:
		return &failure{"Lambda.InvokeLimitExceeded", "Calls to the Lambda function exceed its concurrent execution limit."}
	}
	return &failure{"Lambda.ServiceException", "The Lambda service answered with status " + strconv.Itoa(code) + "."}
}

// final tells failures that the next try would meet too.
func final(err error) bool {
	var f *failure
	return errors.As(err, &f) && slices.Contains([]string{"Lambda.ResourceNotFound", "Lambda.RequestTooLarge", "Lambda.InvalidParameterValue"}, f.code)
}

// stage is a Lambda processor.
type stage struct {
	functions *Functions
	stream    dest.Stream
	arn       string
	tries     int
	bytes     int // of an event's records, about
}

// Open makes the stage of a Lambda processor, whose parameters are given by name.
func Open(parameter func(name, otherwise string) string, e dest.Env, functions *Functions) (dest.Processor, error) {
	s := &stage{functions: functions, stream: e.Stream, arn: parameter("LambdaArn", "")}
	if s.arn == "" {
		return nil, errs.New(errs.Invalid, "LambdaArn is required for a Lambda processor")
	}
	retries, err := strconv.ParseUint(strings.TrimSpace(parameter("NumberOfRetries", "3")), 10, 31)
	if err != nil {
		return nil, errs.New(errs.Invalid, "NumberOfRetries must be a number")
	}
	s.tries = 1 + int(min(retries, maxRetries))
	size, err := strconv.ParseFloat(strings.TrimSpace(parameter("BufferSizeInMBs", "1")), 64)
	if err != nil || !(size >= 0.2 && size <= 3) {
		return nil, errs.New(errs.Invalid, "BufferSizeInMBs must be between 0.2 and 3")
	}
	s.bytes = int(size * (1 << 20))
	if wait, err := strconv.ParseUint(strings.TrimSpace(parameter("BufferIntervalInSeconds", "60")), 10, 31); err != nil || wait > 900 {
		return nil, errs.New(errs.Invalid, "BufferIntervalInSeconds must be between 0 and 900")
	}
	return s, nil
}

func (s *stage) Process(ctx context.Context, in []dest.Record) (out []dest.Record, failed []dest.Failure, err error) {
	for len(in) > 0 {
		n, size := 0, 0
		for n < len(in) && (n == 0 || size+len(in[n].Data) <= s.bytes) {
			size += len(in[n].Data)
			n++
		}
		done, bad, err := s.call(ctx, in[:n])
		if err != nil {
			return nil, nil, err
		}
		out, failed, in = append(out, done...), append(failed, bad...), in[n:]
	}
	return out, failed, nil
}

// call has one event's records transformed.
func (s *stage) call(ctx context.Context, in []dest.Record) (out []dest.Record, failed []dest.Failure, err error) {
	answer, tries, err := s.answer(ctx, in)
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	fail := func(r *dest.Record, code, message string) {
		failed = append(failed, dest.Failure{Record: *r, Type: "processing-failed", Code: code, Message: message, Attempts: tries,
			Fields: map[string]string{"lambdaArn": s.arn}})
	}
	if err != nil {
		var f *failure
		if !errors.As(err, &f) {
			return nil, nil, err
		}
		for i := range in {
			fail(&in[i], f.code, f.message)
		}
		return nil, failed, nil
	}
	byID, twice := results(answer)
	msk := strings.Contains(s.stream.SourceARN, ":kafka:")
	for i := range in {
		r := in[i]
		kept, code, message := apply(&r, byID, twice, msk)
		switch {
		case code != "":
			fail(&in[i], code, message)
		case kept:
			out = append(out, r)
		}
	}
	return out, failed, nil
}

// answer invokes the function until it answers, or it has been tried often enough.
func (s *stage) answer(ctx context.Context, in []dest.Record) (answer []byte, tries int, err error) {
	payload, err := event(s.stream, in)
	if err != nil {
		return nil, 0, err
	}
	if len(payload) > MaxPayload {
		return nil, 1, &failure{"Lambda.RequestTooLarge", fmt.Sprintf("The request has %d bytes, more than the 6 MiB that a Lambda function takes.", len(payload))}
	}
	if s.functions == nil {
		return nil, 1, &failure{"Lambda.ResourceNotFound", "The Lambda function " + s.arn + " does not exist: no functions are configured."}
	}
	pause := 100 * time.Millisecond
	for tries = 1; ; tries++ {
		answer, err = s.functions.invoke(ctx, s.stream.Account, s.arn, payload)
		if err == nil || tries == s.tries || final(err) || ctx.Err() != nil {
			return answer, tries, err
		}
		if err := wait(ctx, s.functions.c.Clock, pause); err != nil {
			return nil, tries, err
		}
		pause = min(2*pause, maxPause)
	}
}

func wait(ctx context.Context, c clock.Clock, d time.Duration) error {
	t := c.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
