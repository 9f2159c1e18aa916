package delivery_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"thalweg/internal/catalog"
	"thalweg/internal/clock"
	"thalweg/internal/delivery"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/dest/s3"
	"thalweg/internal/delivery/files"
	"thalweg/internal/lifecycle"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/objstore"
	objfs "thalweg/internal/objstore/fs"
	"thalweg/internal/streams"
	"thalweg/internal/vfs"
)

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	scope = catalog.Scope{Account: "000000000000", Region: "us-east-1"}
)

const bucket = "bucket"

type keys struct{}

func (keys) Secret(purpose string) (k [32]byte) {
	copy(k[:], purpose)
	return k
}

// world is the delivery streams of a log in memory, with a bucket to deliver to.
type world struct {
	t       testing.TB
	fs      *vfs.Mem
	clock   *clock.Manual
	log     *disk.Log
	catalog *catalog.Catalog
	streams *streams.Service
	objects *objfs.Store
	store   s3.Store // what deliveries put to; objects, or something before it
	kinds   map[string]dest.Spec
	process func(dest.Config, dest.Env) ([]dest.Processor, error)
	s       *delivery.Service
	group   *lifecycle.Group
	files   *files.Dir
	remote  delivery.Remote
	tables  s3.TablesFunc
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, fs: vfs.NewMem(1), clock: clock.NewManual(start), kinds: map[string]dest.Spec{}}
	w.process = func(dest.Config, dest.Env) ([]dest.Processor, error) { return nil, nil }
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

// open opens everything on w.fs.
func (w *world) open() (err error) {
	ctx := context.Background()
	w.log, err = disk.Open(ctx, disk.Options{FS: w.fs, Dir: "data", Clock: w.clock, Manual: true, WALFileBytes: 1 << 20, TailBytes: 1 << 20})
	if err != nil {
		return err
	}
	if w.catalog, err = catalog.Open(ctx, w.log, w.clock); err != nil {
		return err
	}
	if w.streams, err = streams.New(streams.Options{Log: w.log, Catalog: w.catalog, Clock: w.clock, Keys: keys{}}); err != nil {
		return err
	}
	if w.objects, err = objfs.Open(objfs.Options{FS: w.fs, Dir: "data/objects", Clock: w.clock}); err != nil {
		return err
	}
	if _, err := w.objects.HeadBucket(ctx, bucket); err != nil {
		if err := w.objects.CreateBucket(ctx, objstore.Bucket{Name: bucket, Owner: scope.Account, Created: start}); err != nil {
			return err
		}
	}
	if w.files, err = files.Open(w.fs, "data/delivery", keys{}.Secret("files")); err != nil {
		return err
	}
	w.kinds["ExtendedS3"] = s3.Spec(putter{w}, w.tables, nil)
	w.group = lifecycle.NewGroup(ctx)
	w.s, err = delivery.Open(ctx, delivery.Options{
		Log: w.log, Catalog: w.catalog, Streams: w.streams, Partition: log.PartitionID{Index: 6}, Clock: w.clock, Keys: keys{},
		Destinations: w.kinds, Process: func(c dest.Config, e dest.Env) ([]dest.Processor, error) { return w.process(c, e) }, Files: w.files, Remote: w.remote, Group: w.group,
		Jitter: func(most time.Duration) time.Duration { return most }, Workers: 2,
	})
	if err != nil {
		return err
	}
	w.s.Start()
	return nil
}

// putter puts where the world wants it.
type putter struct{ w *world }

func (p putter) Put(ctx context.Context, at objstore.Ref, body io.Reader, o objstore.PutOptions) (objstore.Info, error) {
	if p.w.store != nil {
		return p.w.store.Put(ctx, at, body, o)
	}
	return p.w.objects.Put(ctx, at, body, o)
}

func (w *world) close() {
	if w.group != nil {
		if err := w.group.Stop(context.Background()); err != nil {
			w.t.Errorf("stop: %v", err)
		}
	}
	if w.log != nil {
		w.log.Close(context.Background())
	}
	w.group, w.log = nil, nil
}

// restart stops in order and starts again.
func (w *world) restart() {
	w.t.Helper()
	w.close()
	if err := w.open(); err != nil {
		w.t.Fatal(err)
	}
}

const config = `{"RoleARN":"arn:aws:iam::000000000000:role/r","BucketARN":"arn:aws:s3:::bucket","BufferingHints":{"SizeInMBs":1,"IntervalInSeconds":60}}`

func (w *world) create(name string, alter ...func(*delivery.New)) *catalog.Resource {
	w.t.Helper()
	n := delivery.New{Scope: scope, Name: name, Type: delivery.DirectPut, Kind: "ExtendedS3", Config: dest.Config(config)}
	for _, f := range alter {
		f(&n)
	}
	r, err := w.s.Create(context.Background(), n)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) put(name string, records ...string) delivery.Placed {
	w.t.Helper()
	p, err := w.s.Put(context.Background(), scope, name, bytesOf(records), delivery.Call{})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func bytesOf(records []string) (out [][]byte) {
	for _, r := range records {
		out = append(out, []byte(r))
	}
	return out
}

func (w *world) flush(name string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := w.s.Lookup(scope, name)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.s.Flush(ctx, r); err != nil {
		w.t.Fatalf("flush: %v; %+v", err, w.s.Explain(r))
	}
}

// object is one that is in the bucket.
type object struct{ key, body string }

// all are the objects of the bucket, by key.
func (w *world) all() (out []object) {
	w.t.Helper()
	page, err := w.objects.List(context.Background(), bucket, objstore.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range page.Objects {
		got, err := w.objects.Get(context.Background(), objstore.Ref{Bucket: bucket, Key: o.Key}, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := io.Copy(&b, got.Body); err != nil {
			w.t.Fatal(err)
		}
		got.Body.Close()
		out = append(out, object{o.Key, b.String()})
	}
	return out
}

// ledger are the entries of a delivery stream's ledger.
func (w *world) ledger(name string) (out []delivery.Entry) {
	w.t.Helper()
	r, err := w.s.Lookup(scope, name)
	if err != nil {
		w.t.Fatal(err)
	}
	err = w.s.Ledger(r, func(e *delivery.Entry) bool { out = append(out, *e); return true })
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// delivered are the lines of all objects, in the order of the ledger.
func (w *world) delivered(name string) (lines []string) {
	w.t.Helper()
	bodies := map[string]string{}
	for _, o := range w.all() {
		bodies[o.key] = o.body
	}
	for _, e := range w.ledger(name) {
		for _, o := range slices.Concat(e.Backup, e.Objects, e.Errors) {
			body, ok := bodies[o.Key]
			if !ok {
				w.t.Errorf("the ledger names an object that is not there: %s", o.Key)
			}
			delete(bodies, o.Key)
			lines = append(lines, strings.FieldsFunc(body, func(r rune) bool { return r == '\n' })...)
		}
	}
	for key := range bodies {
		w.t.Errorf("an object that no ledger names: %s", key)
	}
	return lines
}

func numbered(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("record %06d\n", i))
	}
	return out
}

func trimmed(lines []string) (out []string) {
	for _, l := range lines {
		out = append(out, strings.TrimSpace(l))
	}
	return out
}

func equal(t testing.TB, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("delivered %d records, want %d: first difference %s", len(got), len(want), difference(got, want))
	}
}

func difference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		a, b := "nothing", "nothing"
		if i < len(got) {
			a = got[i]
		}
		if i < len(want) {
			b = want[i]
		}
		if a != b {
			return fmt.Sprintf("at %d: %q, want %q", i, a, b)
		}
	}
	return "none"
}
