package awsapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/codec"
	"thalweg/internal/awsapi/model/firehose"
	"thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/awsapi/model/kafkaconnect"
	"thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/awsapi/model/kinesisvideo"
	"thalweg/internal/awsapi/model/kinesisvideomedia"
	"thalweg/internal/opt"
)

func echo(_ context.Context, in *shape) (*shape, error) { return in, nil }

// serve answers one request with a server of the two test services.
func serve(t *testing.T, f method, r *http.Request, change ...func(*awsapi.Config)) *httptest.ResponseRecorder {
	t.Helper()
	a, b := services(f)
	cfg := awsapi.Config{Services: []*awsapi.Service{a, b}, Auth: allowAll{}}
	for _, c := range change {
		c(&cfg)
	}
	w := httptest.NewRecorder()
	newServer(t, cfg).ServeHTTP(w, r)
	return w
}

func TestAnswer(t *testing.T) {
	w := serve(t, echo, echoRequest(awsapi.AWSJSON, `{"Text":"a","Blob":"AAE=","Unknown":[{"x":1}]}`))
	if got, want := w.Body.String(), `{"Blob":"AAE=","Text":"a"}`; got != want || w.Code != 200 {
		t.Errorf("%d %s, want %s", w.Code, got, want)
	}
	for name, pattern := range map[string]string{
		"Content-Type":     `^application/x-amz-json-1\.1$`,
		"Content-Length":   `^26$`,
		"X-Amzn-Requestid": `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`,
		"X-Amz-Id-2":       `^[A-Za-z0-9+/]{96}$`,
	} {
		if got := w.Header().Get(name); !regexp.MustCompile(pattern).MatchString(got) {
			t.Errorf("%s: %q", name, got)
		}
	}
	if w.Header().Get("X-Amzn-Errortype") != "" {
		t.Error("an error type on success")
	}
}

func TestNoOutput(t *testing.T) {
	r := echoRequest(awsapi.AWSJSON, `{}`)
	r.Header.Set("X-Amz-Target", "Test_1.Quiet")
	w := serve(t, func(context.Context, *shape) (*shape, error) { return nil, nil }, r)
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "0" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
	w = serve(t, func(context.Context, *shape) (*shape, error) { return nil, nil }, echoRequest(awsapi.AWSJSON, `{}`))
	if w.Body.String() != "{}" {
		t.Errorf("an output left out is %q", w.Body)
	}
}

func TestCBOR(t *testing.T) {
	r := echoRequest(awsapi.AWSJSON, "\xa1\x64Text\x61a")
	r.Header.Set("Content-Type", "application/x-amz-cbor-1.1")
	w := serve(t, echo, r)
	if got := w.Body.String(); got != "\xbf\x64Text\x61a\xff" || w.Header().Get("Content-Type") != "application/x-amz-cbor-1.1" {
		t.Errorf("%x", got)
	}
	r = echoRequest(awsapi.AWSJSON, "{}")
	r.Header.Set("Content-Type", "application/x-amz-cbor-1.1")
	r.Header.Set("X-Amz-Target", "Test_1.Nothing")
	// The very bytes AWS answers, recorded by kinesalite (index.js).
	if got := serve(t, echo, r).Body.String(); got != "\xbf\x66__type\x78\x19UnknownOperationException\xff" {
		t.Errorf("%x", got)
	}
}

