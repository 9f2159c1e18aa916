package awsapi_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"thalweg/internal/awsapi"
)

// everyWay makes the test service speak all that a service can speak beside JSON.
func everyWay(cfg *awsapi.Config) {
	s := cfg.Services[0]
	s.Version, s.XMLNamespace, s.RPC, s.ErrorPrefix = "2020-01-01", "http://test/", true, "com.example#"
	s.Ops[0].Gzip = true
}

func formRequest(method, form string) *http.Request {
	r := httptest.NewRequest(method, "/", strings.NewReader(form))
	if method == http.MethodGet {
		r = httptest.NewRequest(method, "/?"+form, http.NoBody)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/test/aws4_request")
	return r
}

func rpcRequest(path, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/cbor")
	r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	return r
}

func packed(t *testing.T, body string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(body)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

var anID = regexp.MustCompile(`<RequestId>[0-9a-f-]{36}</RequestId>`)

// TestForms is the query protocol: what is asked, and what is answered.
func TestForms(t *testing.T) {
	const head, tail = `<EchoResponse xmlns="http://test/">`, `<ResponseMetadata>~</ResponseMetadata></EchoResponse>`
	fault := func(kind, rest string) string {
		return `<ErrorResponse xmlns="http://test/"><Error><Type>` + kind + `</Type>` + rest + `</Error>~</ErrorResponse>`
	}
	for name, c := range map[string]struct {
		method, form string
		status       int
		want         string
	}{
		"text":      {"POST", "Action=Echo&Version=2020-01-01&Text=a%26b+%3C", 200, head + `<EchoResult><Text>a&amp;b &lt;</Text></EchoResult>` + tail},
		"nested":    {"POST", "Inner.Inner.Text=deep&Action=Echo&Blob=AAE%3D", 200, head + `<EchoResult><Blob>AAE=</Blob><Inner><Inner><Text>deep</Text></Inner></Inner></EchoResult>` + tail},
		"get":       {"GET", "Action=Echo&Text=a", 200, head + `<EchoResult><Text>a</Text></EchoResult>` + tail},
		"no output": {"POST", "Action=Quiet", 200, `<QuietResponse xmlns="http://test/"><ResponseMetadata>~</ResponseMetadata></QuietResponse>`},
		"invalid":   {"POST", "Action=Echo&Text=", 400, fault("Sender", `<Code>ValidationException</Code><Message>1 validation error detected: Value '' at 'text' failed to satisfy constraint: Member must have length greater than or equal to 1</Message>`)},
		"unknown":   {"POST", "Action=Nope", 400, fault("Sender", `<Code>InvalidAction</Code><Message>Could not find operation Nope for version 2020-01-01</Message>`)},
		"no action": {"POST", "Text=a", 400, fault("Sender", `<Code>MissingAction</Code><Message>The request must contain the parameter Action.</Message>`)},
		"bad text":  {"POST", "Action=Echo&Text=%z", 400, fault("Sender", `<Code>MalformedInput</Code>`)},
		"bad blob":  {"POST", "Action=Echo&Blob=%21", 400, fault("Sender", `<Code>MalformedInput</Code>`)},
		"deep":      {"POST", "Action=Echo&" + strings.Repeat("a.", 100) + "a=1", 400, fault("Sender", `<Code>MalformedInput</Code>`)},
		"many":      {"POST", "Action=Echo&" + strings.Repeat("a.b.c&", 10) + manyNames(1<<17), 400, fault("Sender", `<Code>MalformedInput</Code>`)},
		"broken":    {"POST", "Action=Echo&Text=panic", 500, fault("Receiver", `<Code>InternalFailure</Code>`)},
	} {
		w := serve(t, func(ctx context.Context, in *shape) (*shape, error) {
			if in.Text.V == "panic" {
				panic("test")
			}
			return echo(ctx, in)
		}, formRequest(c.method, c.form), everyWay)
		if got := anID.ReplaceAllString(w.Body.String(), "~"); w.Code != c.status || got != c.want || w.Header().Get("Content-Type") != "text/xml" {
			t.Errorf("%s: %d %s %s", name, w.Code, w.Header().Get("Content-Type"), got)
		}
	}
}

// manyNames is a form of n members of different names.
func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(string(rune('A'+i%26)) + string(rune('A'+i/26%26)) + string(rune('A'+i/676%26)) + string(rune('A'+i/17576)) + "&")
	}
	return b.String()
}

