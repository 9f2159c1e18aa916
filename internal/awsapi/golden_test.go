package awsapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	// Their modules hold the snapshots; the imports keep them in go.mod.
	_ "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	_ "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	_ "github.com/aws/aws-sdk-go-v2/service/kafka/types"
	_ "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/google/go-cmp/cmp"

	"thalweg/internal/awsapi"
	codecjson "thalweg/internal/awsapi/codec/json"
	"thalweg/internal/awsapi/model/firehose"
	"thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/lease"
)

// The Go SDK's modules hold a snapshot of every operation's request and response
// and of every error, made with every member set. They are read from the module
// cache.
var golden = []struct {
	module  string
	service *awsapi.Service
	// least is how many snapshots there were when the test was written.
	leastRequests, leastResponses int
}{
	{"kinesis", kinesis.NewService(kinesis.Unimplemented{}), 44, 61},
	{"firehose", firehose.NewService(firehose.Unimplemented{}), 12, 20},
	{"kafka", kafka.NewService(kafka.Unimplemented{}), 64, 81},
	{"dynamodb", lease.NewTables(nil).Service(), 58, 90}, // of which the model has a part
}

// part reports whether the service has a part of its model's operations.
func part(svc *awsapi.Service) bool { return svc.Name == "dynamodb" }

// snapshot is one recorded message.
type snapshot struct {
	name   string
	first  string // "POST /path" or a status
	header http.Header
	body   []byte
}

func snapshots(t *testing.T, module, dir string, least int) []snapshot {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/"+module).Output()
	root := strings.TrimSpace(string(out))
	if err != nil || root == "" {
		t.Fatalf("the SDK module of %s is not in the module cache (go mod download fetches it): %v", module, err)
	}
	files, err := filepath.Glob(filepath.Join(root, dir, "*.snap"))
	if err != nil || len(files) < least {
		t.Fatalf("%s: %d snapshots in %s, want at least %d (%v)", module, len(files), dir, least, err)
	}
	var all []snapshot
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, parseSnapshot(t, filepath.Base(f), raw))
	}
	return all
}