// TestErrors is every way a request can fail before and in the handler.
func TestErrors(t *testing.T) {
	header := func(k, v string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(k, v) }
	}
	deep := strings.Repeat(`{"Inner":`, codec.MaxDepth+1) + `1` + strings.Repeat(`}`, codec.MaxDepth+1)
	const json = "application/x-amz-json-1.1"
	for _, c := range []struct {
		name    string
		body    string
		change  func(*http.Request)
		handler method
		status  int
		code    string
		want    string
	}{
		{"empty body", ``, nil, nil, 400, "SerializationException", `{"__type":"SerializationException"}`},
		{"no JSON", `hello`, nil, nil, 400, "SerializationException", `{"__type":"SerializationException"}`},
		{"list", `[]`, nil, nil, 400, "SerializationException", `{"__type":"SerializationException","Message":"Start of list found where not expected"}`},
		{"null", `null`, nil, nil, 400, "SerializationException", `{"__type":"SerializationException"}`},
		{"trailing", `{}{}`, nil, nil, 400, "SerializationException", `{"__type":"SerializationException"}`},
		{"deep", deep, nil, nil, 400, "SerializationException", `{"__type":"SerializationException"}`},
		{"type", `{"Text":true}`, nil, nil, 400, "SerializationException",
			`{"__type":"SerializationException","Message":"class java.lang.Boolean can not be converted to an String"}`},
		{"gzip", "\x1f\x8b", header("Content-Encoding", "gzip"), nil, 400, "SerializationException", `{"__type":"SerializationException"}`},
		{"invalid", `{"Text":""}`, nil, nil, 400, "ValidationException",
			`{"__type":"ValidationException","message":"1 validation error detected: Value '' at 'text' failed to satisfy constraint: Member must have length greater than or equal to 1"}`},
		{"too large", `{"Text":"` + strings.Repeat("a", 1<<20) + `"}`, nil, nil, 413, "RequestEntityTooLargeException", ``},
		{"too large, chunked", `{"Text":"` + strings.Repeat("a", 1<<20) + `"}`, func(r *http.Request) { r.ContentLength = -1 }, nil, 413,
			"RequestEntityTooLargeException", ``},
		{"truncated", `{"Text`, func(r *http.Request) { r.ContentLength, r.Body = 100, io.NopCloser(io.MultiReader(r.Body, broken{})) }, nil, 400,
			"SerializationException", `{"__type":"SerializationException"}`},
		{"unknown operation", `{}`, header("X-Amz-Target", "Test_1.Nothing"), nil, 400, "UnknownOperationException", `{"__type":"UnknownOperationException"}`},
		{"unknown service", `{}`, header("X-Amz-Target", "Nobody.Echo"), nil, 400, "UnknownOperationException", `{"__type":"UnknownOperationException"}`},
		{"content type", `{}`, header("Content-Type", "text/plain"), nil, 400, "UnknownOperationException", "<UnknownOperationException/>\n"},
		{"no target", `{}`, func(r *http.Request) { r.Header.Del("X-Amz-Target") }, nil, 403, "AccessDeniedException",
			"<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized</Message>\n</AccessDeniedException>\n"},
		{"method", `{}`, func(r *http.Request) { r.Method = "PUT" }, nil, 400, "UnknownOperationException", `{"__type":"UnknownOperationException"}`},
		{"modelled", `{}`, nil, func(context.Context, *shape) (*shape, error) {
			return nil, errors.Join(errors.New("cause"), awsapi.NewError("NoSuchThing", `a "b"`, 404).With("thing", "x").With("list", []string{"y"}))
		}, 404, "NoSuchThing", `{"__type":"NoSuchThing","thing":"x","list":["y"],"message":"a \"b\""}`},
		{"other", `{}`, nil, func(context.Context, *shape) (*shape, error) { return nil, errors.New("secret") }, 500, "InternalFailure",
			`{"__type":"InternalFailure"}`},
		{"panic", `{}`, nil, func(context.Context, *shape) (*shape, error) { panic("secret") }, 500, "InternalFailure", `{"__type":"InternalFailure"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := echoRequest(awsapi.AWSJSON, c.body)
			if c.change != nil {
				c.change(r)
			}
			f := c.handler
			if f == nil {
				f = echo
			}
			w := serve(t, f, r)
			if w.Code != c.status || w.Body.String() != c.want || w.Header().Get("X-Amzn-Errortype") != c.code {
				t.Errorf("%d %s %q, want %d %s %q", w.Code, w.Header().Get("X-Amzn-Errortype"), w.Body, c.status, c.code, c.want)
			}
			if strings.HasPrefix(c.want, "{") && w.Header().Get("Content-Type") != json {
				t.Errorf("content type %q", w.Header().Get("Content-Type"))
			}
		})
	}
}

// broken is a body whose connection breaks off.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestRESTErrorHasNoType(t *testing.T) {
	w := serve(t, func(context.Context, *shape) (*shape, error) { return nil, awsapi.NewError("Gone", "m", 410) }, echoRequest(awsapi.RESTJSON, ``))
	if w.Code != 410 || w.Body.String() != `{"message":"m"}` || w.Header().Get("X-Amzn-Errortype") != "Gone" ||
		w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
}

// denyAll refuses at one of Auth's two questions.
type denyAll struct{ authenticate bool }

func (d denyAll) Authenticate(*http.Request, string, []byte) (awsapi.Caller, *awsapi.Error) {
	if d.authenticate {
		return awsapi.Caller{}, awsapi.NewError("MissingAuthenticationTokenException", "Missing Authentication Token", 400)
	}
	return awsapi.Caller{}, nil
}

func (denyAll) Authorize(awsapi.Caller, string, string) *awsapi.Error {
	return awsapi.NewError("AccessDeniedException", "no", 400)
}

// TestDefaultDeny has every operation of several services called without an
// Auth, without credentials and without permission: none reaches its handler.
func TestDefaultDeny(t *testing.T) {
	for name, auth := range map[string]awsapi.Auth{
		"no auth": nil, "unauthenticated": denyAll{authenticate: true}, "unauthorised": denyAll{},
	} {
		var calls atomic.Int64
		count := func(context.Context, awsapi.Codec, []byte, []byte) ([]byte, bool, error) {
			calls.Add(1)
			return nil, true, nil
		}
		all := []*awsapi.Service{
			kinesis.NewService(kinesis.Unimplemented{}), firehose.NewService(firehose.Unimplemented{}),
			kafka.NewService(kafka.Unimplemented{}), kinesisvideo.NewService(kinesisvideo.Unimplemented{}),
		}
		if name != "unauthorised" { // there the general path must refuse before validation
			for _, svc := range all {
				for _, op := range svc.Ops {
					op.Fast = count
				}
			}
		}
		srv := newServer(t, awsapi.Config{Services: all, Auth: auth})
		for _, svc := range all {
			for _, op := range svc.Ops {
				r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{}`))
				r.Header.Set("Content-Type", "application/x-amz-json-1.1")
				if svc.Protocol == awsapi.AWSJSON {
					r.Header.Set("X-Amz-Target", svc.TargetPrefix+"."+op.Name)
				} else {
					path := regexp.MustCompile(`(?i)\{[^}]*arn\}`).ReplaceAllString(op.Path, "arn:aws:x:us-east-1:000000000000:1")
					path = regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, "1")
					r = httptest.NewRequest(op.Method, path, strings.NewReader(`{}`))
				}
				w := httptest.NewRecorder()
				srv.ServeHTTP(w, r)
				code := w.Header().Get("X-Amzn-Errortype")
				if w.Code == 200 || code != "AccessDeniedException" && code != "MissingAuthenticationTokenException" {
					t.Errorf("%s: %s: %d %s", name, op.Action, w.Code, code)
				}
			}
		}
		if calls.Load() != 0 {
			t.Errorf("%s: %d handlers were reached", name, calls.Load())
		}
	}
}

