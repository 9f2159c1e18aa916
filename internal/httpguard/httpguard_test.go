package httpguard

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func guarded(cfg Config) http.Handler {
	return New(cfg, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "served")
	}))
}

func do(h http.Handler, method, host string, header ...string) *http.Response {
	r := httptest.NewRequest(method, "/", strings.NewReader("{}"))
	r.Host = host
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestHosts(t *testing.T) {
	open := guarded(Config{Open: true, Hosts: []string{"Thalweg.example", "10.1.2.3", "[fd00::1]"}})
	strict := guarded(Config{})
	for host, want := range map[string]int{
		"localhost": 200, "localhost:4566": 200, "LOCALHOST.": 200, "s.localhost:1": 200,
		"127.0.0.1:4566": 200, "127.9.9.9": 200, "[::1]:4566": 200, "[::1]": 200, "[::ffff:127.0.0.1]": 200,
		"thalweg.example:4566": 200, "thalweg.example.": 200, "10.1.2.3:1": 200, "[fd00::1]:4566": 200,
		"kinesis.us-east-1.amazonaws.com": 200, "111111111111.data-kinesis.eu-west-1.api.aws": 200,
		"kinesis.cn-north-1.amazonaws.com.cn": 200,
		"evil.example":                        403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403, "0.0.0.0": 403,
		"10.1.2.4": 403, "[fd00::2]:1": 403, "xamazonaws.com": 403, "amazonaws.com.evil.example": 403, "thalweg.example.evil": 403,
		"2130706433": 403, "0x7f.1": 403, "[": 403, "localhost:1:2": 403, "": 400,
	} {
		if got := do(open, "POST", host).StatusCode; got != want {
			t.Errorf("open, %q: %d, want %d", host, got, want)
		}
		if host != "" {
			want = 200
		}
		if got := do(strict, "POST", host).StatusCode; got != want {
			t.Errorf("strict, %q: %d, want %d", host, got, want)
		}
	}
}

func TestOrigins(t *testing.T) {
	listed := []string{"https://console.example.com", "null"}
	for origin, want := range map[string]bool{
		"http://localhost:3000": true, "https://localhost": true, "http://127.0.0.1:8080": true, "http://[::1]:1": true,
		"http://app.localhost:3000": true, "https://console.example.com": true, "https://CONSOLE.example.com": true,
		"http://h.localhost:4566": true, "null": true,
		"http://evil.example": false, "http://localhost.evil.example": false, "https://console.example.com:444": false,
		"http://console.example.com": false, "chrome-extension://abc": false, "http://user@localhost": false,
		"http://localhost:3000/path": false, "localhost": false, "": false, "file://": false,
	} {
		for _, open := range []bool{true, false} {
			h := guarded(Config{Open: open, Origins: listed})
			resp := do(h, "POST", "h.localhost:4566", "Origin", origin)
			served := want || !open
			if (resp.StatusCode == 200) != served {
				t.Errorf("open %v, %q: %d", open, origin, resp.StatusCode)
			}
			if got := resp.Header.Get("Access-Control-Allow-Origin") != ""; got != want {
				t.Errorf("open %v, %q: allowed %v, want %v", open, origin, got, want)
			}
		}
	}
	h := guarded(Config{Open: true, Origins: []string{"*"}})
	if resp := do(h, "POST", "localhost", "Origin", "http://any.example"); resp.StatusCode != 200 {
		t.Errorf("any origin: %d", resp.StatusCode)
	}
	h = guarded(Config{Open: true})
	if resp := do(h, "POST", "localhost", "Origin", "http://localhost", "Origin", "http://evil.example"); resp.StatusCode != 403 {
		t.Errorf("two origins: %d", resp.StatusCode)
	}
	// A page that this server serves under its advertised name is its own.
	h = guarded(Config{Open: true, Hosts: []string{"thalweg.example"}})
	if resp := do(h, "POST", "thalweg.example:4566", "Origin", "http://thalweg.example:4566"); resp.StatusCode != 200 {
		t.Errorf("own origin: %d", resp.StatusCode)
	}
}

// TestCORS pins the answers that kinesalite recorded from AWS.
func TestCORS(t *testing.T) {
	h := guarded(Config{Open: true})
	const origin = "http://localhost:3000"
	names := "authorization,content-type,x-amz-date,x-amz-target,x-amz-user-agent"
	resp := do(h, "OPTIONS", "localhost:4566", "Origin", origin,
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", names)
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || len(body) != 0 {
		t.Errorf("preflight: %d %q", resp.StatusCode, body)
	}
	for k, v := range map[string]string{
		"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": names,
		"Access-Control-Max-Age": "172800", "Content-Length": "0", "Access-Control-Expose-Headers": "", "X-Amz-Id-2": "",
		"Access-Control-Allow-Private-Network": "",
	} {
		if got := resp.Header.Get(k); got != v {
			t.Errorf("preflight %s: %q, want %q", k, got, v)
		}
	}
	if resp.Header.Get("X-Amzn-Requestid") == "" {
		t.Error("preflight without a request id")
	}
	resp = do(h, "OPTIONS", "localhost:4566", "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Private-Network", "true")
	if resp.Header.Get("Access-Control-Allow-Private-Network") != "true" {
		t.Error("private network not allowed")
	}
	resp = do(h, "POST", "localhost:4566", "Origin", origin)
	if got := resp.Header.Get("Access-Control-Expose-Headers"); got != "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date" {
		t.Errorf("exposed %q", got)
	}
	if resp = do(h, "POST", "localhost:4566"); resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("CORS headers without an origin")
	}
	resp = do(h, "OPTIONS", "localhost:4566", "Origin", "http://evil.example", "Access-Control-Request-Method", "POST")
	if resp.StatusCode != 403 || resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("foreign preflight: %d", resp.StatusCode)
	}
}