func parseSnapshot(t *testing.T, name string, raw []byte) snapshot {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(raw))
	first, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	s := snapshot{name: name, first: strings.TrimSpace(first)}
	if strings.Contains(s.first, " ") { // requests have an empty line before the headers
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	h, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil && err != io.EOF {
		t.Fatalf("%s: %v", name, err)
	}
	s.header = http.Header(h)
	if s.body, err = io.ReadAll(r); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

func TestGoldenRequests(t *testing.T) {
	for _, g := range golden {
		t.Run(g.module, func(t *testing.T) {
			srv := newServer(t, awsapi.Config{Services: []*awsapi.Service{g.service}})
			seen := map[string]bool{}
			for _, s := range snapshots(t, g.module, "request_snapshot", g.leastRequests) {
				if part(g.service) && g.service.Op(strings.TrimSuffix(s.name, ".request.snap")) == nil {
					continue
				}
				method, target, _ := strings.Cut(s.first, " ")
				r := httptest.NewRequest(method, target, bytes.NewReader(s.body))
				r.Header = s.header
				r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/"+g.service.SigningName+"/aws4_request, SignedHeaders=host, Signature=0")
				_, op, in, err := srv.RouteAndDecode(r)
				if err != nil {
					t.Errorf("%s: %v", s.name, err)
					continue
				}
				if want := strings.TrimSuffix(s.name, ".request.snap"); op.Name != want {
					t.Errorf("%s: routed to %s", s.name, op.Name)
				}
				seen[op.Name] = true
				allSet(t, s.name, in)
				e := codecjson.NewEncoder(nil)
				in.Encode(e)
				want := s.body
				if len(want) == 0 {
					want = []byte("{}")
				}
				sameJSON(t, s.name, e.Bytes(), want)
			}
			for _, op := range g.service.Ops {
				if !seen[op.Name] {
					t.Logf("no snapshot of a request of %s", op.Name)
				}
			}
		})
	}
}

func TestGoldenResponses(t *testing.T) {
	for _, g := range golden {
		t.Run(g.module, func(t *testing.T) {
			for _, s := range snapshots(t, g.module, "response_snapshot", g.leastResponses) {
				if name, isError := strings.CutSuffix(s.name, ".error.snap"); isError {
					goldenError(t, g.service, name, s)
					continue
				}
				name := strings.TrimSuffix(s.name, ".response.snap")
				op := g.service.Op(name)
				if op == nil && part(g.service) {
					continue
				}
				if op == nil {
					t.Errorf("%s: no such operation", s.name)
					continue
				}
				// The snapshots have 200 for every success; the model knows of 204.
				if op.Status != http.StatusNoContent && strconv.Itoa(op.Status) != s.first {
					t.Errorf("%s: status %d, want %s", s.name, op.Status, s.first)
				}
				if op.NoOutput != (len(bytes.TrimSpace(s.body)) == 0) && string(s.body) != "{}" {
					t.Errorf("%s: NoOutput is %v and the body %q", s.name, op.NoOutput, s.body)
				}
				if len(s.body) == 0 {
					continue
				}
				out := op.Invoke.NewOutput()
				d := codecjson.NewDecoder(bytes.Clone(s.body))
				out.Decode(d)
				if err := d.Finish(); err != nil {
					t.Errorf("%s: %v", s.name, err)
					continue
				}
				e := codecjson.NewEncoder(nil)
				out.Encode(e)
				sameJSON(t, s.name, e.Bytes(), s.body)
			}
		})
	}
}

// goldenError has a server answer with the error and compares.
func goldenError(t *testing.T, svc *awsapi.Service, name string, s snapshot) {
	t.Helper()
	newError := svc.Errors[name]
	if newError == nil && part(svc) {
		return
	}
	if newError == nil {
		t.Errorf("%s: no such error", s.name)
		return
	}
	e := newError("__Message__")
	var want map[string]any
	if err := json.Unmarshal(s.body, &want); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	for k, v := range want {
		switch text, ok := v.(string); {
		case !ok:
			delete(want, k) // a structure, which the door that has it writes
		case k != "__type" && !strings.EqualFold(k, "message"):
			e.With(k, text)
		}
	}
	if svc.Protocol == awsapi.RESTJSON {
		delete(want, "__type") // the snapshots' own; AWS names the error in a header
	}
	awsJSON, rest := services(func(context.Context, *shape) (*shape, error) { return nil, e })
	srv := newServer(t, awsapi.Config{Services: []*awsapi.Service{awsJSON, rest}, Auth: allowAll{}})
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, echoRequest(svc.Protocol, `{}`))
	if strconv.Itoa(w.Code) != s.first {
		t.Errorf("%s: status %d, want %s", s.name, w.Code, s.first)
	}
	if got := w.Header().Get("X-Amzn-Errortype"); got != name {
		t.Errorf("%s: error type %q", s.name, got)
	}
	wantBody, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, s.name, w.Body.Bytes(), wantBody)
}

func sameJSON(t *testing.T, name string, got, want []byte) {
	t.Helper()
	var g, w any
	for _, doc := range []struct {
		raw []byte
		to  *any
	}{{got, &g}, {want, &w}} {
		d := json.NewDecoder(bytes.NewReader(doc.raw))
		d.UseNumber()
		if err := d.Decode(doc.to); err != nil {
			t.Errorf("%s: %v in %s", name, err, doc.raw)
			return
		}
	}
	if diff := cmp.Diff(w, g); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", name, diff)
	}
}

// allSet reports members that a request with every member did not set.
func allSet(t *testing.T, name string, in any) {
	t.Helper()
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s: %s is not set", name, v.Type().Field(i).Name)
		}
	}
}
