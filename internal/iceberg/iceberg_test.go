package iceberg

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"thalweg/internal/awsapi"
	"thalweg/internal/clock"
	"thalweg/internal/lake"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/objstore"
	"thalweg/internal/objstore/fs"
	"thalweg/internal/vfs"
)

const me = "111122223333"

// trusting is an Auth that takes the caller's account from the header "As", lets
// nobody in without one where strict, and denies all that is not of its own account.
type trusting struct {
	strict bool
	asked  *[]string
}

func (a trusting) Anonymous() (awsapi.Caller, bool) {
	return awsapi.Caller{Account: me, Region: "eu-west-1"}, !a.strict
}

func (trusting) Authenticate(r *http.Request, service string, _ []byte) (awsapi.Caller, *awsapi.Error) {
	if service != "glue" || r.Header.Get("As") == "" {
		return awsapi.Caller{}, awsapi.NewError("InvalidSignatureException", "no", http.StatusForbidden)
	}
	return awsapi.Caller{Account: r.Header.Get("As"), Region: "eu-west-1"}, nil
}

func (a trusting) Authorize(c awsapi.Caller, action, resource string) *awsapi.Error {
	*a.asked = append(*a.asked, action+" "+resource)
	if c.Account == "denied" {
		return awsapi.NewError("AccessDeniedException", "not you", http.StatusForbidden)
	}
	return nil
}

type bench struct {
	testing.TB
	door   *Door
	budget *limits.Budget
	asked  []string
}

