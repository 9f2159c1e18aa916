package awsapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/codec/eventstream"
	"thalweg/internal/clock"
	"thalweg/internal/limits"
)

// events serves f as an operation and returns its answer, the messages in it and
// how it ended.
func events(t *testing.T, contentType string, cfg awsapi.Config, f method) (*http.Response, []eventstream.Message, error) {
	t.Helper()
	awsJSON, _ := services(f)
	cfg.Services, cfg.Auth, cfg.Deadlines = []*awsapi.Service{awsJSON}, allowAll{}, clock.System()
	srv := httptest.NewServer(newServer(t, cfg))
	t.Cleanup(srv.Close)
	body := []byte(`{}`)
	if contentType == "application/x-amz-cbor-1.1" {
		body = []byte{0xA0}
	}
	r, err := http.NewRequest(http.MethodPost, srv.URL, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-Amz-Target", "Test_1.Echo")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, ended := io.ReadAll(resp.Body)
	var all []eventstream.Message
	if resp.Header.Get("Content-Type") != eventstream.ContentType {
		return resp, append(all, eventstream.Message{Payload: raw}), ended
	}
	for len(raw) > 0 {
		m, n, err := eventstream.Parse(raw)
		if err != nil {
			t.Fatalf("%v after %d messages", err, len(all))
		}
		all, raw = append(all, m), raw[n:]
	}
	return resp, all, ended
}

func headersOf(m eventstream.Message) (kind, typ, content string) {
	typ = m.Header(":event-type")
	if typ == "" {
		typ = m.Header(":exception-type")
	}
	return m.Header(":message-type"), typ, m.Header(":content-type")
}

func TestEvents(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 200<<10) // more than one piece
	for _, c := range []struct{ contentType, empty, failure string }{
		{"application/x-amz-json-1.1", "{}", `{"message":"over"}`},
		{"application/x-amz-cbor-1.1", "\xBF\xFF", "\xBF\x67message\x64over\xFF"},
	} {
		budget := limits.NewBudget(1 << 20)
		resp, all, ended := events(t, c.contentType, awsapi.Config{Budget: budget}, func(ctx context.Context, _ *shape) (*shape, error) {
			if !awsapi.Hold(ctx, 1000) {
				t.Error("no memory")
			}
			e := awsapi.BeginEvents(ctx)
			if n := budget.Used(); n != 0 {
				t.Errorf("%d bytes held for a request that was read", n)
			}
			for _, payload := range [][]byte{[]byte("one"), big} {
				if err := e.Send(eventstream.End(append(e.BeginEvent(nil, "Thing"), payload...), 0)); err != nil {
					return nil, err
				}
			}
			return nil, awsapi.NewError("TestException", "over", 400)
		})
		if ended != nil || resp.StatusCode != 200 || len(resp.Header["X-Amzn-Requestid"]) != 1 || len(all) != 4 {
			t.Fatalf("%v: %v %+v, %d messages", ended, resp.Status, resp.Header, len(all))
		}
		for i, want := range []struct{ kind, typ, payload string }{
			{"event", "initial-response", c.empty}, {"event", "Thing", "one"}, {"event", "Thing", string(big)},
			{"exception", "TestException", c.failure},
		} {
			kind, typ, content := headersOf(all[i])
			if kind != want.kind || typ != want.typ || content != c.contentType || string(all[i].Payload) != want.payload {
				t.Errorf("message %d: %s %s %s %.40q", i, kind, typ, content, all[i].Payload)
			}
		}
	}
}

// TestEventsEnd ends streams in every other way.
func TestEventsEnd(t *testing.T) {
	const typ = "application/x-amz-json-1.1"
	for _, c := range []struct {
		name string
		f    method
		last string // type of the last message; "" for a connection broken off
		code int
	}{
		{"refused before it begins", func(context.Context, *shape) (*shape, error) {
			return nil, awsapi.NewError("TestException", "no", 400)
		}, "", 400},
		{"nothing to tell", func(ctx context.Context, _ *shape) (*shape, error) {
			awsapi.BeginEvents(ctx)
			return nil, nil
		}, "initial-response", 200},
		{"an error of no model", func(ctx context.Context, _ *shape) (*shape, error) {
			awsapi.BeginEvents(ctx)
			return nil, errors.New("secret")
		}, "InternalFailure", 200},
		{"a panic", func(ctx context.Context, _ *shape) (*shape, error) {
			awsapi.BeginEvents(ctx)
			panic("bug")
		}, "", 200},
	} {
		resp, all, ended := events(t, typ, awsapi.Config{}, c.f)
		last := all[len(all)-1]
		_, got, _ := headersOf(last)
		if resp.StatusCode != c.code || bytes.Contains(last.Payload, []byte("secret")) {
			t.Errorf("%s: %s %s", c.name, resp.Status, last.Payload)
		}
		switch broken := c.last == "" && c.code == 200; {
		case broken != (ended != nil):
			t.Errorf("%s: ended with %v", c.name, ended)
		case !broken && got != c.last:
			t.Errorf("%s: last message %q", c.name, got)
		}
	}
}

// TestEventsClientGone has the handler learn that there is nobody to send to.
func TestEventsClientGone(t *testing.T) {
	gone := make(chan error, 1)
	awsJSON, _ := services(func(ctx context.Context, _ *shape) (*shape, error) {
		e := awsapi.BeginEvents(ctx)
		<-ctx.Done()
		var err error
		for err == nil { // until the kernel has noticed as well
			err = e.Send(eventstream.End(append(e.BeginEvent(nil, "Thing"), make([]byte, 1<<20)...), 0))
		}
		gone <- err
		return nil, err
	})
	srv := httptest.NewServer(newServer(t, awsapi.Config{Services: []*awsapi.Service{awsJSON}, Auth: allowAll{}, Deadlines: clock.System()}))
	defer srv.Close()
	r := echoRequest(awsapi.AWSJSON, `{}`)
	ctx, cancel := context.WithCancel(context.Background())
	out, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL, bytes.NewReader([]byte(`{}`)))
	if err != nil {
		t.Fatal(err)
	}
	out.Header = r.Header
	resp, err := http.DefaultClient.Do(out)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	resp.Body.Close()
	<-gone
}

func TestEventsOutsideAServer(t *testing.T) {
	e := awsapi.BeginEvents(awsapi.WithCaller(context.Background(), awsapi.Caller{}))
	if err := e.Send(e.BeginEvent(nil, "Thing")); err != nil || e.Codec() != awsapi.JSON {
		t.Error(err)
	}
}
