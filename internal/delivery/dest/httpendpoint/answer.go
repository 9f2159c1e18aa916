package httpendpoint

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"

	"thalweg/internal/delivery/dest"
)

// quoted is how much of an endpoint's own words an error repeats.
const quoted = 256

// failed says what became of a request that had no answer.
func failed(err error) error {
	e := &dest.Error{Code: "HttpEndpoint.ConnectionFailed", Message: "No connection to the endpoint could be made.", Err: err}
	var (
		op     *net.OpError
		record tls.RecordHeaderError
		alert  tls.AlertError
		cert   *tls.CertificateVerificationError
		host   x509.HostnameError
		anchor x509.UnknownAuthorityError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		e.Code, e.Message = "HttpEndpoint.RequestTimeout", "The endpoint did not answer within three minutes."
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &record), errors.As(err, &alert), errors.As(err, &cert), errors.As(err, &host), errors.As(err, &anchor):
		e.Code, e.Message = "HttpEndpoint.SSLHandshakeFailure", "The TLS handshake with the endpoint has failed."
	case errors.As(err, &op) && op.Op == "dial":
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e.Code, e.Message = "HttpEndpoint.ConnectionReset", "The endpoint has closed the connection before it answered."
	}
	return e
}

// judge says whether an answer acknowledges the request.
func judge(resp *http.Response, id string) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	if err != nil {
		return failed(err)
	}
	switch {
	case resp.StatusCode == http.StatusRequestEntityTooLarge:
		return &dest.Error{Class: dest.Permanent, Code: "HttpEndpoint.DestinationException", Message: "The endpoint finds the request too large: 413."}
	case len(body) > MaxAnswer:
		return &dest.Error{Code: "HttpEndpoint.ResponseTooLarge", Message: "The endpoint's answer has more than 1 MiB."}
	case resp.StatusCode != http.StatusOK:
		e := &dest.Error{Code: "HttpEndpoint.DestinationException", Message: "The endpoint answered " + strconv.Itoa(resp.StatusCode) + reason(body) + "."}
		if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
			e.Class = dest.Throttled
		}
		return e
	}
	if why := unacknowledged(resp, body, id); why != "" {
		return &dest.Error{Code: "HttpEndpoint.InvalidResponseFromDestination", Message: "The endpoint answered 200, but " + why + "."}
	}
	return nil
}

// reason is the errorMessage of an answer, or nothing.
func reason(body []byte) string {
	var a struct{ ErrorMessage string }
	if json.Unmarshal(body, &a) != nil || a.ErrorMessage == "" {
		return ""
	}
	return ": " + strings.ToValidUTF8(a.ErrorMessage[:min(quoted, len(a.ErrorMessage))], "")
}

// unacknowledged tells what a 200 lacks to be an acknowledgement.
func unacknowledged(resp *http.Response, body []byte, id string) string {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	encoding := resp.Header.Get("Content-Encoding")
	var a struct {
		RequestID *string          `json:"requestId"`
		Timestamp *json.RawMessage `json:"timestamp"`
	}
	switch {
	case err != nil || kind != "application/json":
		return "its Content-Type is not application/json"
	case encoding != "" && encoding != "identity":
		return "it is compressed"
	case json.Unmarshal(body, &a) != nil:
		return "it is no JSON object"
	case a.RequestID == nil || *a.RequestID != id:
		return "its requestId is not the request's"
	case a.Timestamp == nil:
		return "it has no timestamp"
	}
	if _, err := strconv.ParseInt(string(*a.Timestamp), 10, 64); err != nil {
		return "its timestamp is not a number"
	}
	return ""
}
