package splunk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/dest/desttest"
	"thalweg/internal/egress"
)

// hec is a collector: what it was sent, and how often it says no before it says yes.
type hec struct {
	t     *testing.T
	paths []string
	body  string
	nos   int
	asked int
	data  func(w http.ResponseWriter) bool // another answer to data
}

func (h *hec) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.Header.Get("Authorization") != "Splunk token" || r.Header.Get("X-Splunk-Request-Channel") != desttest.Plan ||
		r.URL.Query().Get("channel") != desttest.Plan || r.ContentLength != int64(len(body)) {
		h.t.Errorf("%s %v", r.URL, r.Header)
	}
	h.paths = append(h.paths, r.URL.Path)
	if !strings.HasSuffix(r.URL.Path, "/ack") {
		h.body = string(body)
		if h.data == nil || !h.data(w) {
			io.WriteString(w, `{"text":"Success","code":0,"ackId":7}`)
		}
		return
	}
	if string(body) != `{"acks":[7]}` {
		h.t.Errorf("asked %s", body)
	}
	h.asked++
	fmt.Fprintf(w, `{"acks":{"7":%t}}`, h.asked > h.nos)
}

// deliver delivers a batch while the clock goes on whenever somebody waits for it.
func (h *hec) deliver(t *testing.T, kind string) error {
	t.Helper()
	h.t = t
	web := httptest.NewServer(h)
	defer web.Close()
	p, err := egress.New(true, nil)
	if err != nil {
		t.Fatal(err)
	}
	files := &desttest.Files{}
	env := files.Env()
	d, err := Spec(p).Open(dest.Config(fmt.Sprintf(`{"HECEndpoint":"%s/base","HECEndpointType":%q,"HECToken":"token",`+
		`"HECAcknowledgmentTimeoutInSeconds":180}`, web.URL, kind)), env)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		defer cancel()
		_, err := d.Deliver(ctx, desttest.Batch("one\n", "two\n"))
		done <- err
	}()
	manual := env.Clock.(*clock.Manual)
	go func() {
		for ctx.Err() == nil {
			manual.AwaitTimers(1)
			manual.Advance(PollEvery)
		}
	}()
	err = <-done
	manual.NewTimer(time.Hour) // lets the other one end
	if n := files.Open.Load(); n != 0 {
		t.Errorf("%d files are open", n)
	}
	return err
}

func TestDeliver(t *testing.T) {
	for kind, path := range map[string]string{"Raw": "/base/services/collector/raw", "Event": "/base/services/collector/event"} {
		h := &hec{nos: 3}
		if err := h.deliver(t, kind); err != nil {
			t.Fatal(err)
		}
		if h.paths[0] != path || h.body != "one\ntwo\n" || h.asked != 4 || h.paths[1] != "/base/services/collector/ack" {
			t.Errorf("%v %q, asked %d times", h.paths, h.body, h.asked)
		}
	}
}

func TestFailures(t *testing.T) {
	say := func(status int, body string) func(http.ResponseWriter) bool {
		return func(w http.ResponseWriter) bool {
			w.WriteHeader(status)
			io.WriteString(w, body)
			return true
		}
	}
	for code, c := range map[string]struct {
		h     *hec
		class dest.Class
	}{
		"Splunk.AckTimeout":         {&hec{nos: 1000}, dest.Retryable},
		"Splunk.DisabledAck":        {&hec{data: say(200, `{"text":"Success","code":0}`)}, dest.Retryable},
		"Splunk.InvalidToken":       {&hec{data: say(403, `{"text":"Invalid token","code":4}`)}, dest.Retryable},
		"Splunk.ServerBusy":         {&hec{data: say(503, `{"text":"Server is busy","code":9}`)}, dest.Throttled},
		"Splunk.InvalidDataFormat":  {&hec{data: say(400, `{"text":"Invalid data format","code":6}`)}, dest.Permanent},
		"Splunk.RequestTooLarge":    {&hec{data: say(413, ``)}, dest.Permanent},
		"Splunk.InvalidEndpoint":    {&hec{data: say(404, `<html>`)}, dest.Retryable},
		"Splunk.ServerError":        {&hec{data: say(302, ``)}, dest.Retryable},
		"Splunk.InvalidHecResponse": {&hec{data: say(200, `<html>`)}, dest.Retryable},
	} {
		err := c.h.deliver(t, "Raw")
		var e *dest.Error
		if !errors.As(err, &e) || e.Code != code || e.Class != c.class || strings.Contains(err.Error(), "token\"") {
			t.Errorf("%s: %v", code, err)
		}
	}
	h := &hec{data: say(400, `{"text":"ACK is disabled","code":14}`)}
	var e *dest.Error
	if err := h.deliver(t, "Raw"); !errors.As(err, &e) || e.Code != "Splunk.DisabledAck" {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	s := Spec(&egress.Policy{})
	for _, c := range []string{`{}`, `{"HECEndpoint":"https://x"}`, `{"HECEndpoint":"x","HECToken":"t"}`, `{"HECEndpoint":"https://x?y","HECToken":"t"}`,
		`{"HECEndpoint":"https://x","HECToken":"t","SecretsManagerConfiguration":{"Enabled":true}}`} {
		if s.Check(dest.Config(c)) == nil {
			t.Errorf("taken: %s", c)
		}
	}
	if h := s.Host(dest.Config(`{"HECEndpoint":"https://x:8088","HECToken":"t"}`)); h != "x:8088" {
		t.Error(h)
	}
}
