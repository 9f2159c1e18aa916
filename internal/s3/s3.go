// Package s3 is the door of Amazon S3: buckets and objects of an object store over
// S3's REST API with XML, one file per operation.
//
// It is what deliveries, jars, savepoints and clips need, with what the SDKs and the
// AWS CLI call for it: objects with conditions, ranges and checksums, uploads in
// parts, lists, presigned requests, path and virtual-host style. Everything else
// (versions, ACLs, policies, encryption, tags, locks) is refused with NotImplemented,
// also where it comes as a header of an operation that is served.
//
// Every request takes the one path of [Door.ServeHTTP]:
//
//	route - authenticate - find the bucket - authorise - hold memory - run - answer
//
// Bodies are streamed and proven while they are: the store keeps nothing of a body
// that does not end with its hash, its length, its checksums and its signatures
// right. A bucket belongs to the account that made it, and nobody else may use it;
// names are global.
//
// API: docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html.
package s3

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi"
	"thalweg/internal/clock"
	"thalweg/internal/ids"
	"thalweg/internal/objstore"
	"thalweg/internal/sigv4"
)

// Auth says who makes a request and what they may do.
type Auth interface {
	AuthenticateStream(r *http.Request) (awsapi.Caller, sigv4.Payload, *sigv4.Error)
	// AuthorizeOwned asks about a resource of an account.
	AuthorizeOwned(c awsapi.Caller, action, resource, owner string) *awsapi.Error
}

// Options are what a door is made of. All but Observer are needed.
type Options struct {
	Store    objstore.Store
	Auth     Auth
	Budget   awsapi.Budget
	Clock    clock.Clock
	Log      *slog.Logger
	Region   string   // where buckets are that name no region
	Hosts    []string // names of this server below which buckets have names of their own
	Observer awsapi.Observer
}

// Door answers the requests. It is safe for concurrent use.
type Door struct {
	o   Options
	ops map[route][]*op
}

// New returns a door.
func New(o Options) *Door {
	d := &Door{o: o, ops: map[route][]*op{}}
	for _, p := range operations {
		d.ops[p.route] = append(d.ops[p.route], p)
	}
	return d
}

// exchange is one request and its answer.
type exchange struct {
	d       *Door
	w       http.ResponseWriter
	r       *http.Request
	query   params
	bucket  string
	key     string
	op      *op
	caller  awsapi.Caller
	payload sigv4.Payload
	owner   objstore.Bucket // the bucket, once it is known to be there
	held    int64
	begun   bool // the answer has begun
	in, out int64
	code    string // of the error that was answered
}

// memory is what a request holds while it is under way: buffers of the body, of the
// file and of the connection, and of what is read into memory the document.
const memory = 192 << 10

// ServeHTTP answers one request.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := d.o.Clock.Now()
	x := &exchange{d: d, w: w, r: r}
	h := w.Header()
	id := ids.NewRequest()
	h.Set("X-Amz-Request-Id", strings.ToUpper(strings.ReplaceAll(id[:18], "-", "")))
	h.Set("X-Amz-Id-2", id[ids.RequestIDLen:])
	defer func() {
		if p := recover(); p != nil {
			d.o.Log.Error("handler panicked", "operation", x.name(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			x.fail(errInternal)
		}
		d.o.Budget.Release(x.held)
		if d.o.Observer != nil && x.op != nil {
			d.o.Observer.Observe("s3", x.op.name, x.code, d.o.Clock.Now().Sub(start).Seconds(), int(x.in), int(x.out))
		}
	}()
	if err := x.serve(); err != nil {
		x.fail(err)
	}
}

func (x *exchange) name() string {
	if x.op == nil {
		return ""
	}
	return x.op.name
}

func (x *exchange) serve() error {
	if err := x.find(); err != nil {
		return err
	}
	caller, payload, err := x.d.o.Auth.AuthenticateStream(x.r)
	if err != nil {
		return x.authError(err)
	}
	x.caller, x.payload = caller, payload
	if err := x.admit(); err != nil {
		return err
	}
	if err := x.checkHeaders(); err != nil {
		return err
	}
	if err := x.hold(memory); err != nil {
		return err
	}
	return x.op.run(x)
}

// admit finds the bucket that the request is about and asks whether the caller may
// do what it asks.
func (x *exchange) admit() error {
	owner := x.caller.Account
	if x.op.level != atService && x.op.name != "CreateBucket" {
		b, err := x.d.o.Store.HeadBucket(x.r.Context(), x.bucket)
		if err != nil {
			return err
		}
		x.owner, owner = b, b.Owner
	}
	if err := x.authorise(x.op.action, x.bucket, x.key, owner); err != nil {
		return err
	}
	if want := x.r.Header.Get("X-Amz-Expected-Bucket-Owner"); want != "" && want != owner {
		return errAccessDenied
	}
	return nil
}

// authorise asks about an object, a bucket where key is empty, or the service where
// bucket is.
func (x *exchange) authorise(action, bucket, key, owner string) error {
	resource := "*"
	if bucket != "" {
		resource = "arn:" + arn.PartitionOf(x.caller.Region) + ":s3:::" + bucket
		if key != "" {
			resource += "/" + key
		}
	}
	if err := x.d.o.Auth.AuthorizeOwned(x.caller, action, resource, owner); err != nil {
		return errAccessDenied.with(err.Message)
	}
	return nil
}

// hold draws n bytes of the memory budget until the request is answered.
func (x *exchange) hold(n int64) error {
	if !x.d.o.Budget.TryAcquire(n) {
		return errSlowDown
	}
	x.held += n
	return nil
}

// fail answers an error, unless an answer is under way: that one ends short of its
// length, by which the client can tell.
func (x *exchange) fail(err error) {
	e := x.wireError(err)
	x.code = e.code
	if e.status >= http.StatusInternalServerError && !errors.Is(e, errSlowDown) && !errors.Is(e, errNotImplemented) {
		x.d.o.Log.Error("operation failed", "service", "s3", "operation", x.name(), "error", err)
	}
	if x.begun {
		return
	}
	if e.status == http.StatusNotModified || x.r.Method == http.MethodHead {
		x.w.WriteHeader(e.status)
		return
	}
	x.document(e.status, e.document(x))
}
