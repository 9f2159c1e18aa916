package kinesis

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"thalweg/internal/awsapi"
	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/delivery"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/dest/s3"
	"thalweg/internal/delivery/files"
	"thalweg/internal/delivery/process"
	"thalweg/internal/identity"
	"thalweg/internal/lifecycle"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/objstore"
	objfs "thalweg/internal/objstore/fs"
	"thalweg/internal/queues"
	"thalweg/internal/streams"
	"thalweg/internal/vfs"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

// server is the door behind the real wire, over a log in memory with a clock of
// its own.
type server struct {
	t        testing.TB
	clock    *clock.Manual
	fs       *vfs.Mem
	keys     *identity.Keystore
	log      *disk.Log
	streams  *streams.Service
	group    *lifecycle.Group
	objects  *objfs.Store
	delivery *delivery.Service
	http     *awsapi.Server
	general  bool // without the door's own paths
	limits   limits.Mode
	vars     map[string]string
}

type fixedKeys struct{}

func (fixedKeys) Secret(string) [32]byte { return [32]byte{1} }

// openAuth lets everybody do everything, as the account in a header.
type openAuth struct{}

func (openAuth) Authenticate(r *http.Request, _ string, _ []byte) (awsapi.Caller, *awsapi.Error) {
	c := awsapi.Caller{Account: "000000000000", Region: "us-east-1"}
	if a := r.Header.Get("Test-Account"); a != "" {
		c.Account = a
	}
	if a := r.Header.Get("Test-Region"); a != "" {
		c.Region = a
	}
	return c, nil
}

func (openAuth) Authorize(_ awsapi.Caller, _, resource string) *awsapi.Error {
	if strings.HasSuffix(resource, "/forbidden") {
		return awsapi.NewError("AccessDeniedException", "no access to "+resource, 400)
	}
	return nil
}

