// Package iceberg is the door of the Iceberg REST catalog: namespaces and tables of
// package lake, under /iceberg, as PyIceberg, Spark, Trino and DuckDB ask for them.
//
// A warehouse that a client names in its configuration, s3://BUCKET/PATH, is where
// tables go that name no place; it travels in the prefix of the paths, and nothing is
// kept of it. Data and metadata are objects of the server's own store, which clients
// read and write over S3: the answers name its endpoint, and vend no credentials.
//
// Requests are signed for glue, as those to AWS's own catalog are, with Glue's IAM
// actions; in open mode they need no signature.
//
// API: github.com/apache/iceberg, open-api/rest-catalog-open-api.yaml. What is served
// is what GET /v1/config lists as endpoints; everything else is refused.
package iceberg

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"

	"thalweg/internal/awsapi"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/lake"
	"thalweg/internal/objstore"
)

// Auth says who makes a request and what they may do.
type Auth interface {
	awsapi.Auth
	// Anonymous returns the caller of a request without credentials.
	Anonymous() (awsapi.Caller, bool)
}

// Options are what a door is made of. All but Observer are needed.
type Options struct {
	Catalog  *lake.Catalog
	Auth     Auth
	Budget   awsapi.Budget
	Clock    clock.Clock
	Log      *slog.Logger
	Observer awsapi.Observer
}

// Door answers the requests. It is safe for concurrent use.
type Door struct{ o Options }

// New returns a door.
func New(o Options) *Door { return &Door{o} }

// root is where the catalog is: the uri that clients are configured with.
const root = "/iceberg"

// Wants reports whether a request is for the catalog: by its path, unless its
// signature is for another service, as one to S3 for a bucket of that name.
func (d *Door) Wants(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, root+"/v1/") &&
		(!signed(r) || strings.Contains(r.Header.Get("Authorization"), "/"+signingName+"/aws4_request"))
}

// signed reports whether a request has a signature of AWS's.
func signed(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-") || strings.Contains(r.URL.RawQuery, "X-Amz-Credential=")
}

// exchange is one request.
type exchange struct {
	d         *Door
	w         http.ResponseWriter
	r         *http.Request
	op        *op
	caller    awsapi.Caller
	warehouse string   // s3://..., or empty
	args      []string // what stood in the path's places
	body      []byte
	held      int64
	out       int
	code      string
}

// op is one operation: a method, and a path in which * is an argument.
type op struct {
	name   string
	method string
	path   string // behind the prefix
	action string // IAM's name, Glue's
	run    func(*exchange) error
}

// maxBody bounds a request's body.
const maxBody = 8 << 20

// bodyFactor is how many times its bytes a body takes while it is worked on.
const bodyFactor = 4

// ServeHTTP answers one request.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := d.o.Clock.Now()
	x := &exchange{d: d, w: w, r: r}
	defer func() {
		if p := recover(); p != nil {
			d.o.Log.Error("handler panicked", "service", "iceberg", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			x.fail(errors.New("panic"))
		}
		d.o.Budget.Release(x.held)
		if d.o.Observer != nil && x.op != nil {
			d.o.Observer.Observe("iceberg", x.op.name, x.code, d.o.Clock.Now().Sub(start).Seconds(), len(x.body), x.out)
		}
	}()
	if err := x.serve(); err != nil {
		x.fail(err)
	}
}

func (x *exchange) serve() error {
	if err := x.find(); err != nil {
		return err
	}
	if _, anyone := x.d.o.Auth.Anonymous(); !anyone && !signed(x.r) {
		return refusal(http.StatusUnauthorized, "NotAuthorizedException", "requests must be signed with AWS4-HMAC-SHA256 for the service glue")
	}
	if err := x.readBody(); err != nil {
		return err
	}
	if err := x.authenticate(); err != nil {
		return err
	}
	if denied := x.d.o.Auth.Authorize(x.caller, x.op.action, x.resource()); denied != nil {
		return denied
	}
	return x.op.run(x)
}