// What names no resource at all is refused for that: AWS's validation speaks
// before anybody could be denied it.
func TestMalformedResource(t *testing.T) {
	srv := newServer(t, awsapi.Config{Services: []*awsapi.Service{kinesis.NewService(kinesis.Unimplemented{})}, Auth: denyAll{}})
	for body, want := range map[string]string{
		`{"StreamARN":"garbage"}`: "ValidationException",
		`{"StreamARN":""}`:        "ValidationException",
		`{"StreamARN":"arn:aws:kinesis:us-east-1:1:stream/s"}`:              "AccessDeniedException",
		`{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s"}`:   "AccessDeniedException",
		`{"StreamName":"s","Limit":0}`:                                      "AccessDeniedException",
		`{"Limit":0}`:                                                       "AccessDeniedException",
		`{"StreamARN":"garbage","StreamName":"s","StreamId":"not-checked"}`: "ValidationException",
	} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", "Kinesis_20131202.DescribeStream")
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		if code := w.Header().Get("X-Amzn-Errortype"); w.Code != 400 || code != want {
			t.Errorf("%s: %d %s, want %s", body, w.Code, code, want)
		}
	}
}

func TestTableWithoutAction(t *testing.T) {
	a, _ := services(echo)
	a.Ops[0].Action = ""
	if _, err := awsapi.NewServer(awsapi.Config{Services: []*awsapi.Service{a}, Log: slog.New(slog.DiscardHandler), Clock: stopped{}}); err == nil {
		t.Error("an operation without an action was taken")
	}
}

