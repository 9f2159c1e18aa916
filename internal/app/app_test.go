package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"thalweg/internal/clock"
	"thalweg/internal/config"
	"thalweg/internal/listen"
	"thalweg/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testConfig(t testing.TB) config.Config {
	c := config.Default(func(string) (string, bool) { return "", false })
	c.Data, c.Listen, c.ListenTLS = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", "off"
	c.ListenKafka[0].Addr = "127.0.0.1:0"
	return c
}

func options(c config.Config) Options {
	return Options{Config: c, Clock: clock.System(), Logger: slog.New(slog.DiscardHandler)}
}

func mustStart(t testing.TB, c config.Config) *Server {
	t.Helper()
	s, err := Start(t.Context(), options(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, s) })
	return s
}

func mustClose(t testing.TB, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

// send makes one request and returns status and body.
func send(t testing.TB, method, url, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

const anyone = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0000000000000000000000000000000000000000000000000000000000000000"

func call(t testing.TB, s *Server, op, body string) (int, string) {
	t.Helper()
	return send(t, "POST", s.Addresses().HTTP+"/", body, "X-Amz-Target", "Kinesis_20131202."+op, "Content-Type", "application/x-amz-json-1.1",
		"Authorization", anyone, "X-Amz-Date", "20260101T000000Z")
}

// One process may start, close and start again, several at once, on disk and in
// memory, and leaves nothing behind (TestMain looks for goroutines).
func TestStartCloseStart(t *testing.T) {
	c := testConfig(t)
	memory := c
	memory.Ephemeral = true
	other := mustStart(t, memory)
	for round := range 3 {
		s := mustStart(t, c)
		if round == 0 {
			if status, body := call(t, s, "CreateStream", `{"StreamName":"s","ShardCount":2}`); status != 200 {
				t.Fatalf("CreateStream: %d %s", status, body)
			}
		}
		if status, body := call(t, s, "ListStreams", `{}`); status != 200 || !strings.Contains(body, `"s"`) {
			t.Errorf("round %d: %d %s", round, status, body)
		}
		mustClose(t, s)
		mustClose(t, s) // again is no error
		if _, err := os.Stat(filepath.Join(c.Data, AdminFile)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was left: %v", AdminFile, err)
		}
	}
	if _, body := call(t, other, "ListStreams", `{}`); strings.Contains(body, `"s"`) {
		t.Error("a server in memory shows another's stream")
	}
}

// A flipped byte in a segment is refused to the reader who meets it, and health
// says so; the rest goes on.
func TestHealthTellsDamage(t *testing.T) {
	c := testConfig(t)
	s := mustStart(t, c)
	call(t, s, "CreateStream", `{"StreamName":"s","ShardCount":1}`)
	record := `{"StreamName":"s","PartitionKey":"k","Data":"` + strings.Repeat("AAAA", 300_000/4) + `"}`
	for range 2 { // enough for a segment of its own
		if status, body := call(t, s, "PutRecord", record); status != 200 {
			t.Fatalf("PutRecord: %d %s", status, body)
		}
	}
	mustClose(t, s)
	segments, err := filepath.Glob(filepath.Join(c.Data, "seg", "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("segments %v: %v", segments, err)
	}
	for _, name := range segments {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = mustStart(t, c)
	health := func() (h healthReport) {
		_, body := send(t, "GET", s.Addresses().HTTP+"/_thalweg/health", "")
		if err := json.Unmarshal([]byte(body), &h); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		return h
	}
	if h := health(); h.Status != "ok" {
		t.Errorf("before any reader: %s %s", h.Status, h.Reason)
	}
	var it struct{ ShardIterator string }
	_, body := call(t, s, "GetShardIterator", `{"StreamName":"s","ShardId":"shardId-000000000000","ShardIteratorType":"TRIM_HORIZON"}`)
	if err := json.Unmarshal([]byte(body), &it); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	for range 3 { // the first pages may end before the damage
		if status, body := call(t, s, "GetRecords", `{"ShardIterator":"`+it.ShardIterator+`"}`); status == 200 {
			var next struct{ NextShardIterator string }
			if err := json.Unmarshal([]byte(body), &next); err != nil {
				t.Fatal(err)
			}
			it.ShardIterator = next.NextShardIterator
		}
	}
	if h := health(); h.Status != "damaged" || !strings.Contains(h.Reason, "verify") {
		t.Errorf("after the reader: %s %s", h.Status, h.Reason)
	}
	if status, body := call(t, s, "PutRecord", `{"StreamName":"s","PartitionKey":"k","Data":"AAAA"}`); status != 200 {
		t.Errorf("PutRecord: %d %s", status, body)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	c := testConfig(t)
	c.Durability = config.OS
	s := mustStart(t, c)
	call(t, s, "ListStreams", `{}`)
	call(t, s, "DescribeStream", `{"StreamName":"none"}`)
	var h healthReport
	status, body := send(t, "GET", s.Addresses().HTTP+"/_thalweg/health", "")
	if err := json.Unmarshal([]byte(body), &h); err != nil || status != 200 || h.Status != "ok" || h.Durability != "os" || len(h.Unsafe) != 1 {
		t.Errorf("%d %s: %v", status, body, err)
	}
	if status, body := send(t, "GET", s.Addresses().HTTP+"/_localstack/health", ""); status != 200 || !strings.Contains(body, `"kinesis":"running"`) {
		t.Errorf("%d %s", status, body)
	}
	_, body = send(t, "GET", s.Addresses().HTTP+"/metrics", "")
	for _, want := range []string{
		`thalweg_requests_total{code="",operation="ListStreams",service="kinesis"} 1`,
		`thalweg_requests_total{code="ResourceNotFoundException",operation="DescribeStream",service="kinesis"} 1`,
		"thalweg_log_writable 1", "thalweg_unsafe 1", "thalweg_log_rounds_total", "thalweg_memory_budget_bytes",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics have no %s", want)
		}
	}
	if status, _ := send(t, "GET", s.Addresses().HTTP+"/_thalweg/nothing", ""); status != 404 {
		t.Errorf("an unknown path of our own: %d", status)
	}
}

func TestStreamMetrics(t *testing.T) {
	s := mustStart(t, testConfig(t))
	must := func(op, body string) {
		t.Helper()
		if status, out := call(t, s, op, body); status != 200 {
			t.Fatalf("%s: %d %s", op, status, out)
		}
	}
	must("CreateStream", `{"StreamName":"s","ShardCount":1}`)
	must("PutRecord", `{"StreamName":"s","PartitionKey":"k","Data":"AAAA"}`)
	const stream = `account="000000000000",region="us-east-1",stream="s"} `
	const shard = `account="000000000000",region="us-east-1",shard="shardId-000000000000",stream="s"} `
	has := func(want bool, series ...string) {
		t.Helper()
		_, body := send(t, "GET", s.Addresses().HTTP+"/metrics", "")
		for _, line := range series {
			if strings.Contains(body, line) != want {
				t.Errorf("%v that metrics have %s", !want, line)
			}
		}
	}
	has(true, "thalweg_stream_incoming_bytes_total{"+stream+"4", "thalweg_stream_incoming_records_total{"+stream+"1",
		"thalweg_stream_outgoing_records_total{"+stream+"0", "thalweg_stream_write_throttled_records_total{"+stream+"0")
	has(false, "thalweg_shard_")
	must("EnableEnhancedMonitoring", `{"StreamName":"s","ShardLevelMetrics":["IncomingBytes","IteratorAgeMilliseconds"]}`)
	has(true, "thalweg_shard_incoming_bytes_total{"+shard+"4", "thalweg_shard_iterator_age_milliseconds{"+shard+"0")
	has(false, "thalweg_shard_incoming_records_total{", "thalweg_shard_outgoing")
	must("DeleteStream", `{"StreamName":"s"}`)
	has(false, "thalweg_shard_", "thalweg_stream_")
}

func TestTestAids(t *testing.T) {
	c := testConfig(t)
	s := mustStart(t, c)
	for _, path := range []string{"/_thalweg/reset", "/_thalweg/clock"} {
		if status, _ := send(t, "POST", s.Addresses().HTTP+path, `{"advance":"5m"}`); status != 404 {
			t.Errorf("%s answers %d without --test-aids", path, status)
		}
	}
	mustClose(t, s)

	c.TestAids = true
	s = mustStart(t, c)
	call(t, s, "CreateStream", `{"StreamName":"s","ShardCount":1}`)
	if status, body := send(t, "POST", s.Addresses().HTTP+"/_thalweg/clock", `{"advance":"48h"}`); status != 200 {
		t.Errorf("clock: %d %s", status, body)
	}
	if ahead := s.clock.Now().Sub(clock.System().Now()); ahead < 47*time.Hour {
		t.Errorf("the clock is %v ahead", ahead)
	}
	for _, bad := range []string{`{"advance":"-5m"}`, `{"advance":""}`, `{"back":"5m"}`, `nope`, strings.Repeat(" ", maxOwnBody) + `{}`} {
		if status, _ := send(t, "POST", s.Addresses().HTTP+"/_thalweg/clock", bad); status != 400 {
			t.Errorf("clock took %.20q: %d", bad, status)
		}
	}
	if status, body := send(t, "POST", s.Addresses().HTTP+"/_thalweg/reset", ""); status != 200 || !strings.Contains(body, `"streams_removed":1`) {
		t.Errorf("reset: %d %s", status, body)
	}
	if _, body := call(t, s, "ListStreams", `{}`); strings.Contains(body, `"s"`) {
		t.Errorf("the stream outlived the reset: %s", body)
	}
}

func TestAdminNeedsItsToken(t *testing.T) {
	c := testConfig(t)
	s := mustStart(t, c)
	info, err := os.Stat(filepath.Join(c.Data, AdminFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	a, err := ReadAdmin(vfs.OS{}, c.Data)
	if err != nil || a.Endpoint != s.Addresses().HTTP {
		t.Fatalf("%+v, %v", a, err)
	}
	url := a.Endpoint + "/_thalweg/admin/keys"
	for _, auth := range []string{"", "Bearer ", "Bearer " + a.Token[1:], "Basic " + a.Token} {
		if status, body := send(t, "POST", url, `{"account":"000000000000","user":"root"}`, "Authorization", auth); status != 403 {
			t.Errorf("%q: %d %s", auth, status, body)
		}
	}
	status, body := send(t, "POST", url, `{"account":"000000000000","user":"root"}`, "Authorization", "Bearer "+a.Token)
	var k NewKeyInfo
	if err := json.Unmarshal([]byte(body), &k); err != nil || status != 200 || len(k.SecretAccessKey) != 40 {
		t.Fatalf("%d: %v", status, err)
	}
	if _, body := send(t, "GET", url, "", "Authorization", "Bearer "+a.Token); !strings.Contains(body, k.AccessKeyID) || strings.Contains(body, k.SecretAccessKey) {
		t.Error("the list has no key, or its secret")
	}
	if status, _ := send(t, "POST", url, `{"account":"12","user":"root"}`, "Authorization", "Bearer "+a.Token); status != 400 {
		t.Errorf("a bad account: %d", status)
	}
	if status, _ := send(t, "POST", url+"/AKIANONE/disabled", "", "Authorization", "Bearer "+a.Token); status != 404 {
		t.Errorf("an unknown key: %d", status)
	}
}

func TestReadyFile(t *testing.T) {
	c := testConfig(t)
	c.ListenTLS = "127.0.0.1:0"
	c.ReadyFile = filepath.Join(t.TempDir(), "ready.json")
	s := mustStart(t, c)
	b, err := os.ReadFile(c.ReadyFile)
	if err != nil {
		t.Fatal(err)
	}
	kafka := s.Addresses().Kafka
	want := fmt.Sprintf(`{"http":%q,"https":%q,"kafka":%q,"kafka_listeners":[{"cluster":"default","broker":1,"protocol":"PLAINTEXT",`+
		`"bind":%q,"advertised":%q}],"data":%q,"pid":%d}`+"\n",
		s.Addresses().HTTP, s.Addresses().HTTPS, kafka, kafka, kafka, c.Data, os.Getpid())
	if string(b) != want {
		t.Errorf("%s, want %s", b, want)
	}
}

// A start that fails gives back all it took: ports, the lock, goroutines.
func TestFailedStartLeavesNothing(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := testConfig(t)
	for name, tc := range map[string]struct {
		change func(*config.Config)
		want   error
		text   string
	}{
		"port taken":         {func(c *config.Config) { c.Listen = config.HostPort(taken.Addr().String()) }, syscall.EADDRINUSE, ""},
		"TLS port taken":     {func(c *config.Config) { c.ListenTLS = config.HostPort(taken.Addr().String()) }, syscall.EADDRINUSE, ""},
		"open off loopback":  {func(c *config.Config) { c.Listen = "0.0.0.0:0" }, nil, "--insecure"},
		"no room for a file": {func(c *config.Config) { c.ReadyFile = "/does/not/exist/ready.json" }, os.ErrNotExist, ""},
		"data is a file":     {func(c *config.Config) { c.Data = os.Args[0] }, nil, "start log"},
	} {
		c := good
		tc.change(&c)
		s, err := Start(t.Context(), options(c))
		if err == nil {
			mustClose(t, s)
			t.Errorf("%s: started", name)
			continue
		}
		if (tc.want != nil && !errors.Is(err, tc.want)) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustClose(t, mustStart(t, good)) // the lock is free again
	s := mustStart(t, good)
	if _, err := Start(t.Context(), options(good)); !errors.Is(err, vfs.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("a second server on the directory: %v", err)
	}
	mustClose(t, s)
}

// A stop lets a request that is under way finish.
func TestCloseWaitsForRequests(t *testing.T) {
	s := mustStart(t, testConfig(t))
	idle := s.budget.Used()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.Addresses().HTTP, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{}`
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: Kinesis_20131202.ListStreams\r\nContent-Type: application/x-amz-json-1.1\r\n"+
		"Authorization: %s\r\nX-Amz-Date: 20260101T000000Z\r\nContent-Length: %d\r\n\r\n%s", anyone, len(body), body[:1])
	for s.budget.Used() <= idle+listen.ConnBytes { // until its body is being read
		<-clock.System().NewTimer(time.Millisecond).C()
	}
	closed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		closed <- s.Close(ctx)
	}()
	for { // until nothing new is accepted
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.Addresses().HTTP, "http://"))
		if err != nil {
			break
		}
		c.Close()
	}
	io.WriteString(conn, body[1:])
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK") {
		t.Errorf("%q, %v", answer, err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestFromHere(t *testing.T) {
	for _, tc := range []struct {
		remote, local string
		want          bool
	}{
		{"127.0.0.1:5", "127.0.0.1:1", true},
		{"[::1]:5", "[::1]:1", true},
		{"10.0.0.5:5", "10.0.0.5:1", true},
		{"10.0.0.6:5", "10.0.0.5:1", false},
		{"", "10.0.0.5:1", false},
	} {
		local, err := net.ResolveTCPAddr("tcp", tc.local)
		if err != nil {
			t.Fatal(err)
		}
		r := (&http.Request{RemoteAddr: tc.remote}).WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, net.Addr(local)))
		if got := fromHere(r); got != tc.want {
			t.Errorf("%+v: %v", tc, got)
		}
	}
}

func TestLoopback(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "http://127.0.0.1:1": "http://127.0.0.1:1", "http://0.0.0.0:1": "http://127.0.0.1:1", "https://[::]:1": "https://127.0.0.1:1", "https://10.0.0.5:1": "https://10.0.0.5:1",
	} {
		if got := loopback(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		c := testConfig(b)
		s, err := Start(b.Context(), options(c))
		if err != nil {
			b.Fatal(err)
		}
		mustClose(b, s)
	}
}
