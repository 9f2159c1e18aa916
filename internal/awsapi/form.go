package awsapi

import (
	"net/http"
	"strings"

	"thalweg/internal/awsapi/codec"
	"thalweg/internal/awsapi/codec/query"
)

// nodeMemory is about what a member of a form takes in memory, beside its text.
const nodeMemory = 160

// readForm reads a request of the query protocol, which names its operation in
// the form: the body, or of a GET the query.
func (x *exchange) readForm(svc *Service) error {
	x.route.service = svc
	text := x.r.URL.RawQuery
	if x.r.Method != http.MethodGet {
		if err := x.read(svc, nil); err != nil {
			return err
		}
		text = string(x.plain)
	}
	nodes := 1 + strings.Count(text, "&") + strings.Count(text, ".") // at most
	if !x.mem.grow(x.mem.held + int64(2*len(text)+nodeMemory*nodes)) {
		return svc.throttled(nil)
	}
	form, err := query.Parse(text)
	if err != nil {
		return errMalformed()
	}
	x.form = form
	action := form.Get("Action")
	if action == "" {
		return NewError("MissingAction", "The request must contain the parameter Action.", http.StatusBadRequest)
	}
	if x.route.op = svc.Op(action); x.route.op == nil {
		return NewError("InvalidAction", "Could not find operation "+action+" for version "+svc.Version, http.StatusBadRequest)
	}
	return nil
}

// errMalformed is the answer to a form that cannot be read.
func errMalformed() *Error { return NewError("MalformedInput", "", http.StatusBadRequest) }

// answerForm writes a handler's output as the query protocol has it.
func (x *exchange) answerForm(op *Op, out Output) {
	var result func(codec.Encoder)
	if !op.NoOutput {
		result = out.Encode
	}
	x.write(op.Status, query.AppendResponse(nil, x.route.service.XMLNamespace, op.Name, x.call.caller.RequestID, result))
}

// failForm writes an error as the query protocol has it.
func (x *exchange) failForm(status int, e *Error) {
	fault := "Sender"
	if e.Fault == ServerFault {
		fault = "Receiver"
	}
	x.write(status, query.AppendError(nil, x.route.service.XMLNamespace, fault, e.Code, e.Message, x.call.caller.RequestID))
}
