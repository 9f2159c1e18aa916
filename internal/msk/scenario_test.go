package msk

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"go.uber.org/goleak"

	"thalweg/internal/awsapi"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/clusters"
	"thalweg/internal/delivery"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/dest/s3"
	"thalweg/internal/delivery/files"
	"thalweg/internal/delivery/process"
	"thalweg/internal/errs"
	"thalweg/internal/lifecycle"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/objstore"
	objfs "thalweg/internal/objstore/fs"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
	"thalweg/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fixedKeys struct{}

func (fixedKeys) Secret(purpose string) [32]byte { return sha256.Sum256([]byte(purpose)) }

// openAuth lets everybody do everything, as the account in a header.
type openAuth struct{}

func (openAuth) Authenticate(r *http.Request, _ string, _ []byte) (awsapi.Caller, *awsapi.Error) {
	c := awsapi.Caller{Account: "000000000000", Region: "us-east-1"}
	if a := r.Header.Get("Test-Account"); a != "" {
		c.Account = a
	}
	return c, nil
}

func (openAuth) Authorize(awsapi.Caller, string, string) *awsapi.Error { return nil }

// paperHost listens on paper: port 9092 of every interface for the default cluster,
// and the ports that others were given.
type paperHost struct{}

func (paperHost) Check([]clusters.Kind) error { return nil }

func (paperHost) Serve(v clusters.Serving) (clusters.Served, error) {
	if v.Listeners == nil {
		return paper{{Kind: clusters.Plaintext, Broker: 1, Port: 9092, Bound: 9092}}, nil
	}
	var p paper
	for _, l := range v.Listeners {
		for i, port := range l.Ports {
			p = append(p, clusters.Endpoint{Kind: clusters.Kind(l.Kind), Broker: int32(i + 1), Host: "kafka.example", Port: port, Bound: port})
		}
	}
	return p, nil
}

type paper []clusters.Endpoint

func (p paper) Endpoints() []clusters.Endpoint { return p }
func (paper) Drop(int32)                       {}
func (paper) Shutdown(context.Context) error   { return nil }

type fewSecrets struct{}

func (fewSecrets) Secret(_, name string) (clusters.Secret, error) {
	if name == "AmazonMSK_alice" {
		return clusters.Secret{Username: "alice", Password: "wonderland"}, nil
	}
	return clusters.Secret{}, errs.New(errs.NotFound, "There is no secret "+name+".")
}

// server is the door behind the real wire, over a log in memory with a clock of
// its own.
type server struct {
	t        testing.TB
	clusters *clusters.Service
	catalog  *catalog.Catalog
	streams  *streams.Service
	objects  *objfs.Store
	delivery *delivery.Service
	http     *awsapi.Server
	vars     map[string]string
}