// find reads the path.
func (x *exchange) find() error {
	path := strings.Split(strings.TrimPrefix(x.r.URL.EscapedPath(), root+"/v1/"), "/")
	for i, p := range path {
		s, err := url.PathUnescape(p)
		if err != nil {
			return refusal(http.StatusBadRequest, "BadRequestException", "the path cannot be read")
		}
		path[i] = s
	}
	if len(path) == 1 && path[0] == "config" && x.r.Method == http.MethodGet {
		x.op = new(config)
		return nil
	}
	warehouse, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(path[0], prefixMark))
	if !strings.HasPrefix(path[0], prefixMark) || err != nil {
		return refusal(http.StatusNotFound, "NotFoundException", "there is no catalog of that prefix: GET "+root+"/v1/config tells it")
	}
	x.warehouse = string(warehouse)
	known := false
	for _, o := range operations {
		args, ok := match(o.path, path[1:])
		known = known || ok
		if ok && o.method == x.r.Method {
			x.op, x.args = o, args
			return nil
		}
	}
	if known {
		return refusal(http.StatusMethodNotAllowed, "UnsupportedOperationException", "the method is not supported here")
	}
	return refusal(http.StatusNotFound, "UnsupportedOperationException", "the catalog does not serve this; GET "+root+"/v1/config lists what it does")
}

// match holds path against a pattern and returns what stands in its places.
func match(pattern string, path []string) (args []string, ok bool) {
	want := strings.Split(pattern, "/")
	if len(want) != len(path) {
		return nil, false
	}
	for i, p := range want {
		switch {
		case p == "*":
			args = append(args, path[i])
		case p != path[i]:
			return nil, false
		}
	}
	return args, true
}

// firstBody is what is drawn for a body of which nothing has come yet.
const firstBody = 16 << 10

// readBody reads the body. The memory that it takes is drawn as it comes: nobody has
// shown yet that he may send one, and a length is easily stated.
func (x *exchange) readBody() error {
	if x.r.ContentLength > maxBody {
		return refusal(http.StatusRequestEntityTooLarge, "BadRequestException", fmt.Sprintf("a request has at most %d bytes", maxBody))
	}
	for {
		if room := cap(x.body); len(x.body) == room {
			more := min(max(2*room, firstBody), maxBody+1)
			if err := x.hold(bodyFactor * int64(more-room)); err != nil {
				return err
			}
			x.body = append(make([]byte, 0, more), x.body...)
		}
		n, err := x.r.Body.Read(x.body[len(x.body):cap(x.body)])
		x.body = x.body[:len(x.body)+n]
		switch {
		case len(x.body) > maxBody, err != nil && !errors.Is(err, io.EOF):
			return refusal(http.StatusBadRequest, "BadRequestException", "the body could not be read, or is too long")
		case err != nil:
			return nil
		}
	}
}

// hold draws memory until the request is answered.
func (x *exchange) hold(n int64) error {
	if !x.d.o.Budget.TryAcquire(n) {
		return refusal(http.StatusServiceUnavailable, "ServiceUnavailableException", "The server is short of memory for requests. Try again later.")
	}
	x.held += n
	return nil
}

// signingName is the service that requests are signed for.
const signingName = "glue"

func (x *exchange) authenticate() error {
	if !signed(x.r) {
		x.caller, _ = x.d.o.Auth.Anonymous() // it was asked before
		return nil
	}
	caller, err := x.d.o.Auth.Authenticate(x.r, signingName, x.body)
	if err != nil {
		return refusal(http.StatusForbidden, "NotAuthorizedException", err.Message)
	}
	x.caller = caller
	return nil
}

// resource is the ARN of what the request is about.
func (x *exchange) resource() string {
	switch {
	case len(x.args) == 0:
		return x.caller.ARN("glue", "catalog")
	case len(x.args) == 1:
		return x.caller.ARN("glue", "database/"+dotted(x.args[0]))
	}
	return x.caller.ARN("glue", "table/"+dotted(x.args[0])+"/"+x.args[1])
}

