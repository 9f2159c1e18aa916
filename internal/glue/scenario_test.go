package glue

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"thalweg/internal/awsapi"
	"thalweg/internal/clock"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/schemas"
	"thalweg/internal/vfs"
)

// server is the door behind the real wire, over a log in memory with a clock of its own.
type server struct {
	log   *disk.Log
	clock *clock.Manual
	http  *awsapi.Server
}

// openAuth lets everybody do everything in their account, but for what is called
// forbidden.
type openAuth struct{}

func (openAuth) Authenticate(r *http.Request, _ string, _ []byte) (awsapi.Caller, *awsapi.Error) {
	return awsapi.Caller{Account: cmp.Or(r.Header.Get("Test-Account"), "000000000000"), Region: "us-east-1", AccessKeyID: "AKIATEST",
		PrincipalARN: "arn:aws:iam::000000000000:user/test"}, nil
}

func (openAuth) Authorize(c awsapi.Caller, _, resource string) *awsapi.Error {
	if strings.HasSuffix(resource, "/forbidden") || resource != "*" && !strings.Contains(resource, ":"+c.Account+":") {
		return awsapi.NewError("AccessDeniedException", "no access to "+resource, 400)
	}
	return nil
}

func (s *server) open(t *testing.T) {
	t.Helper()
	all, err := schemas.Open(context.Background(), schemas.Options{Log: s.log, Partition: log.PartitionID{Index: 8}, Clock: s.clock, MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s.http, err = awsapi.NewServer(awsapi.Config{Services: []*awsapi.Service{New(all).Service()}, Auth: openAuth{},
		Log: slog.New(slog.DiscardHandler), Clock: s.clock})
	if err != nil {
		t.Fatal(err)
	}
}

// TestScenarios runs testdata/*.txt.
//
//	OPERATION [account=]   the body
//	clock advance=5m
//	restart
func TestScenarios(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, file := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			s := &server{clock: clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC))}
			var err error
			s.log, err = disk.Open(context.Background(), disk.Options{FS: vfs.NewMem(1), Dir: "data", Clock: s.clock, WALFileBytes: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.log.Close(context.Background()) })
			s.open(t)
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
	switch d.Cmd {
	case "clock":
		by, err := time.ParseDuration(arg("advance"))
		if err != nil {
			t.Fatal(err)
		}
		s.clock.Advance(by)
		return ""
	case "restart":
		s.open(t)
		return ""
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(d.Input))
	r.Header.Set("X-Amz-Target", "AWSGlue."+d.Cmd)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("Test-Account", arg("account"))
	w := httptest.NewRecorder()
	s.http.ServeHTTP(w, r)
	body := bytes.TrimSpace(w.Body.Bytes())
	if len(body) == 0 {
		return fmt.Sprintf("%d\n", w.Code)
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("answer is no JSON: %v: %s", err, body)
	}
	if bytes.Contains(body, []byte(":null")) {
		t.Errorf("answer with a null: %s", body)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", w.Code, out.String())
}
