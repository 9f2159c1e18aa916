package iceberg

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"thalweg/internal/clock"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/dest/desttest"
	"thalweg/internal/lake"
	"thalweg/internal/lake/manifest"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/objstore"
	"thalweg/internal/objstore/fs"
	"thalweg/internal/vfs"
)

var (
	ctx   = context.Background()
	scope = lake.Scope{Account: desttest.Stream.Account, Region: desttest.Stream.Region}
	games = lake.Ident{Namespace: []string{"game"}, Name: "moves"}
)

func free(int64) error { return nil }

// world is a catalog of tables in memory.
type world struct {
	fs      *vfs.Mem
	log     *disk.Log
	objects *fs.Store
	*lake.Catalog
	// fault fails the call that has this number, from 1; after tells that it has had its
	// effect then.
	calls, fault int
	after        bool
	names        []string // of the calls
	// between runs before the commits of the table, once.
	between func()
}

func open(m *vfs.Mem) (*world, error) {
	w := &world{fs: m}
	c := clock.NewManual(desttest.Begin)
	var err error
	if w.log, err = disk.Open(ctx, disk.Options{FS: m, Dir: "data", Clock: c, Manual: true, WALFileBytes: 256 << 10}); err != nil {
		return nil, err
	}
	if w.objects, err = fs.Open(fs.Options{FS: m, Dir: "/data/objects", Clock: c}); err == nil {
		w.Catalog, err = lake.Open(ctx, lake.Options{Log: w.log, Partition: log.PartitionID{Index: 8}, Clock: c, Objects: w.objects,
			Memory: limits.NewBudget(1 << 20), MaxBytes: 64 << 10})
	}
	return w, err
}