func newBench(t testing.TB, strict bool) *bench {
	m, c := vfs.NewEphemeral(), clock.NewManual(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC))
	l, err := disk.Open(context.Background(), disk.Options{FS: m, Dir: "data", Clock: c, Manual: true, WALFileBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	objects, err := fs.Open(fs.Options{FS: m, Dir: "/data/objects", Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	if err := objects.CreateBucket(context.Background(), objstore.Bucket{Name: "bucket", Owner: me}); err != nil {
		t.Fatal(err)
	}
	catalog, err := lake.Open(context.Background(), lake.Options{Log: l, Partition: log.PartitionID{Index: 8}, Clock: c, Objects: objects,
		MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{TB: t, budget: limits.NewBudget(64 << 20)}
	b.door = New(Options{Catalog: catalog, Auth: trusting{strict, &b.asked}, Budget: b.budget, Clock: c, Log: slog.New(slog.DiscardHandler)})
	return b
}

// do makes a request, "METHOD /path" below /iceberg/v1, as an account or as nobody.
func (b *bench) do(as, request, body string, status int) string {
	b.Helper()
	method, path, _ := strings.Cut(request, " ")
	r := httptest.NewRequest(method, "/iceberg/v1"+path, strings.NewReader(body))
	if as != "" {
		r.Header.Set("As", as)
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=A/20261125/eu-west-1/glue/aws4_request, SignedHeaders=host, Signature=x")
	}
	if !b.door.Wants(r) {
		b.Fatalf("%s is not wanted", request)
	}
	w := httptest.NewRecorder()
	b.door.ServeHTTP(w, r)
	if w.Code != status {
		b.Fatalf("%s: status %d, want %d\n%s", request, w.Code, status, w.Body)
	}
	if used := b.budget.Used(); used != 0 {
		b.Fatalf("%s: %d bytes of memory are not given back", request, used)
	}
	return w.Body.String()
}

const (
	at      = "/w-czM6Ly9idWNrZXQvdw" // s3://bucket/w
	nowhere = "/w-"
	schema  = `"schema":{"type":"struct","fields":[{"id":1,"name":"a","type":"long","required":false}]}`
)

func TestConfig(t *testing.T) {
	b := newBench(t, false)
	var got struct {
		Defaults, Overrides map[string]string
		Endpoints           []string
	}
	if err := json.Unmarshal([]byte(b.do("", "GET /config?warehouse=s3://bucket/w/", "", 200)), &got); err != nil {
		t.Fatal(err)
	}
	if "/"+got.Overrides["prefix"] != at || got.Defaults["s3.endpoint"] != "http://example.com" || len(got.Endpoints) != len(operations) ||
		got.Endpoints[0] != "GET /v1/{prefix}/namespaces" {
		t.Errorf("%+v", got)
	}
	b.do("", "GET /config?warehouse=file:///etc", "", 400)
}

func TestErrors(t *testing.T) {
	b := newBench(t, false)
	b.do("", "POST "+at+"/namespaces", `{"namespace":["n"]}`, 200)
	b.do("", "POST "+at+"/namespaces/n/tables", `{"name":"t",`+schema+`}`, 200)
	for _, c := range []struct {
		request, body string
		status        int
		kind          string
	}{
		{"GET /none/namespaces", "", 404, "NotFoundException"},
		{"GET " + at + "/views", "", 404, "UnsupportedOperationException"},
		{"PUT " + at + "/namespaces", "", 405, "UnsupportedOperationException"},
		{"POST " + at + "/transactions/commit", "{}", 404, "UnsupportedOperationException"},
		{"POST " + at + "/namespaces/n/tables/t/metrics", "{}", 404, "UnsupportedOperationException"},
		{"POST " + at + "/namespaces", "{", 400, "BadRequestException"},
		{"POST " + at + "/namespaces", `{"namespace":["n"]}`, 409, "AlreadyExistsException"},
		{"POST " + at + "/namespaces", `{"namespace":[]}`, 400, "BadRequestException"},
		{"GET " + at + "/namespaces/none", "", 404, "NoSuchNamespaceException"},
		{"GET " + at + "/namespaces?pageSize=0", "", 400, "BadRequestException"},
		{"DELETE " + at + "/namespaces/n", "", 409, "NamespaceNotEmptyException"},
		{"POST " + at + "/namespaces/n/properties", `{"removals":["a"],"updates":{"a":"1"}}`, 422, "UnprocessableEntityException"},
		{"GET " + at + "/namespaces/n/tables/none", "", 404, "NoSuchTableException"},
		{"POST " + at + "/namespaces/n/tables", `{"name":"t",` + schema + `}`, 409, "AlreadyExistsException"},
		{"POST " + at + "/namespaces/n/tables", `{"name":"u"}`, 400, "BadRequestException"},
		{"POST " + at + "/namespaces/n/tables", `{"name":"u",` + schema + `,"properties":{"format-version":"3"}}`, 406, "UnsupportedOperationException"},
		{"POST " + at + "/namespaces/n/tables", `{"name":"u",` + schema + `,"properties":{"format-version":"1"}}`, 406, "UnsupportedOperationException"},
		{"POST " + nowhere + "/namespaces/n/tables", `{"name":"u",` + schema + `}`, 400, "BadRequestException"},
		{"POST " + at + "/namespaces/n/tables", `{"name":"u",` + schema + `,"location":"s3://none/x"}`, 400, "BadRequestException"},
		{"POST " + at + "/namespaces/n/tables/t", `{"requirements":[{"type":"assert-table-uuid","uuid":"x"}],"updates":[]}`, 409, "CommitFailedException"},
		{"POST " + at + "/namespaces/n/tables/t", `{"updates":[{"action":"x"}]}`, 400, "BadRequestException"},
		{"POST " + at + "/namespaces/n/tables/none", `{"updates":[]}`, 404, "NoSuchTableException"},
		{"DELETE " + at + "/namespaces/n/tables/t?purgeRequested=true", "", 406, "UnsupportedOperationException"},
		{"POST " + at + "/tables/rename", `{"source":{"namespace":["n"],"name":"t"},"destination":{"namespace":["none"],"name":"t"}}`, 404, "NoSuchNamespaceException"},
		{"POST " + at + "/namespaces/n/register", `{"name":"r","metadata-location":"s3://bucket/none.json"}`, 404, "NotFoundException"},
		{"POST " + at + "/namespaces/n/register", `{"name":"r","metadata-location":"s3://bucket/x","overwrite":true}`, 406, "UnsupportedOperationException"},
	} {
		var doc struct{ Error wireError }
		got := b.do("", c.request, c.body, c.status)
		if err := json.Unmarshal([]byte(got), &doc); err != nil || doc.Error.Type != c.kind || doc.Error.Code != c.status || doc.Error.Message == "" {
			t.Errorf("%s: %v\n%s", c.request, err, got)
		}
	}
	b.do("", "HEAD "+at+"/namespaces/n/tables/t", "", 204)
	b.do("", "HEAD "+at+"/namespaces/n/tables/none", "", 404)
}

func TestPages(t *testing.T) {
	b := newBench(t, false)
	for _, ns := range []string{"a", "b", "c"} {
		b.do("", "POST "+at+"/namespaces", `{"namespace":["`+ns+`"]}`, 200)
	}
	if got := b.do("", "GET "+at+"/namespaces?pageSize=2&pageToken=", "", 200); got != `{"namespaces":[["a"],["b"]],"next-page-token":"b"}` {
		t.Error(got)
	}
	if got := b.do("", "GET "+at+"/namespaces?pageSize=2&pageToken=b", "", 200); got != `{"namespaces":[["c"]],"next-page-token":null}` {
		t.Error(got)
	}
}

// In strict mode nobody gets in unsigned, every operation asks about its resource, and
// accounts do not see each other.
func TestAuthority(t *testing.T) {
	b := newBench(t, true)
	b.do("", "GET /config", "", 401)
	b.do("denied", "GET "+at+"/namespaces", "", 403)
	b.do(me, "POST "+at+"/namespaces", `{"namespace":["n"]}`, 200)
	b.do("444455556666", "GET "+at+"/namespaces/n", "", 404)
	b.do("444455556666", "POST "+at+"/namespaces", `{"namespace":["n"]}`, 200)
	b.do("444455556666", "POST "+at+"/namespaces/n/tables", `{"name":"t",`+schema+`}`, 403) // the bucket is not its own
	b.asked = nil
	b.do(me, "GET "+at+"/namespaces/n%1Fm/tables/t", "", 404)
	if want := "glue:GetTable arn:aws:glue:eu-west-1:" + me + ":table/n.m/t"; len(b.asked) != 1 || b.asked[0] != want {
		t.Errorf("asked %q, want %q", b.asked, want)
	}
	b.asked = nil
	b.do(me, "POST "+at+"/tables/rename", `{"source":{"namespace":["n","m"],"name":"t"},"destination":{"namespace":["n"],"name":"u"}}`, 404)
	if want := []string{"glue:UpdateTable arn:aws:glue:eu-west-1:" + me + ":table/n.m/t", "glue:CreateTable arn:aws:glue:eu-west-1:" + me + ":table/n/u"}; !slices.Equal(b.asked[1:], want) {
		t.Errorf("asked %q, want %q", b.asked[1:], want)
	}
	for _, o := range append(operations, &config) {
		if !strings.HasPrefix(o.action, "glue:") || o.run == nil {
			t.Errorf("%+v", o)
		}
	}
}

func TestWants(t *testing.T) {
	b := newBench(t, false)
	for path, want := range map[string]bool{"/iceberg/v1/config": true, "/iceberg/x": false, "/iceberg": false, "/": false} {
		if got := b.door.Wants(httptest.NewRequest("GET", path, nil)); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	r := httptest.NewRequest("GET", "/iceberg/v1/key", nil)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=A/20261125/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=x")
	if b.door.Wants(r) {
		t.Error("a bucket of S3's is taken for the catalog")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	b := newBench(t, false)
	b.budget.Take(64 << 20)
	w := httptest.NewRecorder()
	b.door.ServeHTTP(w, httptest.NewRequest("POST", "/iceberg/v1"+at+"/namespaces", strings.NewReader(`{"namespace":["n"]}`)))
	if w.Code != 503 || b.budget.Used() != 64<<20 {
		t.Fatal(w.Code, b.budget.Used())
	}
}

// A request holds memory for what has come of its body, whatever length it states, and
// none if nobody can have signed it.
func TestBodyHoldsWhatHasCome(t *testing.T) {
	for _, strict := range []bool{false, true} {
		b := newBench(t, strict)
		sent := &bodySeen{look: func() int64 { return b.budget.Used() }}
		r := httptest.NewRequest("POST", "/iceberg/v1"+at+"/namespaces", sent)
		r.ContentLength = -1
		w := httptest.NewRecorder()
		b.door.ServeHTTP(w, r)
		switch {
		case strict && (w.Code != 401 || sent.reads > 0):
			t.Errorf("unsigned: status %d after %d reads", w.Code, sent.reads)
		case !strict && (w.Code != 400 || sent.most > 256<<10):
			t.Errorf("status %d, with %d bytes held for one that has come", w.Code, sent.most)
		}
	}
}

// bodySeen is one byte, and then the connection breaks.
type bodySeen struct {
	look  func() int64
	most  int64
	reads int
}

func (s *bodySeen) Read(p []byte) (int, error) {
	s.most = max(s.most, s.look())
	if s.reads++; s.reads > 1 {
		return 0, io.ErrUnexpectedEOF
	}
	return copy(p, "{"), nil
}
