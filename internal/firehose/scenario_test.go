package firehose

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/parquet-go/parquet-go"

	"thalweg/internal/awsapi"
	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/delivery"
	"thalweg/internal/delivery/convert"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/dest/iceberg"
	"thalweg/internal/delivery/dest/s3"
	"thalweg/internal/delivery/files"
	"thalweg/internal/errs"
	"thalweg/internal/identity"
	"thalweg/internal/lake"
	"thalweg/internal/lifecycle"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/objstore"
	objfs "thalweg/internal/objstore/fs"
	"thalweg/internal/streams"
	"thalweg/internal/vfs"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

// server is the door behind the real wire, over a log in memory with a clock of its
// own, and a bucket.
type server struct {
	t        testing.TB
	clock    *clock.Manual
	fs       *vfs.Mem
	keys     *identity.Keystore
	log      *disk.Log
	group    *lifecycle.Group
	objects  *objfs.Store
	streams  *streams.Service
	delivery *delivery.Service
	http     *awsapi.Server
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

// clusters are none.
type clusters struct{}

func (clusters) Brokers(*catalog.Resource) (*brokers.Cluster, error) {
	return nil, errs.New(errs.NotFound, "no clusters")
}

func (clusters) Lookup(catalog.Scope, string, string) (*catalog.Resource, error) {
	return nil, errs.New(errs.NotFound, "none")
}

func newServer(t testing.TB) *server {
	s := &server{t: t, clock: clock.NewManual(start), fs: vfs.NewMem(1), keys: identity.NewKeystore()}
	s.open()
	t.Cleanup(s.close)
	return s
}

func (s *server) close() {
	if err := s.group.Stop(context.Background()); err != nil {
		s.t.Errorf("stop: %v", err)
	}
	s.log.Close(context.Background())
}

func (s *server) must(err error) {
	if err != nil {
		s.t.Helper()
		s.t.Fatal(err)
	}
}

func (s *server) open() {
	ctx := context.Background()
	var err error
	s.log, err = disk.Open(ctx, disk.Options{FS: s.fs, Dir: "data", Clock: s.clock, Manual: true, WALFileBytes: 4 << 20, Keys: s.keys})
	s.must(err)
	cat, err := catalog.Open(ctx, s.log, s.clock)
	s.must(err)
	s.streams, err = streams.New(streams.Options{Log: s.log, Catalog: cat, Clock: s.clock, Keys: s.keys})
	s.must(err)
	s.objects, err = objfs.Open(objfs.Options{FS: s.fs, Dir: "data/objects", Clock: s.clock})
	s.must(err)
	if _, err := s.objects.HeadBucket(ctx, "bucket"); err != nil {
		s.must(s.objects.CreateBucket(ctx, objstore.Bucket{Name: "bucket", Owner: "000000000000"}))
	}
	dir, err := files.Open(s.fs, "data/delivery", s.keys.Secret("files"))
	s.must(err)
	s.group = lifecycle.NewGroup(ctx)
	tables, err := lake.Open(ctx, lake.Options{Log: s.log, Partition: log.PartitionID{Index: 8}, Clock: s.clock, Objects: s.objects,
		Memory: limits.NewBudget(1 << 20), MaxBytes: 1 << 20})
	s.must(err)
	spec := s3.Spec(s.objects, s3.TablesFunc(table), limits.NewBudget(8<<20))
	s.delivery, err = delivery.Open(ctx, delivery.Options{
		Log: s.log, Catalog: cat, Streams: s.streams, Partition: log.PartitionID{Index: 6}, Clock: s.clock, Keys: s.keys,
		Destinations: map[string]dest.Spec{spec.Kind: spec, iceberg.Kind: iceberg.Spec(tables, nil)}, Files: dir, Group: s.group,
		Process: func(dest.Config, dest.Env) ([]dest.Processor, error) { return nil, nil },
		Jitter:  func(most time.Duration) time.Duration { return most },
	})
	s.must(err)
	s.delivery.Start()
	s.http, err = awsapi.NewServer(awsapi.Config{
		Services: []*awsapi.Service{New(s.delivery, s.streams, clusters{}).Service()}, Auth: openAuth{},
		Log: slog.New(slog.DiscardHandler), Clock: s.clock,
	})
	s.must(err)
}

// table is the one table that there is, game.moves.
func table(_ dest.Stream, from convert.Source) ([]convert.Column, string, error) {
	if from.DatabaseName != "game" || from.TableName != "moves" {
		return nil, "", errs.New(errs.NotFound, "no such table")
	}
	return []convert.Column{{Name: "player", Type: "string"}, {Name: "score", Type: "int"}}, "3", nil
}

// TestScenarios runs testdata/*.txt.
//
//	OPERATION [account=] [invocation=]   the body; @x*1000@ is a repetition
//	stream name= [shards=]               makes a Kinesis stream
//	put stream= key=                     puts each line to it
//	flush name=                          has everything delivered
//	objects                              what is in the bucket
//	clock advance=5m
//	restart
func TestScenarios(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, file := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			s := newServer(t)
			datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string { return s.step(t, d) })
		})
	}
}

