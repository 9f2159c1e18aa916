package main

import (
	"fmt"
	"slices"
	"strings"
)

// opsFile writes Handler, Unimplemented, NewService and the inputs' resources.
func (a *api) opsFile() ([]byte, error) {
	p := newPrinter()
	p.use("context")
	p.use("thalweg/internal/awsapi")
	if a.Only == nil && (a.model.Shapes[a.Refusal] == nil || !a.model.Shapes[a.Refusal].Exception) {
		return nil, fmt.Errorf("%s: no error %s", a.Model, a.Refusal)
	}
	p.p("// Handler is the service's operations. Calls come from many goroutines at once.")
	p.p("type Handler interface {")
	for _, o := range a.ops {
		p.p("%s(ctx context.Context, in *%s) (*%s, error)", o.Name, o.in.Name, o.out.Name)
	}
	p.p("}\n")

	if a.Only == nil {
		a.unimplemented(p)
	}
	if err := a.newService(p); err != nil {
		return nil, err
	}
	for _, o := range a.ops {
		a.resource(p, o)
	}
	return p.source(a.Package, "")
}

// unimplemented writes the handler that refuses. A model in part has none: each
// of the operations that were kept is there to be answered.
func (a *api) unimplemented(p *printer) {
	p.p("// Unimplemented refuses every operation with %s. A door embeds it\n// and has methods for what it does.", a.Refusal)
	p.p("type Unimplemented struct{}\n")
	p.p("var _ Handler = Unimplemented{}\n")
	p.p("func refuse(op string) error {\nreturn New%s(op + \" is not implemented by this server.\")\n}\n", a.Refusal)
	for _, o := range a.ops {
		p.p("// %s refuses the operation.", o.Name)
		p.p("func (Unimplemented) %s(context.Context, *%s) (*%s, error) {\nreturn nil, refuse(%q)\n}\n", o.Name, o.in.Name, o.out.Name, o.Name)
	}
}

func (a *api) newService(p *printer) error {
	p.p("// NewService returns the service's table of operations, answered by h.")
	p.p("func NewService(h Handler) *awsapi.Service {\nreturn &awsapi.Service{")
	p.p("Name: %q,\nSigningName: %q,\nHostPrefixes: []string{%s},", a.Package, a.SigningName, quoted(a.Hosts))
	a.protocols(p)
	p.p("MaxBody: %d << 20,", a.MaxBodyMiB)
	for _, e := range []struct{ field, code string }{{"Throttled", a.Throttled}, {"Invalid", a.Invalid}} {
		if sh := a.model.Shapes[e.code]; sh != nil && sh.Exception {
			p.p("%s: New%s,", e.field, e.code)
		} else {
			p.p("%s: func(msg string) *awsapi.Error { return awsapi.NewError(%q, msg, 400) },", e.field, e.code)
		}
	}
	p.p("Errors: map[string]func(string) *awsapi.Error{")
	for _, name := range sortedKeys(a.model.Shapes) {
		if a.model.Shapes[name].Exception {
			p.p("%q: New%s,", a.code(name), exported(name))
		}
	}
	p.p("},")
	p.p("Ops: []*awsapi.Op{")
	for _, o := range a.ops {
		line, err := a.opLine(o)
		if err != nil {
			return err
		}
		p.p("%s", line)
	}
	p.p("},\n}\n}\n")
	return nil
}

// protocols writes how the service can be spoken to.
func (a *api) protocols(p *printer) {
	meta := a.model.Metadata
	switch meta.Protocol {
	case "rest-json":
		p.p("Protocol: awsapi.RESTJSON,")
	case "query":
		p.p("Protocol: awsapi.Query,")
	default:
		p.p("TargetPrefix: %q,\nProtocol: awsapi.AWSJSON,", meta.TargetPrefix)
	}
	if slices.Contains(meta.Protocols, "query") {
		p.p("Version: %q,\nXMLNamespace: %q,", meta.APIVersion, meta.XMLNamespace)
	}
	if slices.Contains(meta.Protocols, "smithy-rpc-v2-cbor") {
		p.p("RPC: true,")
	}
	if a.ErrorPrefix != "" {
		p.p("ErrorPrefix: %q,", a.ErrorPrefix)
	}
}