// TestRPC is Smithy's RPC v2: routed by path, answered in CBOR, an operation
// without output with nothing.
func TestRPC(t *testing.T) {
	w := serve(t, echo, rpcRequest("/service/Test_1/operation/Echo", "\xa1\x64Text\x61a"), everyWay)
	if got := w.Body.String(); w.Code != 200 || got != "\xbf\x64Text\x61a\xff" || w.Header().Get("Content-Type") != "application/cbor" ||
		w.Header().Get("Smithy-Protocol") != "rpc-v2-cbor" {
		t.Errorf("%d %x %v", w.Code, got, w.Header())
	}
	w = serve(t, echo, rpcRequest("/service/Test_1/operation/Quiet", "\xa0"), everyWay)
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Type") != "" {
		t.Errorf("%d %x %v", w.Code, w.Body, w.Header())
	}
	w = serve(t, echo, rpcRequest("/service/Test_1/operation/Echo", "\xa1\x64Text\x60"), everyWay)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "com.example#ValidationException") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	for _, path := range []string{"/service/Test_1/operation/Nope", "/service/Other/operation/Echo", "/Test_1/Echo", "/"} {
		if w := serve(t, echo, rpcRequest(path, "\xa0"), everyWay); w.Code < 400 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := serve(t, echo, rpcRequest("/service/Test_1/operation/Echo", "\xa0")); w.Code != 403 {
		t.Errorf("a service that does not speak it answers %d", w.Code)
	}
}

// TestPackedBodies: unpacked where the model allows it, within the service's
// limit and the budget.
func TestPackedBodies(t *testing.T) {
	send := func(body, encoding string, change ...func(*awsapi.Config)) *httptest.ResponseRecorder {
		r := echoRequest(awsapi.AWSJSON, body)
		r.Header.Set("Content-Encoding", encoding)
		return serve(t, echo, r, append([]func(*awsapi.Config){everyWay}, change...)...)
	}
	if w := send(packed(t, `{"Text":"a"}`), "gzip"); w.Code != 200 || w.Body.String() != `{"Text":"a"}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	form := formRequest("POST", packed(t, "Action=Echo&Text=a"))
	form.Header.Set("Content-Encoding", "gzip")
	if w := serve(t, echo, form, everyWay); w.Code != 200 || !strings.Contains(w.Body.String(), "<Text>a</Text>") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := send("no gzip", "gzip"); w.Code != 400 {
		t.Errorf("what is not packed: %d", w.Code)
	}
	if w := send(packed(t, `{"Text":"a"}`), "br"); w.Code != 400 {
		t.Errorf("another encoding: %d", w.Code)
	}
	if w := send(packed(t, `{"Text":"`+strings.Repeat("a", 2<<20)+`"}`), "gzip"); w.Code != 413 {
		t.Errorf("2 MiB packed: %d", w.Code)
	}
	p := &purse{}
	p.left.Store(100 << 10)
	w := send(packed(t, `{"Text":"`+strings.Repeat("a", 500<<10)+`"}`), "gzip", func(cfg *awsapi.Config) { cfg.Budget = p })
	if w.Code != 400 || !strings.Contains(w.Body.String(), "BusyException") || p.left.Load() != 100<<10 {
		t.Errorf("without memory: %d %s, %d left", w.Code, w.Body, p.left.Load())
	}
}