func (s *server) step(t *testing.T, d *datadriven.TestData) string {
	ctx := context.Background()
	scope := catalog.Scope{Account: "000000000000", Region: "us-east-1"}
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
		s.close()
		s.open()
		return ""
	case "stream":
		shards := 1
		if arg("shards") != "" {
			fmt.Sscan(arg("shards"), &shards)
		}
		s.must(s.streams.Create(ctx, streams.NewStream{Scope: scope, Name: arg("name"), Mode: catalog.Provisioned, Shards: shards}))
		return ""
	case "put":
		r, err := s.streams.Lookup(scope, arg("stream"))
		s.must(err)
		p := s.streams.NewPut(r)
		defer p.Release()
		for line := range strings.Lines(d.Input) {
			dst, err := p.Add([]byte(arg("key")), nil, len(line))
			s.must(err)
			copy(dst, line)
		}
		p.Commit()
		return ""
	case "flush":
		r, err := s.delivery.Lookup(scope, arg("name"))
		s.must(err)
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		s.must(s.delivery.Flush(ctx, r))
		return ""
	case "objects":
		return s.listing()
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(expand(d.Input)))
	r.Header.Set("X-Amz-Target", "Firehose_20150804."+d.Cmd)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("Test-Account", arg("account"))
	if id := arg("invocation"); id != "" {
		r.Header.Set("Amz-Sdk-Invocation-Id", id)
	}
	w := httptest.NewRecorder()
	s.http.ServeHTTP(w, r)
	return fmt.Sprintf("%d %s\n", w.Code, normal(t, w.Body.String()))
}

// listing is every object: its key, headers and body.
func (s *server) listing() string {
	ctx := context.Background()
	page, err := s.objects.List(ctx, "bucket", objstore.ListOptions{})
	s.must(err)
	var out []string
	for _, o := range page.Objects {
		got, err := s.objects.Get(ctx, objstore.Ref{Bucket: "bucket", Key: o.Key}, nil)
		s.must(err)
		body, err := io.ReadAll(got.Body)
		s.must(err)
		got.Body.Close()
		if bytes.HasPrefix(body, []byte("PAR1")) {
			body = rows(s.t, body)
		}
		out = append(out, fmt.Sprintf("%s %s %s\n  %q\n", uuid.ReplaceAllString(o.Key, "~"), got.Headers.ContentType, got.Headers.ContentEncoding, body))
	}
	slices.Sort(out) // the names that they stand under are random
	return strings.Join(out, "")
}

// rows shows the rows of a Parquet file.
func rows(t testing.TB, file []byte) (shown []byte) {
	r := parquet.NewReader(bytes.NewReader(file))
	defer r.Close()
	row := make([]parquet.Row, 1)
	for {
		n, err := r.ReadRows(row)
		if n == 1 {
			shown = fmt.Appendf(shown, "%v\n", row[0])
		}
		if errors.Is(err, io.EOF) {
			return shown
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

var (
	repetition = regexp.MustCompile(`@([^*@]+)\*(\d+)@`)
	longRun    = regexp.MustCompile(`[a-zA-Z]{100,}`)
	uuid       = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
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
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSpace(out.String())
	return longRun.ReplaceAllStringFunc(text, func(m string) string { return fmt.Sprintf("%s...(%d)", m[:20], len(m)) })
}