// asks records what Auth is asked.
type asks struct {
	allowAll
	service, action, resource string
}

func (a *asks) Authenticate(r *http.Request, service string, body []byte) (awsapi.Caller, *awsapi.Error) {
	a.service = service
	return awsapi.Caller{Account: "123456789012", Region: "eu-west-1", AccessKeyID: "AKID", RequestID: "forged", Service: "forged"}, nil
}

func (a *asks) Authorize(_ awsapi.Caller, action, resource string) *awsapi.Error {
	a.action, a.resource = action, resource
	return nil
}

func TestCaller(t *testing.T) {
	auth := new(asks)
	r := echoRequest(awsapi.AWSJSON, `{"Text":"name"}`)
	r.RemoteAddr = "[::1]:1234"
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv6loopback, Port: 80})))
	var who awsapi.Caller
	w := serve(t, func(ctx context.Context, in *shape) (*shape, error) {
		who = awsapi.CallerFrom(ctx)
		return in, nil
	}, r, func(c *awsapi.Config) { c.Auth = auth })
	want := awsapi.Caller{
		Account: "123456789012", Region: "eu-west-1", AccessKeyID: "AKID", SourceIP: "::1", LocalIP: "::1", Service: "test",
		RequestID: w.Header().Get("X-Amzn-Requestid"),
	}
	if who != want {
		t.Errorf("%+v, want %+v", who, want)
	}
	if auth.service != "test" || auth.action != "test:Echo" || auth.resource != "arn:aws:test:eu-west-1:123456789012:name" {
		t.Errorf("%+v", auth)
	}
	if awsapi.CallerFrom(context.Background()) != (awsapi.Caller{}) || awsapi.Authorize(context.Background(), "x") == nil {
		t.Error("a context of no request has rights")
	}
}

