package httpendpoint

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/dest/desttest"
	"thalweg/internal/egress"
)

// received is a request as an endpoint has read it.
type received struct {
	header  http.Header
	length  int64
	ID      string `json:"requestId"`
	Time    int64  `json:"timestamp"`
	Records []struct{ Data []byte }
}

// receive reads a request as the contract has it.
func receive(t *testing.T, r *http.Request) (got received) {
	t.Helper()
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			t.Error(err)
			return got
		}
		body = z
	}
	if err := json.NewDecoder(body).Decode(&got); err != nil {
		t.Error(err)
	}
	got.header, got.length = r.Header, r.ContentLength
	return got
}

// deliver delivers a batch to an endpoint under a configuration.
func deliver(t *testing.T, url, more string, b dest.Batch) error {
	t.Helper()
	p, err := egress.New(true, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec := Spec(p)
	c := dest.Config(fmt.Sprintf(`{"EndpointConfiguration":{"Url":%q%s}`, url, more))
	if err := spec.Check(c); err != nil {
		t.Fatal(err)
	}
	files := &desttest.Files{}
	d, err := spec.Open(c, files.Env())
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Deliver(t.Context(), b)
	if n := files.Open.Load(); n != 0 {
		t.Errorf("%d scratch files are left open", n)
	}
	return err
}

func acknowledge(w http.ResponseWriter, id string) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"requestId":%q,"timestamp":1700000000000}`, id)
}

func TestRequest(t *testing.T) {
	for _, encoding := range []string{"NONE", "GZIP"} {
		var all []received
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			all = append(all, receive(t, r))
			acknowledge(w, all[len(all)-1].ID)
		}))
		more := `,"AccessKey":"sealed hush"},"RequestConfiguration":{"ContentEncoding":"` + encoding +
			`","CommonAttributes":[{"AttributeName":"map","AttributeValue":"de_dust \"2\""}]}`
		for range 2 { // the second is the same again
			if err := deliver(t, web.URL+"/in?x=1", more, desttest.Batch("one", "", "{\"a\":\"\u00e4\"}")); err != nil {
				t.Fatal(err)
			}
		}
		web.Close()
		got := all[0]
		for name, want := range map[string]string{
			"Content-Type": "application/json", "X-Amz-Firehose-Protocol-Version": "1.0", "X-Amz-Firehose-Request-Id": desttest.Plan,
			"X-Amz-Firehose-Source-Arn": desttest.Stream.ARN, "X-Amz-Firehose-Access-Key": "hush",
			"X-Amz-Firehose-Common-Attributes": `{"commonAttributes":{"map":"de_dust \"2\""}}`,
			"Content-Encoding":                 map[string]string{"NONE": "", "GZIP": "gzip"}[encoding],
		} {
			if got.header.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, got.header.Get(name), want)
			}
		}
		var data []string
		for _, r := range got.Records {
			data = append(data, string(r.Data))
		}
		if got.ID != desttest.Plan || got.length <= 0 || !reflect.DeepEqual(data, []string{"one", "", "{\"a\":\"\u00e4\"}"}) ||
			got.Time != desttest.Begin.UnixMilli()+3_600_000 {
			t.Errorf("%+v", got)
		}
		if !reflect.DeepEqual(all[0], all[1]) {
			t.Errorf("a repetition differs:\n%+v\n%+v", all[0], all[1])
		}
	}
}

// TestManyRecords: a batch of more records than a request carries goes in several, each
// with an id that is its own and the same again.
func TestManyRecords(t *testing.T) {
	data := make([]string, 2*MaxRecords+1)
	for i := range data {
		data[i] = fmt.Sprint(i)
	}
	var ids []string
	n := 0
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := receive(t, r)
		for _, rec := range got.Records {
			if want := fmt.Sprint(n % len(data)); string(rec.Data) != want {
				t.Errorf("%q, want %s", rec.Data, want)
			}
			n++
		}
		ids = append(ids, got.ID)
		acknowledge(w, got.ID)
	}))
	defer web.Close()
	for range 2 {
		if err := deliver(t, web.URL, "}", desttest.Batch(data...)); err != nil {
			t.Fatal(err)
		}
	}
	if n != 2*len(data) || len(ids) != 6 || !reflect.DeepEqual(ids[:3], ids[3:]) || ids[0] == ids[1] || ids[1] == ids[2] {
		t.Errorf("%d records, ids %v", n, ids)
	}
}