func newWorld(t testing.TB) *world {
	t.Helper()
	m := vfs.NewMem(1)
	must(t, errors.Join(m.MkdirAll("/data", 0o700), m.SyncDir("/")))
	w, err := open(m)
	must(t, err)
	must(t, w.objects.CreateBucket(ctx, objstore.Bucket{Name: "lake", Owner: scope.Account}))
	must(t, w.CreateNamespace(ctx, scope, games.Namespace, nil))
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const (
	schema = `{"type":"struct","schema-id":0,"fields":[{"id":1,"name":"id","required":true,"type":"long"},{"id":2,"name":"map","required":false,"type":"string"}]}`
	byMap  = `{"spec-id":0,"fields":[{"source-id":2,"field-id":1000,"name":"map","transform":"identity"}]}`
)

// create makes the table.
func (w *world) create(t testing.TB, id lake.Ident, schema, spec string) {
	t.Helper()
	var updates []lake.Update
	must(t, json.Unmarshal(fmt.Appendf(nil, `[{"action":"assign-uuid","uuid":"9c12d441-03fe-4693-9a96-a0705ddf69c1"},
		{"action":"add-schema","schema":%s},{"action":"set-current-schema","schema-id":-1},{"action":"add-spec","spec":%s},
		{"action":"set-default-spec","spec-id":-1},{"action":"add-sort-order","sort-order":{"fields":[]}},
		{"action":"set-default-sort-order","sort-order-id":-1},{"action":"set-location","location":"s3://lake/%s"}]`, schema, spec, id.Name), &updates))
	_, _, err := w.Catalog.Commit(ctx, scope, id, []lake.Requirement{{Type: "assert-create"}}, updates, free)
	must(t, err)
}

// change commits updates from outside.
func (w *world) change(t testing.TB, id lake.Ident, updates string) {
	t.Helper()
	var list []lake.Update
	must(t, json.Unmarshal([]byte(updates), &list))
	_, _, err := w.Catalog.Commit(ctx, scope, id, nil, list, free)
	must(t, err)
}

var errInjected = errors.New("an error that was asked for")

// step counts a call and makes it fail if it is its turn.
func (w *world) step(what string, do func() error) error {
	w.calls++
	w.names = append(w.names, what)
	mine := w.calls == w.fault
	if mine && !w.after {
		return errInjected
	}
	err := do()
	if mine {
		return errInjected
	}
	return err
}

func (w *world) Load(ctx context.Context, s lake.Scope, id lake.Ident, hold lake.Hold) (place string, raw []byte, err error) {
	err = w.step("load", func() error {
		place, raw, err = w.Catalog.Load(ctx, s, id, hold)
		return err
	})
	return place, raw, err
}

func (w *world) Commit(ctx context.Context, s lake.Scope, id lake.Ident, r []lake.Requirement, u []lake.Update, hold lake.Hold) (place string, raw []byte, err error) {
	if w.between != nil {
		do := w.between
		w.between = nil
		do()
	}
	err = w.step("commit", func() error {
		place, raw, err = w.Catalog.Commit(ctx, s, id, r, u, hold)
		return err
	})
	return place, raw, err
}

func (w *world) Read(ctx context.Context, s lake.Scope, place string, hold lake.Hold) (raw []byte, err error) {
	err = w.step("read", func() error {
		raw, err = w.Catalog.Read(ctx, s, place, hold)
		return err
	})
	return raw, err
}

func (w *world) Put(ctx context.Context, s lake.Scope, place string, body io.Reader) error {
	return w.step("put", func() error { return w.Catalog.Put(ctx, s, place, body) })
}

const config = `{"CatalogConfiguration":{"CatalogARN":"arn:aws:glue:us-east-1:000000000000:catalog"},` +
	`"DestinationTableConfigurationList":[{"DestinationDatabaseName":"game","DestinationTableName":"moves"}]}`

// deliver makes one attempt.
func (w *world) deliver(t testing.TB, config string, b dest.Batch) (dest.Result, error) {
	t.Helper()
	var files desttest.Files
	spec := Spec(w, limits.NewBudget(256<<20))
	must(t, spec.Check(dest.Config(config)))
	d, err := spec.Open(dest.Config(config), files.Env())
	must(t, err)
	res, err := d.Deliver(ctx, b)
	if n := files.Open.Load(); n != 0 {
		t.Errorf("%d scratch files are open", n)
	}
	return res, err
}

// batch is one of a plan of its own.
func batch(plan string, records ...string) dest.Batch {
	b := desttest.Batch(records...)
	b.Plan = plan
	return b
}

// metadata is what the catalog has of a table.
func (w *world) metadata(t testing.TB, id lake.Ident) *lake.Metadata {
	t.Helper()
	_, raw, err := w.Catalog.Load(ctx, scope, id, free)
	must(t, err)
	m, err := lake.Parse(raw)
	must(t, err)
	return m
}

// files are the data files of a table's present snapshot.
func (w *world) files(t testing.TB, id lake.Ident) (paths []string) {
	t.Helper()
	_, head := w.metadata(t, id).Head()
	if head == nil {
		return nil
	}
	var s struct {
		List string `json:"manifest-list"`
	}
	must(t, json.Unmarshal(head, &s))
	raw, err := w.Catalog.Read(ctx, scope, s.List, free)
	must(t, err)
	list, err := manifest.DecodeList(raw)
	must(t, err)
	for _, e := range list {
		raw, err := w.Catalog.Read(ctx, scope, e.Path, free)
		must(t, err)
		if int64(len(raw)) != e.Length {
			t.Errorf("%s has %d bytes, the list says %d", e.Path, len(raw), e.Length)
		}
		r, err := ocf.NewReader(bytes.NewReader(raw), ocf.WithDecodeOpts(avro.SkipUnknown()))
		must(t, err)
		for {
			var f struct {
				File struct {
					Path string `avro:"file_path"`
					Size int64  `avro:"file_size_in_bytes"`
				} `avro:"data_file"`
			}
			if err := r.Decode(&f); errors.Is(err, io.EOF) {
				break
			} else {
				must(t, err)
			}
			paths = append(paths, fmt.Sprint(f.File.Path, " ", f.File.Size))
		}
	}
	return paths
}

// rows are the ids in a table, in order.
func (w *world) rows(t testing.TB, id lake.Ident) []string {
	t.Helper()
	out := []string{}
	for _, file := range w.files(t, id) {
		path, size, _ := strings.Cut(file, " ")
		raw, err := w.Catalog.Read(ctx, scope, path, free)
		must(t, err)
		if fmt.Sprint(len(raw)) != size {
			t.Errorf("%s has %d bytes, its manifest says %s", path, len(raw), size)
		}
		r := parquet.NewReader(bytes.NewReader(raw))
		row := make([]parquet.Row, 1)
		for {
			n, err := r.ReadRows(row)
			if n == 1 {
				out = append(out, row[0][0].String())
			}
			if errors.Is(err, io.EOF) {
				break
			}
			must(t, err)
		}
	}
	slices.Sort(out)
	return out
}