func TestFast(t *testing.T) {
	answer := func(ctx context.Context, c awsapi.Codec, body, out []byte) ([]byte, bool, error) {
		if bytes.Contains(body, []byte("slow")) {
			return nil, false, nil
		}
		if bytes.Contains(body, []byte("careless")) {
			return append(out, "leak"...), true, nil
		}
		if err := awsapi.Authorize(ctx, "arn"); err != nil {
			return nil, true, err
		}
		if bytes.Contains(body, []byte("fail")) {
			return nil, true, awsapi.NewError("Failed", "", 400)
		}
		return append(out, `{"fast":1}`...), true, nil
	}
	for body, want := range map[string]string{
		`{"Text":"quick"}`: `{"fast":1}`, `{"Text":"slow"}`: `{"Text":"slow"}`, `{"Text":"fail"}`: `{"__type":"Failed"}`,
		`{"Text":"careless"}`: `{"__type":"InternalFailure"}`,
	} {
		w := serve(t, echo, echoRequest(awsapi.AWSJSON, body), func(c *awsapi.Config) { c.Services[0].Op("Echo").Fast = answer })
		if got := w.Body.String(); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	w := serve(t, echo, echoRequest(awsapi.AWSJSON, `{"Text":"quick"}`), func(c *awsapi.Config) {
		c.Services[0].Op("Echo").Fast = answer
		c.Auth = denyAll{}
	})
	if w.Body.String() != `{"__type":"AccessDeniedException","message":"no"}` {
		t.Errorf("fast and unauthorised: %s", w.Body)
	}
}

// purse is a budget of so many bytes.
type purse struct{ left, least atomic.Int64 }

func (p *purse) TryAcquire(n int64) bool {
	if p.left.Add(-n) < 0 {
		p.left.Add(n)
		return false
	}
	p.least.Store(min(p.least.Load(), p.left.Load()))
	return true
}

func (p *purse) Release(n int64) { p.left.Add(n) }

func TestBudget(t *testing.T) {
	const all = 512 << 10
	big := `{"Text":"` + strings.Repeat("a", 600<<10) + `"}`
	for _, c := range []struct {
		body    string
		chunked bool
		code    string
	}{
		{`{}`, false, ""}, {big, false, "BusyException"}, {big, true, "BusyException"}, {`{"Text":1}`, false, "SerializationException"},
	} {
		var p purse
		p.left.Store(all)
		r := echoRequest(awsapi.AWSJSON, c.body)
		if c.chunked {
			r.ContentLength = -1
		}
		w := serve(t, echo, r, func(cfg *awsapi.Config) { cfg.Budget = &p })
		if code := w.Header().Get("X-Amzn-Errortype"); code != c.code {
			t.Errorf("%d bytes: %s, want %s", len(c.body), code, c.code)
		}
		if p.left.Load() != all {
			t.Errorf("%d bytes: %d of the budget were not given back", len(c.body), all-p.left.Load())
		}
	}
}

func TestOnDone(t *testing.T) {
	released := false
	w := serve(t, func(ctx context.Context, in *shape) (*shape, error) {
		awsapi.OnDone(ctx, func() { released = true })
		if released {
			t.Error("released too early")
		}
		return in, nil
	}, echoRequest(awsapi.AWSJSON, `{}`))
	if !released || w.Code != 200 {
		t.Error("not released")
	}
}

// observed keeps the last observation.
type observed struct {
	service, op, code string
	in, out           int
}

func (o *observed) Observe(service, op, code string, _ float64, in, out int) {
	*o = observed{service, op, code, in, out}
}

func TestObserver(t *testing.T) {
	var o observed
	serve(t, echo, echoRequest(awsapi.AWSJSON, `{"Text":"a"}`), func(c *awsapi.Config) { c.Observer = &o })
	if o != (observed{"test", "Echo", "", 12, 12}) {
		t.Errorf("%+v", o)
	}
	serve(t, echo, echoRequest(awsapi.AWSJSON, `{`), func(c *awsapi.Config) { c.Observer = &o })
	if o != (observed{"test", "Echo", "SerializationException", 1, 35}) {
		t.Errorf("%+v", o)
	}
}

// media streams a body.
type media struct {
	kinesisvideomedia.Unimplemented
	body io.Reader
}

func (m media) GetMedia(context.Context, *kinesisvideomedia.GetMediaInput) (*kinesisvideomedia.GetMediaOutput, error) {
	return &kinesisvideomedia.GetMediaOutput{ContentType: opt.Of("video/webm"), Payload: io.NopCloser(m.body)}, nil
}

func TestStream(t *testing.T) {
	request := func() *http.Request {
		return httptest.NewRequest(http.MethodPost, "/getMedia", strings.NewReader(`{"StreamName":"s","StartSelector":{"StartSelectorType":"NOW"}}`))
	}
	serveMedia := func(body io.Reader) *httptest.ResponseRecorder {
		srv := newServer(t, awsapi.Config{Services: []*awsapi.Service{kinesisvideomedia.NewService(media{body: body})}, Auth: allowAll{}})
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, request())
		return w
	}
	w := serveMedia(strings.NewReader("frames"))
	if w.Body.String() != "frames" || w.Header().Get("Content-Type") != "video/webm" || w.Header().Get("X-Amzn-Requestid") == "" {
		t.Errorf("%q %v", w.Body, w.Header())
	}
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("a broken stream ended like a whole one")
		}
	}()
	serveMedia(io.MultiReader(strings.NewReader("fra"), broken{}))
}

