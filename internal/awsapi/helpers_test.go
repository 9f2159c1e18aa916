package awsapi_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/codec"
	"thalweg/internal/awsapi/validate"
	"thalweg/internal/clock"
	"thalweg/internal/opt"
)

// stopped is a clock that stands still.
type stopped struct{}

func (stopped) Now() time.Time                     { return time.Unix(1800000000, 0) }
func (stopped) NewTimer(time.Duration) clock.Timer { return nil }

// newServer returns a server of cfg with a quiet log and a stopped clock where
// it has none.
func newServer(t testing.TB, cfg awsapi.Config) *awsapi.Server {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = stopped{}
	}
	srv, err := awsapi.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return srv
}

// allowAll lets everybody do everything.
type allowAll struct{}

func (allowAll) Authenticate(*http.Request, string, []byte) (awsapi.Caller, *awsapi.Error) {
	return awsapi.Caller{Account: "000000000000", Region: "us-east-1"}, nil
}

func (allowAll) Authorize(awsapi.Caller, string, string) *awsapi.Error { return nil }

// shape is a small input and output.
type shape struct {
	Text  opt.V[string]
	Blob  []byte
	Inner *shape
}

func (x *shape) Decode(d codec.Decoder) {
	if !d.BeginStruct() {
		return
	}
	for k := d.NextKey(); k != nil; k = d.NextKey() {
		switch string(k) {
		case "Text":
			x.Text = d.String()
		case "Blob":
			x.Blob = d.Blob()
		case "Inner":
			x.Inner = codec.Struct[shape](d)
		default:
			d.Skip()
		}
	}
}

func (x *shape) Encode(e codec.Encoder) {
	e.BeginStruct()
	if x.Blob != nil {
		e.Key("Blob")
		e.Blob(x.Blob)
	}
	if x.Inner != nil {
		e.Key("Inner")
		x.Inner.Encode(e)
	}
	if x.Text.Set {
		e.Key("Text")
		e.String(x.Text.V)
	}
	e.EndStruct()
}

func (x *shape) Validate(c *validate.Collector) {
	validate.Text(c, "text", x.Text, &validate.String{Size: validate.Size{Min: 1, Max: 1 << 20}})
}

func (x *shape) Resource(c awsapi.Caller) string { return c.ARN("test", x.Text.Or("*")) }

// method is a handler's method of shape.
type method func(context.Context, *shape) (*shape, error)

// services returns one service of each protocol, whose operation Echo is f.
func services(f method) (*awsapi.Service, *awsapi.Service) {
	op := func() *awsapi.Op {
		return &awsapi.Op{
			Name: "Echo", Action: "test:Echo", Method: "POST", Path: "/echo/{name}", Status: 200,
			Errors: []string{"BusyException"}, Invoke: awsapi.Bind(f),
		}
	}
	quiet := op()
	quiet.Name, quiet.Action, quiet.NoOutput = "Quiet", "test:Quiet", true
	service := awsapi.Service{
		Name: "test", SigningName: "test", HostPrefixes: []string{"test"}, TargetPrefix: "Test_1", MaxBody: 1 << 20,
		Throttled: func(msg string) *awsapi.Error { return awsapi.NewError("BusyException", msg, 400) },
		Invalid:   func(msg string) *awsapi.Error { return awsapi.NewError("ValidationException", msg, 400) },
		Ops:       []*awsapi.Op{op(), quiet},
	}
	rest := service
	rest.Name, rest.SigningName, rest.HostPrefixes = "rest", "rest", []string{"rest"}
	rest.Protocol, rest.Ops = awsapi.RESTJSON, []*awsapi.Op{op()}
	return &service, &rest
}

func echoRequest(p awsapi.Protocol, body string) *http.Request {
	path := "/"
	if p == awsapi.RESTJSON {
		path = "/echo/name"
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	if p == awsapi.AWSJSON {
		r.Header.Set("X-Amz-Target", "Test_1.Echo")
	}
	return r
}