func newServer(t testing.TB) *server {
	s := &server{t: t, vars: map[string]string{}}
	c := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	fs := vfs.NewMem(1)
	l, err := disk.Open(t.Context(), disk.Options{FS: fs, Dir: "data", Clock: c, Manual: true})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	cat, err := catalog.Open(t.Context(), l, c)
	must(err)
	st, err := streams.New(streams.Options{Log: l, Catalog: cat, Clock: c, Keys: fixedKeys{}})
	must(err)
	block, err := aes.NewCipher(make([]byte, 32))
	must(err)
	s.clusters = clusters.New(clusters.Options{Log: l, Catalog: cat, Streams: st, Clock: c, Keys: fixedKeys{},
		AEAD: func(string) (cipher.AEAD, error) { return cipher.NewGCM(block) }, Logger: slog.New(slog.DiscardHandler), Host: paperHost{},
		Ports: clusters.PortRange{From: 9200, To: 9215}, Default: catalog.Scope{Account: "000000000000", Region: "us-east-1"}, Brokers: 1,
		Secrets: fewSecrets{}})
	must(s.clusters.Start(t.Context()))
	s.catalog, s.streams = cat, st
	s.objects, err = objfs.Open(objfs.Options{FS: fs, Dir: "data/objects", Clock: c})
	must(err)
	must(s.objects.CreateBucket(t.Context(), objstore.Bucket{Name: "bucket", Owner: "000000000000"}))
	aside, err := files.Open(fs, "data/delivery", fixedKeys{}.Secret("files"))
	must(err)
	group := lifecycle.NewGroup(context.Background())
	spec := s3.Spec(s.objects, nil, nil)
	s.delivery, err = delivery.Open(t.Context(), delivery.Options{
		Log: l, Catalog: cat, Streams: st, Partition: log.PartitionID{Index: 6}, Clock: c, Keys: fixedKeys{},
		Destinations: map[string]dest.Spec{spec.Kind: spec}, Files: aside, Group: group,
		Process: func(c dest.Config, e dest.Env) ([]dest.Processor, error) { return process.Open(c, e, nil) },
		Jitter:  func(most time.Duration) time.Duration { return most },
	})
	must(err)
	s.http, err = awsapi.NewServer(awsapi.Config{Services: []*awsapi.Service{New(s.clusters, s.delivery).Service()}, Auth: openAuth{},
		Log: slog.New(slog.DiscardHandler), Clock: c, Deadlines: clock.System()})
	must(err)
	t.Cleanup(func() {
		if err := group.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := s.clusters.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// call sends one request and returns status, error name and body.
func (s *server) call(method, path, body string, header http.Header) (int, string, []byte) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 4566})))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x/20260102/us-east-1/kafka/aws4_request, SignedHeaders=host, Signature=x")
	for k, v := range header {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	s.http.ServeHTTP(w, r)
	return w.Code, w.Header().Get("X-Amzn-Errortype"), w.Body.Bytes()
}

var (
	uuidForm    = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	channelID   = regexp.MustCompile(`\b[a-z2-7]{26}\b`)
	versionForm = regexp.MustCompile(`"K[0-9A-Z]{13}"`)
	tokenForm   = regexp.MustCompile(`"nextToken":"[^"]{40,}"`) // of what has a UUID for a name
)

// TestScenarios runs testdata/*.txt.
//
//	METHOD PATH [account=] [save=(VAR,MEMBER)]   the body; $VAR is a saved value, escaped in a path; b64(...) its base64
//	settle                                            what was asked for comes about
//	produce TOPIC                                     each line to the topic, of whatever cluster
//	flush                                             has the channels deliver what is there
//	gone                                              waits for the channels being deleted to be gone
//	objects                                           what is in the bucket
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

var inBase64 = regexp.MustCompile(`b64\(([^)]*)\)`)

func (s *server) step(t *testing.T, d *datadriven.TestData) string {
	if d.Cmd == "settle" {
		s.settle(t)
		return "done\n"
	}
	switch d.Cmd {
	case "produce":
		s.produce(t, d.CmdArgs[0].String(), strings.Split(d.Input, "\n"))
		return ""
	case "flush", "gone":
		s.channels(t, d.Cmd == "gone")
		return ""
	case "objects":
		return s.listing(t)
	}
	path, body := d.CmdArgs[0].String(), d.Input
	for name, v := range s.vars {
		path = strings.ReplaceAll(path, "$"+name, url.PathEscape(v))
		body = strings.ReplaceAll(body, "$"+name, v)
	}
	body = inBase64.ReplaceAllStringFunc(body, func(m string) string {
		return base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(m[4:len(m)-1], ";", "\n")))
	})
	h := http.Header{}
	var save []string
	for _, a := range d.CmdArgs[1:] {
		switch a.Key {
		case "account":
			h.Set("Test-Account", a.Vals[0])
		case "save":
			save = a.Vals
		}
	}
	status, name, answer := s.call(d.Cmd, path, body, h)
	if save != nil {
		var m map[string]any
		if err := json.Unmarshal(answer, &m); err != nil {
			t.Fatal(err)
		}
		var v any = m
		for member := range strings.SplitSeq(save[1], ".") {
			if list, ok := v.([]any); ok {
				v = list[0]
				continue
			}
			v = v.(map[string]any)[member]
		}
		s.vars[save[0]] = fmt.Sprint(v)
	}
	text := channelID.ReplaceAll(uuidForm.ReplaceAll(answer, []byte("UUID")), []byte("ID"))
	text = versionForm.ReplaceAll(text, []byte(`"VERSION"`))
	text = tokenForm.ReplaceAll(text, []byte(`"nextToken":"TOKEN"`))
	return strings.Join(strings.Fields(fmt.Sprint(status, " ", name)), " ") + " " + string(bytes.TrimSpace(text)) + "\n"
}