func TestRefusals(t *testing.T) {
	h := guarded(Config{Open: true})
	resp := do(h, "POST", `evil"<script>.example`)
	var body map[string]string
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || body["__type"] != "AccessDeniedException" ||
		!strings.Contains(body["message"], "--advertise") || resp.Header.Get("X-Amzn-Errortype") != "AccessDeniedException" {
		t.Errorf("%v %v %v", body, err, resp.Header)
	}
	for _, method := range []string{"CONNECT", "TRACE"} {
		if got := do(h, method, "localhost").StatusCode; got != 405 {
			t.Errorf("%s: %d", method, got)
		}
	}
	if got := do(h, "POST", "localhost", "Host", "evil.example").StatusCode; got != 400 {
		t.Errorf("two hosts: %d", got)
	}
}

// FuzzOrigin: whatever an allowed origin looks like, its host is this machine's,
// and a browser would see the same host.
func FuzzOrigin(f *testing.F) {
	f.Add("http://localhost:3000", "h")
	f.Add("http://[::1]", "evil.example")
	f.Fuzz(func(t *testing.T, origin, host string) {
		g := New(Config{Open: true}, nil).(*guard)
		if g.ownHost(host) {
			name := hostname(host)
			if !isLoopback(name) && !isAWS(name) {
				t.Errorf("host %q", host)
			}
		}
		if !g.allowed(origin, host) {
			return
		}
		u, err := url.Parse(origin)
		if err != nil || u.Path != "" || u.User != nil || bytes.ContainsAny([]byte(u.Host), "/\\@") {
			t.Fatalf("allowed %q", origin)
		}
		if !strings.EqualFold(u.Host, host) && !isLoopback(strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))) {
			t.Errorf("allowed %q", origin)
		}
	})
}

func BenchmarkGuard(b *testing.B) {
	h := New(Config{Open: true}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest("POST", "/", nil)
	r.Host = "127.0.0.1:4566"
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
