package awsapi

import (
	"fmt"
	"io"
	"net/http"
	"strconv"

	"thalweg/internal/ids"
)

// setHeaders sets what every answer carries.
func (x *exchange) setHeaders() {
	h := x.w.Header()
	both := []string{x.ids[:ids.RequestIDLen], x.ids[ids.RequestIDLen:]}
	h["X-Amzn-Requestid"], h["X-Amz-Id-2"] = both[:1:1], both[1:]
	if x.format.rpc {
		h[rpcHeader] = []string{rpcV2}
	}
}

// write sends an answer whose whole body is known.
func (x *exchange) write(status int, body []byte) {
	x.setHeaders()
	h := x.w.Header()
	values := []string{x.format.contentType, strconv.Itoa(len(body))}
	if values[0] != "" {
		h["Content-Type"] = values[:1:1]
	} else {
		h["Content-Type"] = nil // keeps net/http from guessing one
	}
	if status != http.StatusNoContent {
		h["Content-Length"] = values[1:]
	}
	x.w.WriteHeader(status)
	x.sent = len(body)
	_, _ = x.w.Write(body) // a client that has gone is net/http's to notice
}

// send sends a piece of an answer whose length is not known before its end.
func (x *exchange) send(piece []byte) {
	if !x.begun {
		if !x.call.authorised {
			panic("answer begun without authorisation: " + x.operation())
		}
		x.begun = true
		x.setHeaders()
		x.w.Header()["Content-Type"] = []string{x.format.contentType}
		x.w.WriteHeader(x.route.op.Status)
	}
	x.sent += len(piece)
	if _, err := x.w.Write(piece); err != nil {
		x.abort()
	}
	if f, ok := x.w.(http.Flusher); ok {
		f.Flush()
	}
}

// stream sends a body as it comes and closes it. When it ends early the
// connection is broken off, for that is how a client can tell.
func (x *exchange) stream(op *Op, payload io.ReadCloser) error {
	defer payload.Close()
	x.setHeaders()
	x.w.WriteHeader(op.Status)
	n, err := io.Copy(x.w, payload)
	x.sent = int(n)
	if err != nil {
		x.code = "InternalFailure"
		x.srv.cfg.Log.Error("stream ended early", "operation", op.Action, "request_id", x.call.caller.RequestID, "error", fmt.Sprint(err))
		x.abort()
	}
	return nil
}

// abort breaks the connection off: the client has gone, or is to see that the
// answer is not whole.
func (x *exchange) abort() { panic(http.ErrAbortHandler) }
