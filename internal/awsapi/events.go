package awsapi

import (
	"context"
	"net/http"
	"time"

	"thalweg/internal/awsapi/codec"
	"thalweg/internal/awsapi/codec/cbor"
	"thalweg/internal/awsapi/codec/eventstream"
	"thalweg/internal/awsapi/codec/json"
)

const (
	// eventPiece is how much of a message goes out in one write, bytes, and
	// eventStall how long a client may take to accept it.
	eventPiece = 64 << 10
	eventStall = 30 * time.Second
)

// Events is an answer that is a stream of events. It is for the goroutine of the
// handler that began it.
type Events struct {
	x       *exchange // nil outside a server
	control *http.ResponseController
	began   time.Time
	bytesIn int
	failed  error
}

// BeginEvents begins the answer of the request of ctx as a stream of events:
// status, headers and the initial response go out. A handler calls it when all
// that can be refused beforehand has not been; an error that it returns
// afterwards is the stream's last message. What the request held of pooled
// buffers and of the memory budget is given back, for the answer may last; what
// the handler needs for so long it holds afterwards. Outside a server nothing is
// sent anywhere.
func BeginEvents(ctx context.Context) *Events {
	c := callFrom(ctx)
	if c == nil || c.x == nil {
		return &Events{}
	}
	x := c.x
	e := &Events{x: x, control: http.NewResponseController(x.w), began: x.srv.cfg.Clock.Now(), bytesIn: len(x.body)}
	x.events = e
	x.srv.bufs.put(x.in)
	x.srv.bufs.put(x.out)
	x.in, x.out, x.body = nil, nil, nil
	x.mem.release()
	x.setHeaders()
	x.w.Header()["Content-Type"] = []string{eventstream.ContentType}
	x.w.WriteHeader(x.route.op.Status)
	first := e.message("event", ":event-type", "initial-response", func(enc codec.Encoder) {
		enc.BeginStruct()
		enc.EndStruct()
	})
	_ = e.Send(first) // remembered: the next one fails likewise
	return e
}

// Codec is the format of the events' payloads: the request's.
func (e *Events) Codec() Codec {
	if e.x == nil {
		return JSON
	}
	return e.x.format.codec
}

// BeginEvent appends what stands before the payload of an event to dst;
// [eventstream.End] completes it.
func (e *Events) BeginEvent(dst []byte, event string) []byte {
	return e.begin(dst, "event", ":event-type", event)
}

func (e *Events) begin(dst []byte, kind, typeHeader, typ string) []byte {
	content := typeJSON
	if e.Codec() == CBOR {
		content = typeCBOR
	}
	return eventstream.Begin(dst,
		eventstream.Header{Name: typeHeader, Value: typ},
		eventstream.Header{Name: ":content-type", Value: content},
		eventstream.Header{Name: ":message-type", Value: kind})
}

// message returns a small message.
func (e *Events) message(kind, typeHeader, typ string, payload func(codec.Encoder)) []byte {
	b := e.begin(nil, kind, typeHeader, typ)
	if e.Codec() == CBOR {
		enc := cbor.NewEncoder(b)
		payload(enc)
		b = enc.Bytes()
	} else {
		enc := json.NewEncoder(b)
		payload(enc)
		b = enc.Bytes()
	}
	return eventstream.End(b, 0)
}

// Send sends one whole message. An error, which is that of every later call too,
// means that the client has gone or takes nothing: the handler returns it.
func (e *Events) Send(message []byte) error {
	if e.x == nil {
		return nil
	}
	for len(message) > 0 && e.failed == nil {
		piece := message[:min(len(message), eventPiece)]
		message = message[len(piece):]
		e.failed = e.write(piece)
	}
	return e.failed
}

// write sends a piece of a message, with a time limit that ends with it: between
// two events the client owes nothing.
func (e *Events) write(piece []byte) error {
	_ = e.control.SetWriteDeadline(e.x.srv.cfg.Deadlines.Now().Add(eventStall)) // not every writer can, in tests
	n, err := e.x.w.Write(piece)
	e.x.sent += n
	if err == nil {
		err = e.control.Flush()
	}
	if err == nil {
		_ = e.control.SetWriteDeadline(time.Time{})
	}
	return err
}

// end sends what a handler returned, if that is not nil, as the last message.
func (e *Events) end(err error) {
	if err == nil {
		return
	}
	x := e.x
	if e.failed != nil || x.r.Context().Err() != nil {
		x.abort()
	}
	failure, ok := asError(err)
	if !ok {
		x.srv.cfg.Log.Error("stream ended early", "operation", x.operation(), "request_id", x.call.caller.RequestID, "error", err)
		failure = errInternal()
		if newError := x.route.service.Errors["InternalFailureException"]; newError != nil {
			failure = newError("") // in a stream, clients know the errors of its model only
		}
	}
	x.code = failure.Code
	_ = e.Send(e.message("exception", ":exception-type", failure.Code, func(enc codec.Encoder) { failure.encode(enc, "") }))
}
