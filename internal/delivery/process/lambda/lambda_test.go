package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/process/wasm"
	"thalweg/internal/egress"
	"thalweg/internal/errs"
	"thalweg/internal/log"
	"thalweg/internal/sigv4"
)

const function = "arn:aws:lambda:us-east-1:000000000000:function:double"

var begin = time.Date(2026, 11, 22, 13, 14, 15, 0, time.UTC)

// instant is a clock whose timers fire at once, and which counts the time asked for.
type instant struct {
	clock.Clock
	waited *atomic.Int64
}

func newInstant() instant { return instant{clock.NewManual(begin), new(atomic.Int64)} }

func (c instant) NewTimer(d time.Duration) clock.Timer {
	c.waited.Add(int64(d))
	return c.Clock.NewTimer(0)
}

// serve makes the functions of a server, which has every function.
func serve(t *testing.T, c Config, handler http.HandlerFunc) *Functions {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	if c.Endpoint == "" {
		c.URLs = map[string]string{"double": server.URL}
	} else {
		c.Endpoint = server.URL + "/"
	}
	if c.Egress == nil {
		local, err := egress.New(true, nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Egress = local
	}
	if c.Clock == nil {
		c.Clock = newInstant()
	}
	c.Account = "000000000000"
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func records(data ...string) (in []dest.Record) {
	for i, d := range data {
		in = append(in, dest.Record{ID: fmt.Sprintf("r%d", i), Partition: log.PartitionID{Index: 3}, Offset: 40 + int64(i), Sequence: fmt.Sprintf("49%d", i),
			ShardID: "shardId-000000000000", PartitionKey: "k", Arrival: begin.UnixMilli() + int64(i), Data: []byte(d), Keys: map[string]string{"query:q": "1"}})
	}
	return in
}

// process shows what a stage with these parameters, NAME=VALUE, makes of the records.
func process(t *testing.T, f *Functions, source string, in []dest.Record, parameters ...string) string {
	t.Helper()
	s, err := Open(func(name, otherwise string) string {
		for _, p := range append(parameters, "LambdaArn="+function) {
			if value, ok := strings.CutPrefix(p, name+"="); ok {
				return value
			}
		}
		return otherwise
	}, dest.Env{Stream: dest.Stream{ARN: "arn:aws:firehose:us-east-1:000000000000:deliverystream/game", Account: "000000000000", Region: "us-east-1", SourceARN: source}}, f)
	if err != nil {
		t.Fatal(err)
	}
	out, failed, err := s.Process(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, r := range out {
		shown = append(shown, fmt.Sprintf("%s %q %v", r.ID, r.Data, r.Keys))
	}
	for _, f := range failed {
		if f.Type != "processing-failed" || f.Fields["lambdaArn"] != function {
			t.Errorf("%+v", f)
		}
		shown = append(shown, fmt.Sprintf("%s %q %s %d", f.Record.ID, f.Record.Data, f.Code, f.Attempts))
	}
	return strings.Join(shown, "\n")
}

// TestEvent has the whole of what functions are given.
func TestEvent(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"direct", "", `{"invocationId":"ID","deliveryStreamArn":"arn:aws:firehose:us-east-1:000000000000:deliverystream/game","region":"us-east-1","records":[` +
			`{"recordId":"r0","approximateArrivalTimestamp":1795353255000,"data":"YQ=="},{"recordId":"r0.1","approximateArrivalTimestamp":1795353255001,"data":""}]}`},
		{"stream", "arn:aws:kinesis:us-east-1:000000000000:stream/s", `{"invocationId":"ID","deliveryStreamArn":"arn:aws:firehose:us-east-1:000000000000:deliverystream/game",` +
			`"sourceKinesisStreamArn":"arn:aws:kinesis:us-east-1:000000000000:stream/s","region":"us-east-1","records":[` +
			`{"recordId":"r0","approximateArrivalTimestamp":1795353255000,"data":"YQ==","kinesisRecordMetadata":{"shardId":"shardId-000000000000","partitionKey":"k",` +
			`"approximateArrivalTimestamp":1795353255000,"sequenceNumber":"490","subsequenceNumber":0}},` +
			`{"recordId":"r0.1","approximateArrivalTimestamp":1795353255001,"data":"","kinesisRecordMetadata":{"shardId":"shardId-000000000000","partitionKey":"k",` +
			`"approximateArrivalTimestamp":1795353255001,"sequenceNumber":"491","subsequenceNumber":1}}]}`},
		{"topic", "arn:aws:kafka:us-east-1:000000000000:cluster/c/u", `{"invocationId":"ID","deliveryStreamArn":"arn:aws:firehose:us-east-1:000000000000:deliverystream/game",` +
			`"sourceMSKArn":"arn:aws:kafka:us-east-1:000000000000:cluster/c/u","region":"us-east-1","records":[` +
			`{"recordId":"r0","approximateArrivalTimestamp":1795353255000,"kafkaRecordValue":"YQ==","mskRecordMetadata":{"offset":"40","partitionId":"3","approximateArrivalTimestamp":1795353255000}},` +
			`{"recordId":"r0.1","approximateArrivalTimestamp":1795353255001,"kafkaRecordValue":"","mskRecordMetadata":{"offset":"41","partitionId":"3","approximateArrivalTimestamp":1795353255001}}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ids []string
			f := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				var e struct{ InvocationID string }
				if err := json.Unmarshal(body, &e); err != nil || len(e.InvocationID) != 36 {
					t.Errorf("%q: %v", e.InvocationID, err)
				}
				ids = append(ids, e.InvocationID)
				if got := strings.ReplaceAll(string(body), e.InvocationID, "ID"); got != c.want {
					t.Errorf("got\n%s\nwant\n%s", got, c.want)
				}
				if r.Method != "POST" || r.URL.Path != "/2015-03-31/functions/function/invocations" || r.Header.Get("X-Amz-Invocation-Type") != "RequestResponse" || r.Header.Get("Authorization") != "" {
					t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
				}
				fmt.Fprint(w, `{"records":[]}`)
			})
			in := records("a", "")
			in[1].ID, in[1].Sub = "r0", 1
			in[1].Data = nil
			for range 2 {
				process(t, f, c.source, in)
			}
			if len(ids) != 2 || ids[0] != ids[1] {
				t.Errorf("invocations of the same records: %v", ids)
			}
		})
	}
}

// TestAnswers has what a function may answer, good and bad.
func TestAnswers(t *testing.T) {
	f := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"records":[
			{"recordId":"r1","result":"Dropped"},
			{"recordId":"r0","result":"Ok","data":"QQ==","metadata":{"partitionKeys":{"team":"red","year":"2026"}}},
			{"recordId":"r2","result":"ProcessingFailed","data":"QQ=="},
			{"recordId":"r3","result":"Ok"},
			{"recordId":"r4","result":"Ok","data":"%"},
			{"recordId":"r5","result":"Fine","data":"QQ=="},
			{"recordId":"r6","result":"Ok","data":"QQ=="},{"recordId":"r6","result":"Ok","data":"QQ=="},
			{"recordId":"r8","result":"Ok","data":17},
			{"recordId":"other","result":"Ok","data":"QQ=="}, 17
		]}`)
	})
	want := `r0 "A" map[lambda:team:red lambda:year:2026 query:q:1]
r2 "c" Lambda.ProcessingFailedStatus 1
r3 "d" Lambda.InvalidReturnFormat 1
r4 "e" Lambda.InvalidReturnFormat 1
r5 "f" Lambda.InvalidReturnFormat 1
r6 "g" Lambda.DuplicatedRecordId 1
r7 "h" Lambda.MissingRecordId 1
r8 "i" Lambda.InvalidReturnFormat 1`
	in := records("a", "b", "c", "d", "e", "f", "g", "h", "i")
	if got := process(t, f, "", in); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(in[0].Keys) != 1 || string(in[0].Data) != "a" {
		t.Error("a record was changed in place")
	}
	msk := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"records":[{"recordId":"r0","result":"Ok","kafkaRecordValue":"QQ=="},{"recordId":"r1","result":"Ok","data":"QQ=="}]}`)
	})
	want = "r0 \"A\" map[query:q:1]\nr1 \"b\" Lambda.InvalidReturnFormat 1"
	if got := process(t, msk, "arn:aws:kafka:us-east-1:000000000000:cluster/c/u", records("a", "b")); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestRetries has what is tried again and what is not; the server answers as told,
// and the last answer from then on.
func TestRetries(t *testing.T) {
	const ok = `{"records":[{"recordId":"r0","result":"Ok","data":"QQ=="}]}`
	for _, c := range []struct {
		name    string
		answers []func(w http.ResponseWriter)
		retries string
		want    string
		calls   int
		waited  time.Duration
	}{
		{"busy, then well", []func(http.ResponseWriter){code(429), code(500), body(ok)}, "3", `r0 "A" map[query:q:1]`, 3, 300 * time.Millisecond},
		{"an error of the function", []func(http.ResponseWriter){header("Unhandled")}, "3", `r0 "a" Lambda.FunctionError 4`, 4, 700 * time.Millisecond},
		{"an error of the emulator", []func(http.ResponseWriter){body(`{"errorMessage":"no","errorType":"Error"}`)}, "1", `r0 "a" Lambda.FunctionError 2`, 2, 100 * time.Millisecond},
		{"no retries", []func(http.ResponseWriter){code(503)}, "0", `r0 "a" Lambda.ServiceException 1`, 1, 0},
		{"throttled", []func(http.ResponseWriter){code(429)}, "1", `r0 "a" Lambda.InvokeLimitExceeded 2`, 2, 100 * time.Millisecond},
		{"denied", []func(http.ResponseWriter){code(403)}, "1", `r0 "a" Lambda.InvokeAccessDenied 2`, 2, 100 * time.Millisecond},
		{"unknown", []func(http.ResponseWriter){code(404)}, "3", `r0 "a" Lambda.ResourceNotFound 1`, 1, 0},
		{"moved", []func(http.ResponseWriter){code(302)}, "0", `r0 "a" Lambda.ServiceException 1`, 1, 0},
		{"no JSON", []func(http.ResponseWriter){body(`<html>`)}, "3", `r0 "a" Lambda.MissingRecordId 1`, 1, 0},
		{"too large", []func(http.ResponseWriter){body(strings.Repeat(" ", MaxPayload+1))}, "0", `r0 "a" Lambda.ResponseTooLarge 1`, 1, 0},
		{"cut off", []func(http.ResponseWriter){func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "{")
		}, body(ok)}, "3", `r0 "A" map[query:q:1]`, 2, 100 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := 0
			clk := newInstant()
			f := serve(t, Config{Clock: clk}, func(w http.ResponseWriter, _ *http.Request) {
				c.answers[min(calls, len(c.answers)-1)](w)
				calls++
			})
			if got := process(t, f, "", records("a"), "NumberOfRetries="+c.retries); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if waited := time.Duration(clk.waited.Load()); calls != c.calls || waited != c.waited {
				t.Errorf("%d calls with pauses of %v, want %d and %v", calls, waited, c.calls, c.waited)
			}
		})
	}
}

func code(n int) func(http.ResponseWriter) { return func(w http.ResponseWriter) { w.WriteHeader(n) } }

func body(s string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { fmt.Fprint(w, s) }
}

func header(s string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("X-Amz-Function-Error", s)
		fmt.Fprint(w, `{}`)
	}
}

// secrets are those of the one key.
type secrets struct{}

func (secrets) Secret(string) (sigv4.Secret, uint64, bool) { return sigv4.NewSecret("secret"), 1, true }

// TestEndpoint signs for Lambda's own API.
func TestEndpoint(t *testing.T) {
	signer := &sigv4.Signer{AccessKeyID: "AKIDEXAMPLE", Secret: sigv4.NewSecret("secret"), Region: "us-east-1", Service: "lambda", Clock: clock.NewManual(begin)}
	f := serve(t, Config{Endpoint: "here", Signer: signer}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/2015-03-31/functions/"+function+"/invocations" {
			t.Errorf("%s", r.URL)
		}
		if a := r.Header.Get("Authorization"); !strings.HasPrefix(a, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/us-east-1/lambda/aws4_request, SignedHeaders=content-type;host;x-amz-") {
			t.Errorf("%s", a)
		}
		body, _ := io.ReadAll(r.Body)
		auth, refused := sigv4.Parse(r)
		if refused == nil {
			refused = sigv4.NewVerifier(clock.NewManual(begin), secrets{}).Verify(r, &auth, body, &sigv4.Rules{Service: "lambda"})
		}
		if refused != nil {
			t.Errorf("the signature does not hold: %v", refused)
		}
		fmt.Fprint(w, `{"records":[{"recordId":"r0","result":"Dropped"}]}`)
	})
	if got := process(t, f, "", records("a")); got != "" {
		t.Error(got)
	}
}

// TestSizes cuts records into events, and refuses what no event can hold.
func TestSizes(t *testing.T) {
	var sizes []int
	f := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		var e request
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		sizes = append(sizes, len(e.Records))
		var answers []string
		for _, r := range e.Records {
			answers = append(answers, `{"recordId":"`+r.RecordID+`","result":"Dropped"}`)
		}
		fmt.Fprintf(w, `{"records":[%s]}`, strings.Join(answers, ","))
	})
	large := strings.Repeat("x", 100_000)
	got := process(t, f, "", records(large, large, large, large, strings.Repeat("x", 5<<20), "a"), "BufferSizeInMBs=0.2")
	if !strings.HasPrefix(got, `r4 "xxx`) || !strings.HasSuffix(got, `x" Lambda.RequestTooLarge 1`) {
		t.Errorf("%.40s", got)
	}
	if fmt.Sprint(sizes) != "[2 2 1]" {
		t.Error(sizes)
	}
}

func TestNowhere(t *testing.T) {
	none := serve(t, Config{}, func(http.ResponseWriter, *http.Request) { t.Error("called") })
	none.c.URLs = nil
	if got := process(t, none, "", records("a")); got != `r0 "a" Lambda.ResourceNotFound 1` {
		t.Error(got)
	}
	if got := process(t, nil, "", records("a")); got != `r0 "a" Lambda.ResourceNotFound 1` {
		t.Error(got)
	}
	guarded := serve(t, Config{Egress: &egress.Policy{}}, func(http.ResponseWriter, *http.Request) { t.Error("called") })
	if got := process(t, guarded, "", records("a"), "NumberOfRetries=0"); got != `r0 "a" Lambda.InvokeAccessDenied 1` {
		t.Error(got)
	}
	for _, c := range []Config{{URLs: map[string]string{"f": "localhost:9000"}}, {Endpoint: "ftp://x"}, {Endpoint: "http://x?y"}} {
		if _, err := New(c); errs.KindOf(err) != errs.Invalid || err == nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// A stage that is stopped says so, and fails no record.
func TestStopped(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	f := serve(t, Config{Clock: clock.NewManual(begin)}, func(w http.ResponseWriter, _ *http.Request) {
		stop()
		w.WriteHeader(500)
	})
	s, err := Open(func(name, otherwise string) string {
		if name == "LambdaArn" {
			return function
		}
		return otherwise
	}, dest.Env{Stream: dest.Stream{Account: "000000000000"}}, f)
	if err != nil {
		t.Fatal(err)
	}
	if out, failed, err := s.Process(ctx, records("a")); err == nil || len(out)+len(failed) > 0 {
		t.Errorf("%v %v %v", out, failed, err)
	}
}

// Whatever a function answers, each record is kept, dropped or failed, and nothing
// else comes of it.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"records":[{"recordId":"r0","result":"Ok","data":"QQ==","metadata":{"partitionKeys":{"a":"b"}}}]}`))
	f.Add([]byte(`{"records":[{"recordId":"r0","result":"Dropped"},17,{"recordId":"r0"}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		byID, twice := results(answer)
		for _, r := range records("a", "b") {
			before := string(r.Data)
			kept, code, message := apply(&r, byID, twice, false)
			if kept && code != "" || (code == "") != (message == "") || !kept && string(r.Data) != before {
				t.Fatalf("%v %s %s", kept, code, message)
			}
		}
	})
}

type program func(event []byte) ([]byte, error)

func (p program) Invoke(_ context.Context, event []byte, _ int) ([]byte, error) { return p(event) }

// A program's failures are told as Lambda's are.
func TestProgram(t *testing.T) {
	for _, c := range []struct {
		answer string
		err    error
		code   string
	}{
		{`{"records":[]}`, nil, ""},
		{`{"errorMessage":"no"}`, nil, "Lambda.FunctionError"},
		{"", wasm.ErrTimeout, "Lambda.FunctionTimedOut"},
		{"", wasm.ErrTooLarge, "Lambda.ResponseTooLarge"},
		{"", errs.New(errs.Invalid, "the module ended with 3"), "Lambda.FunctionError"},
	} {
		f, err := New(Config{Account: "000000000000", Egress: &egress.Policy{}, Programs: map[string]Program{"f": program(func([]byte) ([]byte, error) { return []byte(c.answer), c.err })}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.invoke(t.Context(), "000000000000", "arn:aws:lambda:us-east-1:000000000000:function:f:2", nil)
		var failed *failure
		if errors.As(err, &failed); (failed == nil) != (c.code == "") || failed != nil && failed.code != c.code {
			t.Errorf("%q, %v: %q, %v", c.answer, c.err, got, err)
		}
	}
}