func dotted(ns string) string { return strings.ReplaceAll(ns, levels, ".") }

// levels stands between the levels of a namespace in a path.
const levels = "\x1f"

func (x *exchange) scope() lake.Scope {
	return lake.Scope{Account: x.caller.Account, Region: x.caller.Region}
}

func (x *exchange) namespace() []string { return strings.Split(x.args[0], levels) }

func (x *exchange) table() lake.Ident { return lake.Ident{Namespace: x.namespace(), Name: x.args[1]} }

// decode reads the body.
func (x *exchange) decode(v any) error {
	if err := json.Unmarshal(x.body, v); err != nil {
		return refusal(http.StatusBadRequest, "BadRequestException", "the body is not what is expected: "+err.Error())
	}
	return nil
}

// answer answers with a document, or without one.
func (x *exchange) answer(status int, v any) error {
	if v == nil {
		x.w.WriteHeader(status)
		return nil
	}
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	x.w.Header().Set("Content-Type", "application/json")
	x.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(status)
	x.out, _ = x.w.Write(body) // a client that has gone is net/http's to notice
	return nil
}

// wireError is an error as the API has it.
type wireError struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Code    int    `json:"code"`
}

func (e *wireError) Error() string { return e.Type + ": " + e.Message }

func refusal(status int, kind, message string) *wireError { return &wireError{message, kind, status} }

func (x *exchange) fail(err error) {
	e := wired(err)
	x.code = e.Type
	if e.Code >= http.StatusInternalServerError && e.Code != http.StatusServiceUnavailable {
		x.d.o.Log.Error("operation failed", "service", "iceberg", "path", x.r.URL.Path, "error", err)
	}
	if x.r.Method == http.MethodHead {
		x.w.WriteHeader(e.Code)
		return
	}
	_ = x.answer(e.Code, map[string]any{"error": e}) // text and a number: it cannot fail
}

// names are the API's for the catalog's errors.
var names = []struct {
	is   error
	code int
	kind string
}{
	{lake.ErrNoNamespace, http.StatusNotFound, "NoSuchNamespaceException"},
	{lake.ErrNamespace, http.StatusConflict, "AlreadyExistsException"},
	{lake.ErrNotEmpty, http.StatusConflict, "NamespaceNotEmptyException"},
	{lake.ErrNoTable, http.StatusNotFound, "NoSuchTableException"},
	{lake.ErrTable, http.StatusConflict, "AlreadyExistsException"},
	{lake.ErrLimit, http.StatusBadRequest, "BadRequestException"},
	{objstore.ErrNoBucket, http.StatusBadRequest, "BadRequestException"},
	{objstore.ErrNoKey, http.StatusNotFound, "NotFoundException"},
}

func wired(err error) *wireError {
	var e *wireError
	var denied *awsapi.Error
	var late *lake.Conflict
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &denied):
		return refusal(http.StatusForbidden, "ForbiddenException", denied.Message)
	case errors.As(err, &late):
		return refusal(http.StatusConflict, "CommitFailedException", late.Why)
	}
	for _, n := range names {
		if errors.Is(err, n.is) {
			return refusal(n.code, n.kind, err.Error())
		}
	}
	switch errs.KindOf(err) {
	case errs.Invalid, errs.LimitExceeded:
		return refusal(http.StatusBadRequest, "BadRequestException", err.Error())
	case errs.Denied:
		return refusal(http.StatusForbidden, "ForbiddenException", err.Error())
	case errs.Unsupported:
		return refusal(http.StatusNotAcceptable, "UnsupportedOperationException", err.Error())
	case errs.NoSpace, errs.ReadOnly, errs.Throttled:
		return refusal(http.StatusServiceUnavailable, "ServiceUnavailableException", err.Error())
	}
	return refusal(http.StatusInternalServerError, "InternalServerError", "the catalog met an error of its own")
}
