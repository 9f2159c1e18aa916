package awsapi

import (
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"

	"thalweg/internal/awsapi/codec"
	"thalweg/internal/awsapi/codec/cbor"
	"thalweg/internal/awsapi/codec/json"
	"thalweg/internal/awsapi/codec/query"
	"thalweg/internal/awsapi/codec/restjson"
	"thalweg/internal/awsapi/validate"
)

// format is how a request and its answer are written.
type format struct {
	codec       Codec
	contentType string
	rest        bool
	form        bool // the query protocol: a form, answered in XML
	rpc         bool // Smithy's RPC v2 with CBOR
	xml         bool // for want of anything better: no service, no format
}

const (
	typeJSON     = "application/x-amz-json-1.1"
	typeCBOR     = "application/x-amz-cbor-1.1"
	typeRESTJSON = "application/json"
	typeForm     = "application/x-www-form-urlencoded"
	typeXML      = "text/xml"
)

// setFormat reads the format from the content type, and reports whether it is
// one that the service, which may be nil, speaks.
func (x *exchange) setFormat(svc *Service) bool {
	media := mediaType(x.r.Header.Get("Content-Type"))
	if svc != nil && svc.Protocol == RESTJSON {
		// Clients leave the type out, or send any JSON's; a body that is no JSON
		// is found out by the decoder.
		x.format = format{codec: JSON, contentType: typeRESTJSON, rest: true}
		return true
	}
	if svc != nil && svc.Version != "" && (media == typeForm || x.r.Method == http.MethodGet) {
		x.format = format{contentType: typeXML, form: true}
		return true
	}
	if svc != nil && svc.RPC && x.r.Header.Get(rpcHeader) == rpcV2 {
		x.format = format{codec: CBOR, contentType: media, rpc: true}
		return media == "application/cbor"
	}
	switch media {
	case typeJSON, "application/x-amz-json-1.0", "application/json":
		x.format = format{codec: JSON, contentType: media}
	case typeCBOR, "application/cbor":
		x.format = format{codec: CBOR, contentType: media}
	default:
		x.format = format{xml: true}
		return false
	}
	return true
}

// mediaType returns a content type without its parameters, "" for a bad one.
func mediaType(header string) string {
	if header == typeJSON || header == typeCBOR {
		return header
	}
	media, _, err := mime.ParseMediaType(header)
	if err != nil {
		return ""
	}
	return media
}

// unrouted answers a request for no known operation. AWS answers in the format of
// the content type where it knows one, and in XML otherwise.
func (x *exchange) unrouted(belongs *Service, known bool) error {
	drain(x.r, eagerBody)
	switch {
	case belongs != nil && known:
		return errUnknownOperation()
	case known && x.r.Header.Get("X-Amz-Target") != "":
		return errUnknownOperation()
	}
	x.format = format{xml: true}
	return errNoRoute()
}

// read reads the request's body. op is nil when it is the body that names it.
func (x *exchange) read(svc *Service, op *Op) error {
	encoding := x.r.Header.Get("Content-Encoding")
	packed := strings.EqualFold(encoding, "gzip") && (op == nil || op.Gzip)
	if encoding != "" && !packed && !strings.EqualFold(encoding, "identity") {
		drain(x.r, svc.MaxBody)
		return errSerialization("") // the model allows no other
	}
	x.in = x.srv.bufs.get()
	err := readBody(x.r, x.in, svc.MaxBody, &x.mem)
	x.body = x.in.b
	x.plain = x.body
	if err == nil && packed {
		x.plain, err = inflate(x.body, svc.MaxBody, &x.mem)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errBodyTooLarge):
		drain(x.r, 2*svc.MaxBody) // what of it is still to come
		return errTooLarge()
	case errors.Is(err, errNoMemory):
		drain(x.r, svc.MaxBody)
		return svc.throttled(op)
	}
	return errSerialization("") // the connection broke, or its framing or its packing is wrong
}

// throttled is the service's error for a server without memory to spare.
func (s *Service) throttled(op *Op) *Error {
	return s.Throttle(op, "The server is short of memory for requests. Try again later.")
}