// TestAnswers: only an acknowledgement to the letter is one.
func TestAnswers(t *testing.T) {
	ok := fmt.Sprintf(`{"requestId":%q,"timestamp":1}`, desttest.Plan)
	for name, c := range map[string]struct {
		status             int
		kind, encoding, to string
		body               string
		code               string
		class              dest.Class
	}{
		"acknowledged":           {200, "application/json; charset=utf-8", "", "", ok, "", 0},
		"more than is needed":    {200, "application/json", "identity", "", `{"x":[1],"timestamp":9,"requestId":"` + desttest.Plan + `"}`, "", 0},
		"another id":             {200, "application/json", "", "", `{"requestId":"x","timestamp":1}`, "HttpEndpoint.InvalidResponseFromDestination", 0},
		"no id":                  {200, "application/json", "", "", `{"timestamp":1}`, "HttpEndpoint.InvalidResponseFromDestination", 0},
		"no time":                {200, "application/json", "", "", `{"requestId":"` + desttest.Plan + `"}`, "HttpEndpoint.InvalidResponseFromDestination", 0},
		"time as text":           {200, "application/json", "", "", `{"requestId":"` + desttest.Plan + `","timestamp":"1"}`, "HttpEndpoint.InvalidResponseFromDestination", 0},
		"nothing":                {200, "application/json", "", "", ``, "HttpEndpoint.InvalidResponseFromDestination", 0},
		"a page":                 {200, "text/html", "", "", ok, "HttpEndpoint.InvalidResponseFromDestination", 0},
		"compressed":             {200, "application/json", "gzip", "", ok, "HttpEndpoint.InvalidResponseFromDestination", 0},
		"an answer without end":  {200, "application/json", "", "", ok + strings.Repeat(" ", MaxAnswer), "HttpEndpoint.ResponseTooLarge", 0},
		"created":                {201, "application/json", "", "", ok, "HttpEndpoint.DestinationException", 0},
		"redirected":             {307, "", "", "/elsewhere", ok, "HttpEndpoint.DestinationException", 0},
		"its own error":          {500, "application/json", "", "", `{"errorMessage":"disk on fire"}`, "HttpEndpoint.DestinationException", 0},
		"too many":               {429, "", "", "", ``, "HttpEndpoint.DestinationException", dest.Throttled},
		"not now":                {503, "", "", "", ``, "HttpEndpoint.DestinationException", dest.Throttled},
		"too large":              {413, "", "", "", ``, "HttpEndpoint.DestinationException", dest.Permanent},
		"who are you":            {401, "", "", "", `{"errorMessage":5}`, "HttpEndpoint.DestinationException", 0},
		"nested beyond all bars": {200, "application/json", "", "", strings.Repeat("[", 100_000), "HttpEndpoint.InvalidResponseFromDestination", 0},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				for k, v := range map[string]string{"Content-Type": c.kind, "Content-Encoding": c.encoding, "Location": c.to} {
					if v != "" {
						w.Header().Set(k, v)
					}
				}
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			}))
			defer web.Close()
			err := deliver(t, web.URL, "}", desttest.Batch("x"))
			var e *dest.Error
			switch {
			case asked != 1:
				t.Errorf("asked %d times", asked)
			case c.code == "" && err != nil, c.code != "" && !errors.As(err, &e):
				t.Errorf("%v", err)
			case e != nil && (e.Code != c.code || e.Class != c.class):
				t.Errorf("%v, %v", e.Class, e)
			case c.status == 500 && !strings.Contains(e.Message, "disk on fire"):
				t.Errorf("%v", e)
			}
		})
	}
}

// TestConnections: what goes wrong before there is an answer has the service's code.
func TestConnections(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	reset := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer reset.Close()
	for code, url := range map[string]string{
		"HttpEndpoint.ConnectionFailed":    "http://" + closed.Addr().String(),
		"HttpEndpoint.SSLHandshakeFailure": secure.URL,
		"HttpEndpoint.ConnectionReset":     reset.URL,
	} {
		err := deliver(t, url, "}", desttest.Batch("x"))
		var e *dest.Error
		if !errors.As(err, &e) || e.Code != code || e.Class != dest.Retryable {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// TestCancel: a delivery ends with its context, however slow the endpoint is.
func TestCancel(t *testing.T) {
	arrived := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	}))
	defer web.Close()
	p, _ := egress.New(true, nil)
	files := &desttest.Files{}
	d, err := Spec(p).Open(dest.Config(`{"EndpointConfiguration":{"Url":"`+web.URL+`"}}`), files.Env())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if _, err = d.Deliver(ctx, desttest.Batch("x")); !errors.Is(err, context.Canceled) || files.Open.Load() != 0 {
		t.Error(err, files.Open.Load())
	}
}

// TestElsewhere: an endpoint that the server alone can reach is not reached.
func TestElsewhere(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	defer web.Close()
	d, err := Spec(&egress.Policy{}).Open(dest.Config(`{"EndpointConfiguration":{"Url":"`+web.URL+`"}}`), (&desttest.Files{}).Env())
	if err != nil {
		t.Fatal(err)
	}
	if _, err = d.Deliver(t.Context(), desttest.Batch("x")); err == nil || !strings.Contains(err.Error(), "not a public address") {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	s := Spec(&egress.Policy{})
	for _, c := range []string{
		`{"EndpointConfiguration":{"Url":"ftp://x/"}}`, `{"EndpointConfiguration":{"Url":"https://"}}`, `{"EndpointConfiguration":{"Url":"https://u:p@x/"}}`,
		`{"EndpointConfiguration":{"Url":"https://x/%zz"}}`,
		`{"EndpointConfiguration":{"Url":"https://x/"},"RequestConfiguration":{"CommonAttributes":[{"AttributeName":"a"},{"AttributeName":"a"}]}}`,
	} {
		if s.Check(dest.Config(c)) == nil {
			t.Errorf("taken: %s", c)
		}
	}
	if h := s.Host(dest.Config(`{"EndpointConfiguration":{"Url":"https://x:8443/y"}}`)); h != "x:8443" {
		t.Error(h)
	}
}