func (s *server) produce(t *testing.T, topic string, lines []string) {
	for _, r := range s.catalog.All(catalog.KindStream) {
		if r.Name != topic {
			continue
		}
		p := s.streams.NewPut(r)
		defer p.Release()
		for i, line := range lines {
			dst, err := p.Add([]byte(fmt.Sprint(i)), nil, len(line))
			if err != nil {
				t.Fatal(err)
			}
			copy(dst, line)
		}
		p.Commit()
		for i := range lines {
			if _, err := p.Result(i); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	t.Fatal("no topic ", topic)
}

// channels has all of them deliver, or waits until those being deleted are gone.
func (s *server) channels(t *testing.T, gone bool) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, r := range s.delivery.Channels(catalog.Scope{Account: "000000000000", Region: "us-east-1"}, delivery.MSKSource) {
		err := error(nil)
		if !gone {
			err = s.delivery.Flush(ctx, r)
		} else if r.State == catalog.Deleting {
			err = s.delivery.Gone(ctx, r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// listing is every object: its key and body.
func (s *server) listing(t *testing.T) string {
	page, err := s.objects.List(t.Context(), "bucket", objstore.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, o := range page.Objects {
		got, err := s.objects.Get(t.Context(), objstore.Ref{Bucket: "bucket", Key: o.Key}, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		out = append(out, fmt.Sprintf("%s %q\n", channelID.ReplaceAllString(uuidForm.ReplaceAllString(o.Key, "UUID"), "ID"), body))
	}
	slices.Sort(out) // the names that they stand under are random
	return strings.Join(out, "")
}

// settle runs the clusters until nothing of them passes.
func (s *server) settle(t *testing.T) {
	g := lifecycle.NewGroup(t.Context())
	g.Go("run", s.clusters.Run)
	for {
		status, _, body := s.call("GET", "/api/v2/clusters", "", nil)
		if status != 200 {
			t.Fatal(status)
		}
		if passing.Match(body) {
			continue
		}
		if err := g.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		return
	}
}

var passing = regexp.MustCompile(`"(CREATING|UPDATING|DELETING|REBOOTING_BROKER)"`)

func FuzzARN(f *testing.F) {
	f.Add("arn:aws:kafka:us-east-1:000000000000:cluster/a/01020300-0000-0000-0000-000000000000-1")
	f.Add("arn:aws:kafka:us-east-1:000000000000:cluster-operation/a/01020300-0000-0000-0000-000000000000-1/x")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parseARN(text, "arn", "cluster", "cluster-operation")
		if err == nil && (n.kind == "" || strings.Contains(n.name, "/") || !strings.HasPrefix(text, "arn:")) {
			t.Errorf("%q is %+v", text, n)
		}
	})
}

func FuzzConfigs(f *testing.F) {
	f.Add("cmV0ZW50aW9uLm1zPTM2MDAwMDAK")
	f.Fuzz(func(t *testing.T, text string) {
		configs, err := parseConfigs(opt.Of(text))
		if err != nil {
			return
		}
		for name, value := range configs {
			if name == "" || strings.ContainsAny(name+value, "\n") {
				t.Errorf("%q has %q=%q", text, name, value)
			}
		}
	})
}