// opLine returns an operation's entry in the table.
func (a *api) opLine(o op) (string, error) {
	status := o.HTTP.ResponseCode
	if status == 0 {
		status = 200
	}
	fields := []string{fmt.Sprintf("Name: %q", o.Name), fmt.Sprintf("Action: %q", a.Action+":"+o.Name)}
	if a.rest {
		if strings.Contains(o.HTTP.RequestURI, "?") || strings.Contains(o.HTTP.RequestURI, "+}") {
			return "", fmt.Errorf("%s: %s: path %s is not supported", a.Model, o.Name, o.HTTP.RequestURI)
		}
		fields = append(fields, fmt.Sprintf("Method: %q", o.HTTP.Method), fmt.Sprintf("Path: %q", o.HTTP.RequestURI))
	}
	fields = append(fields, fmt.Sprintf("Status: %d", status))
	empty := a.rest && !slices.ContainsFunc(o.out.Fields, inDocument)
	if o.operation.Output == nil || empty {
		fields = append(fields, "NoOutput: true")
	}
	if o.Compression != nil && slices.Contains(o.Compression.Encodings, "gzip") {
		fields = append(fields, "Gzip: true")
	}
	if o.Idempotent {
		fields = append(fields, "Idempotent: true")
	}
	if o.ReadOnly {
		fields = append(fields, "ReadOnly: true")
	}
	codes := make([]string, len(o.Errors))
	for i, e := range o.Errors {
		codes[i] = a.code(e.Shape)
	}
	fields = append(fields, "Errors: []string{"+quoted(codes)+"}", "Invoke: awsapi.Bind(h."+o.Name+")")
	return "{" + strings.Join(fields, ", ") + "},", nil
}

func quoted(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(out, ", ")
}

// resource writes what an input's policy is asked about.
func (a *api) resource(p *printer, o op) {
	p.p("// Resource returns the ARN that the input names, or \"*\".")
	p.p("func (x *%s) Resource(c awsapi.Caller) string {", o.in.Name)
	for _, r := range a.Resources {
		for _, f := range o.in.Fields {
			if f.Name != r.Member || a.model.Shapes[f.Shape].Type != "string" {
				continue
			}
			value := "x." + f.Name + ".V"
			if r.Prefix != "" {
				value = fmt.Sprintf("c.ARN(%q, %q+%s", a.Action, r.Prefix, value)
				if r.Suffix != "" {
					value += fmt.Sprintf("+%q", r.Suffix)
				}
				value += ")"
			}
			p.p("if x.%s.Set {\nreturn %s\n}", f.Name, value)
		}
	}
	p.p("return \"*\"\n}\n")
}

// code returns the name of an error on the wire.
func (a *api) code(shapeName string) string {
	if sh := a.model.Shapes[shapeName]; sh.Error != nil && sh.Error.Code != "" {
		return sh.Error.Code
	}
	return shapeName
}

// errorsFile writes a constructor for every error of the model.
func (a *api) errorsFile() ([]byte, error) {
	p := newPrinter()
	for _, name := range sortedKeys(a.model.Shapes) {
		sh := a.model.Shapes[name]
		if !sh.Exception {
			continue
		}
		p.use("thalweg/internal/awsapi")
		status := 400
		if sh.Fault {
			status = 500
		}
		if sh.Error != nil && sh.Error.HTTPStatusCode != 0 {
			status = sh.Error.HTTPStatusCode
		}
		if s, ok := a.Status[name]; ok {
			status = s
		}
		kind := "NewError"
		if sh.Fault || status >= 500 {
			kind = "NewFault"
		}
		key := "message"
		var more []string
		for _, m := range sortedKeys(sh.Members) {
			wire := m
			if l := sh.Members[m].LocationName; l != "" {
				wire = l
			}
			if strings.EqualFold(m, "message") {
				key = wire
			} else {
				more = append(more, wire)
			}
		}
		p.p("// New%s returns the error of that name, HTTP status %d.", exported(name), status)
		if len(more) > 0 {
			p.p("// Further members: %s.", strings.Join(more, ", "))
		}
		p.p("func New%s(msg string) *awsapi.Error {", exported(name))
		if key == "message" {
			p.p("return awsapi.%s(%q, msg, %d)\n}\n", kind, a.code(name), status)
		} else {
			p.p("e := awsapi.%s(%q, msg, %d)\ne.MessageKey = %q\nreturn e\n}\n", kind, a.code(name), status, key)
		}
	}
	return p.source(a.Package, "")
}
