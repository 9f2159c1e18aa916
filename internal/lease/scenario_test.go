package lease

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"thalweg/internal/awsapi"
	"thalweg/internal/clock"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/metrics"
	"thalweg/internal/tables"
	"thalweg/internal/vfs"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

// server is the doors behind the real wire, over a log in memory with a clock of
// its own.
type server struct {
	t       testing.TB
	clock   *clock.Manual
	fs      *vfs.Mem
	log     *disk.Log
	metrics *metrics.Registry
	http    *awsapi.Server
}

// openAuth lets everybody do everything in their account, but for what is called
// forbidden.
type openAuth struct{}

func (openAuth) Authenticate(r *http.Request, _ string, _ []byte) (awsapi.Caller, *awsapi.Error) {
	c := awsapi.Caller{Account: "000000000000", Region: "us-east-1", AccessKeyID: "AKIATEST", PrincipalARN: "arn:aws:iam::000000000000:user/test"}
	if a := r.Header.Get("Test-Account"); a != "" {
		c.Account = a
	}
	if a := r.Header.Get("Test-Region"); a != "" {
		c.Region = a
	}
	return c, nil
}

func (openAuth) Authorize(c awsapi.Caller, _, resource string) *awsapi.Error {
	if strings.HasSuffix(resource, "/forbidden") || resource != "*" && !strings.Contains(resource, ":"+c.Account+":") {
		return awsapi.NewError("AccessDeniedException", "no access to "+resource, 400)
	}
	return nil
}

func newServer(t testing.TB) *server {
	s := &server{t: t, clock: clock.NewManual(start), fs: vfs.NewMem(1)}
	s.open()
	t.Cleanup(func() { s.log.Close(context.Background()) })
	return s
}

func (s *server) open() {
	var err error
	s.log, err = disk.Open(context.Background(), disk.Options{FS: s.fs, Dir: "data", Clock: s.clock, Manual: true, WALFileBytes: 4 << 20})
	if err != nil {
		s.t.Fatal(err)
	}
	t, err := tables.Open(context.Background(), tables.Options{Log: s.log, Partition: log.PartitionID{Index: 2}, Clock: s.clock})
	if err != nil {
		s.t.Fatal(err)
	}
	s.metrics = metrics.New("test")
	s.http, err = awsapi.NewServer(awsapi.Config{
		Services: []*awsapi.Service{NewTables(t).Service(), NewMetrics(s.metrics, s.clock).Service(), Identity{}.Service()},
		Auth:     openAuth{}, Log: slog.New(slog.DiscardHandler), Clock: s.clock,
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// call sends one request and returns status and body.
func (s *server) call(body string, header http.Header) (int, string) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	for k, v := range header {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	s.http.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// TestScenarios runs testdata/*.txt.
//
//	OPERATION [account=] [region=]   the body, JSON for DynamoDB; @x*1000@ is a repetition
//	form service=                    a form, a member a line
//	published                        the metrics that have been published
//	clock advance=5m
//	restart
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			s := newServer(t)
			datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string { return s.step(t, d) })
		})
	}
}

func (s *server) step(t *testing.T, d *datadriven.TestData) string {
	arg := func(name string) (v string) {
		if d.HasArg(name) {
			d.ScanArgs(t, name, &v)
		}
		return v
	}
	header := http.Header{}
	for name, key := range map[string]string{"account": "Test-Account", "region": "Test-Region"} {
		if v := arg(name); v != "" {
			header.Set(key, v)
		}
	}
	switch d.Cmd {
	case "clock":
		by, err := time.ParseDuration(arg("advance"))
		if err != nil {
			t.Fatal(err)
		}
		s.clock.Advance(by)
		return ""
	case "restart":
		if err := s.log.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		s.open()
		return ""
	case "form":
		header.Set("Content-Type", "application/x-www-form-urlencoded")
		header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIATEST/20260102/us-east-1/"+arg("service")+"/aws4_request")
		code, body := s.call(strings.ReplaceAll(d.Input, "\n", "&"), header)
		return fmt.Sprintf("%d %s\n", code, requestID.ReplaceAllString(body, "<RequestId>~<"))
	case "published":
		return s.published()
	}
	header.Set("X-Amz-Target", "DynamoDB_20120810."+d.Cmd)
	header.Set("Content-Type", "application/x-amz-json-1.0")
	code, body := s.call(expand(d.Input), header)
	return fmt.Sprintf("%d %s\n", code, normal(t, body))
}

// published is what /metrics says of published metrics.
func (s *server) published() string {
	w := httptest.NewRecorder()
	s.metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", http.NoBody))
	var out strings.Builder
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "thalweg_published_") {
			out.WriteString(line)
		}
	}
	return out.String()
}

var (
	requestID  = regexp.MustCompile(`<RequestId>[^<]+<`)
	repetition = regexp.MustCompile(`@([^*@]+)\*(\d+)@`)
	longRun    = regexp.MustCompile(`[a-zA-Z]{100,}`)
	uuid       = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
)

// expand puts repetitions into a body.
func expand(body string) string {
	return repetition.ReplaceAllStringFunc(body, func(m string) string {
		part := repetition.FindStringSubmatch(m)
		n := 0
		fmt.Sscan(part[2], &n)
		return strings.Repeat(part[1], n)
	})
}

// normal writes an answer with its members in order.
func normal(t *testing.T, body string) string {
	if body == "" {
		return ""
	}
	var v any
	dec := json.NewDecoder(strings.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("answer is no JSON: %v: %s", err, body)
	}
	if strings.Contains(body, ":null") {
		t.Errorf("answer with a null: %s", body)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(strings.TrimSpace(out.String()), "},{", "},\n {")
	text = uuid.ReplaceAllString(text, "~")
	return longRun.ReplaceAllStringFunc(text, func(m string) string { return fmt.Sprintf("%s...(%d)", m[:20], len(m)) })
}