func TestRoutes(t *testing.T) {
	all := []*awsapi.Service{
		kinesis.NewService(kinesis.Unimplemented{}), kafka.NewService(kafka.Unimplemented{}),
		kafkaconnect.NewService(kafkaconnect.Unimplemented{}), kinesisvideo.NewService(kinesisvideo.Unimplemented{}),
		kinesisvideomedia.NewService(kinesisvideomedia.Unimplemented{}),
	}
	srv := newServer(t, awsapi.Config{Services: all})
	const arn = "arn%3Aaws%3Akafka%3Aus-east-1%3A000000000000%3Acluster%2Fdemo%2F1"
	for _, c := range []struct{ method, path, host, scope, target, want string }{
		{"POST", "/any/path", "", "firehose", "Kinesis_20131202.PutRecord", "kinesis:PutRecord"}, // the target decides
		{"GET", "/v1/clusters/" + arn, "", "kafka", "", "kafka:DescribeCluster"},
		{"GET", "/v1/clusters/" + arn, "", "", "", "kafka:DescribeCluster"},
		{"GET", "/v1/clusters/" + arn + "/topics/t", "", "", "", "kafka:DescribeTopic"},
		{"GET", "/v1/clusters", "", "kafka", "", "kafka:ListClusters"},
		{"GET", "/v1/clusters/", "", "kafka", "", ""},
		{"GET", "/v1/clusters/a/b", "", "kafka", "", ""},
		{"PATCH", "/v1/clusters", "", "kafka", "", ""},
		{"GET", "/v1/tags/x", "", "kafka", "", "kafka:ListTagsForResource"},
		{"GET", "/v1/tags/x", "", "kafkaconnect", "", "kafkaconnect:ListTagsForResource"},
		{"GET", "/v1/tags/x", "", "", "", ""}, // either could be meant
		{"GET", "/v1/tags/x", "kafkaconnect.us-east-1.amazonaws.com", "", "", "kafkaconnect:ListTagsForResource"},
		{"POST", "/getMedia", "", "kinesisvideo", "", "kinesisvideo:GetMedia"},
		{"POST", "/createStream", "", "kinesisvideo", "", "kinesisvideo:CreateStream"},
		{"POST", "/getMedia", "s-1.kinesisvideo.us-east-1.amazonaws.com:443", "", "", "kinesisvideo:GetMedia"},
		{"POST", "/", "000000000000.data-kinesis.us-east-1.amazonaws.com", "", "", ""},
		{"GET", "/v1/clusters/%zz", "", "", "", ""},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{}`))
		if u, err := r.URL.Parse(c.path); err == nil {
			r.URL = u
		}
		r.Method, r.Host = c.method, c.host
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		if c.scope != "" {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/"+c.scope+"/aws4_request, SignedHeaders=host, Signature=0")
		}
		if c.target != "" {
			r.Header.Set("X-Amz-Target", c.target)
		}
		got := ""
		if _, op, _, _ := srv.RouteAndDecode(r); op != nil {
			got = op.Action
		}
		if got != c.want {
			t.Errorf("%+v: routed to %q", c, got)
		}
	}
}

func TestPresignedScope(t *testing.T) {
	srv := newServer(t, awsapi.Config{Services: []*awsapi.Service{
		kafka.NewService(kafka.Unimplemented{}), kafkaconnect.NewService(kafkaconnect.Unimplemented{}),
	}})
	r := httptest.NewRequest(http.MethodGet, "/v1/tags/x?X-Amz-Credential=A%2F20260101%2Fus-east-1%2Fkafkaconnect%2Faws4_request", nil)
	if _, op, _, _ := srv.RouteAndDecode(r); op == nil || op.Action != "kafkaconnect:ListTagsForResource" {
		t.Errorf("%+v", op)
	}
}