func newServer(t testing.TB, general bool) *server {
	s := &server{t: t, clock: clock.NewManual(start), fs: vfs.NewMem(1), keys: identity.NewKeystore(), general: general, vars: map[string]string{"mib": strings.Repeat("AAAA", 349525)}}
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

// deliver opens what delivers for channels, into a bucket of the account 000000000000 and one of another.
func (s *server) deliver(cat *catalog.Catalog) (err error) {
	ctx := context.Background()
	if s.objects, err = objfs.Open(objfs.Options{FS: s.fs, Dir: "data/objects", Clock: s.clock}); err != nil {
		return err
	}
	if _, err := s.objects.HeadBucket(ctx, "bucket"); err != nil {
		if err := s.objects.CreateBucket(ctx, objstore.Bucket{Name: "bucket", Owner: "000000000000"}); err != nil {
			return err
		}
	}
	dir, err := files.Open(s.fs, "data/delivery", fixedKeys{}.Secret("files"))
	if err != nil {
		return err
	}
	s.group = lifecycle.NewGroup(ctx)
	spec := s3.Spec(s.objects, nil, nil)
	s.delivery, err = delivery.Open(ctx, delivery.Options{
		Log: s.log, Catalog: cat, Streams: s.streams, Partition: log.PartitionID{Index: 6}, Clock: s.clock, Keys: fixedKeys{},
		Destinations: map[string]dest.Spec{spec.Kind: spec}, Files: dir, Group: s.group,
		Process: func(c dest.Config, e dest.Env) ([]dest.Processor, error) { return process.Open(c, e, nil) },
		Jitter:  func(most time.Duration) time.Duration { return most },
	})
	if err == nil {
		s.delivery.Start()
	}
	return err
}

func (s *server) open() {
	var err error
	s.log, err = disk.Open(context.Background(), disk.Options{
		FS: s.fs, Dir: "data", Clock: s.clock, Manual: true, WALFileBytes: 4 << 20, Keys: s.keys,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	cat, err := catalog.Open(context.Background(), s.log, s.clock)
	if err != nil {
		s.t.Fatal(err)
	}
	s.streams, err = streams.New(streams.Options{
		Log: s.log, Catalog: cat, Clock: s.clock, Keys: fixedKeys{},
		ShardQuota: func(string) int { return 2000 }, Limits: s.limits,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	q, err := queues.Open(context.Background(), queues.Options{
		Streams: s.streams, Log: s.log, Partition: log.PartitionID{Index: 4}, Clock: s.clock,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.deliver(cat); err != nil {
		s.t.Fatal(err)
	}
	svc := New(s.streams, q, s.delivery).Service()
	if s.general {
		for _, op := range svc.Ops {
			op.Fast = nil
		}
	}
	s.http, err = awsapi.NewServer(awsapi.Config{
		Services: []*awsapi.Service{svc}, Auth: openAuth{}, Log: slog.New(slog.DiscardHandler), Clock: s.clock,
		Deadlines: clock.System(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// call sends one request and returns status and body.
func (s *server) call(op, body string, header http.Header) (int, []byte) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "Kinesis_20131202."+op)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	for k, v := range header {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	s.http.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// TestScenarios runs testdata/*.txt, once through the door's own paths and once
// without them: the answers are the same.
//
//	OPERATION [account=] [region=] [save=(VAR,MEMBER)]   the body; $VAR is a saved value, @x*1000@ a repetition
//	clock advance=5m
//	restart
//	flush                                                has the channels deliver what is there
//	gone                                                 waits for the channels being deleted to be gone
//	objects                                              what is in the bucket
//	limits mode=aws                                      restarts with these
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		for _, general := range []bool{false, true} {
			name := strings.TrimSuffix(filepath.Base(file), ".txt")
			if general {
				name += "/general"
			}
			t.Run(name, func(t *testing.T) {
				s := newServer(t, general)
				datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string { return s.step(t, d) })
			})
		}
	}
}

func (s *server) step(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "clock":
		var by string
		d.ScanArgs(t, "advance", &by)
		dur, err := time.ParseDuration(by)
		if err != nil {
			t.Fatal(err)
		}
		s.clock.Advance(dur)
		return ""
	case "limits":
		var mode string
		d.ScanArgs(t, "mode", &mode)
		s.limits = limits.Mode(mode)
		fallthrough
	case "restart":
		s.close()
		s.open()
		return ""
	case "flush", "gone":
		s.settle(t, d.Cmd == "gone")
		return ""
	case "objects":
		return s.listing(t)
	}
	header := http.Header{}
	for arg, key := range map[string]string{"account": "Test-Account", "region": "Test-Region"} {
		if d.HasArg(arg) {
			var v string
			d.ScanArgs(t, arg, &v)
			header.Set(key, v)
		}
	}
	code, body := s.call(d.Cmd, s.expand(d.Input), header)
	if d.HasArg("save") {
		var variable, member string
		d.ScanArgs(t, "save", &variable, &member)
		var out map[string]any
		if err := json.Unmarshal(body, &out); err != nil {
			t.Fatalf("%s: %s: %v", d.Pos, body, err)
		}
		v := find(out, member)
		if v == "" {
			t.Fatalf("%s: no %s in %s", d.Pos, member, body)
		}
		s.vars[variable] = v
	}
	return fmt.Sprintf("%d %s\n", code, s.normal(t, body))
}

// settle has all channels deliver, or waits until those being deleted are gone.
func (s *server) settle(t *testing.T, gone bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, r := range s.delivery.Channels(catalog.Scope{Account: "000000000000", Region: "us-east-1"}, delivery.KinesisSource) {
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

// listing is every object: its key, headers and body.
func (s *server) listing(t *testing.T) string {
	ctx := context.Background()
	page, err := s.objects.List(ctx, "bucket", objstore.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, o := range page.Objects {
		got, err := s.objects.Get(ctx, objstore.Ref{Bucket: "bucket", Key: o.Key}, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		key := uniqueEnd.ReplaceAllString(channelID.ReplaceAllString(o.Key, "ID"), "~")
		out = append(out, fmt.Sprintf("%s %s %s\n  %q\n", key, got.Headers.ContentType, got.Headers.ContentEncoding, body))
	}
	slices.Sort(out) // the names that they stand under are random
	return strings.Join(out, "")
}

// find returns the first text under that name in an answer, wherever it is.
func find(v any, member string) string {
	switch v := v.(type) {
	case map[string]any:
		if text, ok := v[member].(string); ok {
			return text
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if text := find(v[k], member); text != "" {
				return text
			}
		}
	case []any:
		for _, e := range v {
			if text := find(e, member); text != "" {
				return text
			}
		}
	}
	return ""
}

var (
	variable   = regexp.MustCompile(`\$(\w+)`)
	repetition = regexp.MustCompile(`@([^*@]+)\*(\d+)@`)
	longRun    = regexp.MustCompile(`[a-zA-Z]{100,}`)

	channelID   = regexp.MustCompile(`\b[a-z2-7]{26}\b`)
	uniqueEnd   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)
	queueARN    = regexp.MustCompile(`queue/[a-z0-9]{26}`)
	beyondASCII = regexp.MustCompile(`[^ -~\n]`)
)

// expand puts saved values and repetitions into a body.
func (s *server) expand(body string) string {
	body = repetition.ReplaceAllStringFunc(body, func(m string) string {
		part := repetition.FindStringSubmatch(m)
		n := 0
		fmt.Sscan(part[2], &n)
		return strings.Repeat(part[1], n)
	})
	return variable.ReplaceAllStringFunc(body, func(m string) string { return s.vars[m[1:]] })
}

// opaque are the members whose values are sealed.
var opaque = map[string]bool{"ShardIterator": true, "NextShardIterator": true, "NextToken": true, "ReceiptHandle": true}

// normal writes an answer with its members in order, one line each record or
// shard, sealed values as "~".
func (s *server) normal(t *testing.T, body []byte) string {
	if len(body) == 0 {
		return ""
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("answer is no JSON: %v: %s", err, body)
	}
	if bytes.Contains(body, []byte(":null")) {
		t.Errorf("answer with a null: %s", body)
	}
	var hide func(v any)
	hide = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, m := range v {
				if opaque[k] {
					v[k] = "~"
				}
				hide(m)
			}
		case []any:
			for _, m := range v {
				hide(m)
			}
		}
	}
	hide(v)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(strings.TrimSpace(out.String()), "},{", "},\n {")
	text = channelID.ReplaceAllString(text, "~")
	text = queueARN.ReplaceAllString(text, "queue/~")
	text = beyondASCII.ReplaceAllStringFunc(text, func(m string) string { return strings.Trim(strconv.QuoteToASCII(m), `"`) })
	return longRun.ReplaceAllStringFunc(text, func(m string) string { return fmt.Sprintf("%s...(%d)", m[:20], len(m)) })
}