// Throttle returns the error by which the service tells a client to slow down: its
// usual one, or another that clients retry where the operation does not declare
// that but this.
func (s *Service) Throttle(op *Op, text string) *Error {
	usual := s.Throttled(text)
	if op == nil || slices.Contains(op.Errors, usual.Code) {
		return usual
	}
	for _, code := range []string{"LimitExceededException", "ThrottlingException", "TooManyRequestsException", "ServiceUnavailableException"} {
		if newError := s.Errors[code]; newError != nil && slices.Contains(op.Errors, code) {
			return newError(text)
		}
	}
	return usual
}

// decode reads the operation's input.
func (x *exchange) decode(op *Op) (Input, error) {
	in := op.Invoke.newInput()
	if bound, ok := in.(boundInput); ok {
		req := &restjson.Request{Labels: x.route.labels, Query: x.r.URL.Query()}
		if bound.DecodeRequest(req); req.Err != nil {
			return nil, errSerialization(req.Err.Msg)
		}
	}
	if x.format.form {
		d := query.NewDecoder(x.form)
		in.Decode(d)
		if d.Finish() != nil {
			return nil, errMalformed()
		}
		return in, nil
	}
	if len(x.plain) == 0 {
		if x.format.rest { // absent members are validation's matter
			return in, nil
		}
		return nil, errSerialization("")
	}
	var err error
	if x.format.codec == CBOR {
		d := cbor.NewDecoder(x.plain)
		d.Seconds = x.format.rpc
		in.Decode(d)
		err = d.Finish()
	} else {
		d := json.NewDecoder(x.plain)
		in.Decode(d)
		err = d.Finish()
	}
	if err == nil {
		return in, nil
	}
	var bad *codec.Error
	errors.As(err, &bad)
	return nil, errSerialization(bad.Msg)
}

// validated checks the input against the model.
func validated(svc *Service, in Input) error {
	var c validate.Collector
	in.Validate(&c)
	if msg := c.Message(); msg != "" {
		return svc.Invalid(msg)
	}
	return nil
}

// encoder returns an encoder of the exchange's format and a function that
// returns what it wrote.
func (x *exchange) encoder() (codec.Encoder, func() []byte) {
	if x.out == nil {
		x.out = x.srv.bufs.get()
	}
	if x.format.codec == CBOR {
		e := cbor.NewEncoder(x.out.b[:0])
		return e, e.Bytes
	}
	e := json.NewEncoder(x.out.b[:0])
	return e, e.Bytes
}

// answer writes a handler's output.
func (x *exchange) answer(op *Op, out Output) error {
	var resp restjson.Response
	if bound, ok := out.(boundOutput); ok {
		resp.Header = x.w.Header()
		bound.EncodeResponse(&resp)
		if resp.Payload != nil {
			return x.stream(op, resp.Payload)
		}
	}
	if x.format.form {
		x.answerForm(op, out)
		return nil
	}
	if op.NoOutput {
		if x.format.rpc {
			x.format.contentType = ""
		}
		x.write(op.Status, nil)
		return nil
	}
	enc, written := x.encoder()
	out.Encode(enc)
	x.out.b = written()
	x.write(op.Status, x.out.b)
	return nil
}

// fail writes an error's answer.
func (x *exchange) fail(err error) {
	e, ok := asError(err)
	if !ok {
		x.srv.cfg.Log.Error("operation failed", "operation", x.operation(), "request_id", x.call.caller.RequestID, "error", err)
		e = errInternal()
	}
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	x.code = e.Code
	x.w.Header().Set("X-Amzn-Errortype", e.Code)
	switch {
	case x.format.xml:
		x.write(status, appendXML(nil, e))
	case x.format.form:
		x.failForm(status, e)
	case status == http.StatusRequestEntityTooLarge:
		x.write(status, nil)
	default:
		enc, written := x.encoder()
		e.encode(enc, x.typed(e))
		x.out.b = written()
		x.write(status, x.out.b)
	}
}

// typed is the error's name as a document has it, "" where it has none.
func (x *exchange) typed(e *Error) string {
	switch {
	case x.format.rest:
		return ""
	case x.route.service == nil:
		return e.Code
	}
	return x.route.service.ErrorPrefix + e.Code
}

// appendXML writes an error as AWS does before it knows the service.
func appendXML(b []byte, e *Error) []byte {
	if e.Message == "" {
		return append(b, "<"+e.Code+"/>\n"...)
	}
	text := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(e.Message)
	return append(b, "<"+e.Code+">\n  <Message>"+text+"</Message>\n</"+e.Code+">\n"...)
}
