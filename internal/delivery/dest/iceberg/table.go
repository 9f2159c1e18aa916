package iceberg

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"slices"
	"strings"

	"thalweg/internal/delivery/convert"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/lake"
	"thalweg/internal/lake/manifest"
	"thalweg/internal/lake/partition"
)

// table is one that records of the batch are for.
type table struct {
	name   name
	number int32
	meta   *lake.Metadata
	// schema and spec are those that records are written by, and were when the batch is
	// there already.
	schema, spec int
	parsed       *partition.Spec
	converter    *convert.Converter
	probe        *convert.Probe
	groups       map[string]*group
	order        []*group
	files        []manifest.File
	// done tells that the batch is in the table, doubtful that it may be.
	done, doubtful bool
}

// group is the batch's records of one partition.
type group struct {
	number int32
	key    string
	tuple  []any
}

// open looks for a table. An error is a *refusal, or it may pass.
func (w *writing) open(n name) (*table, error) {
	t := &table{name: n, groups: map[string]*group{}}
	if err := w.load(t); err != nil {
		return nil, refused(n, err)
	}
	t.schema, t.spec = t.meta.CurrentSchemaID, t.meta.DefaultSpecID
	if was, ok := w.committed(t.meta); ok {
		t.done = true
		if t.meta.Schema(was.Schema) != nil && t.meta.PartitionSpec(was.Spec) != nil {
			t.schema, t.spec = was.Schema, was.Spec
		}
	}
	if err := t.compile(); err != nil {
		return nil, refused(n, err)
	}
	return t, nil
}

// load reads the table's metadata.
func (w *writing) load(t *table) error {
	_, raw, err := w.catalog.Load(w.ctx, w.scope(), t.name.ident(), w.hold)
	if err == nil {
		t.meta, err = lake.Parse(raw)
	}
	return err
}

// compile makes what converts records of the schema and the spec.
func (t *table) compile() error {
	var schema struct {
		Fields []convert.Field `json:"fields"`
	}
	if err := json.Unmarshal(t.meta.Schema(t.schema), &schema); err != nil {
		return err
	}
	types := map[int]string{}
	primitives(schema.Fields, types)
	var err error
	if t.parsed, err = partition.Parse(t.meta.PartitionSpec(t.spec), func(id int) string { return types[id] }); err != nil {
		return err
	}
	if t.converter, err = convert.NewIceberg(schema.Fields, compression(t.meta.Properties["write.parquet.compression-codec"])); err != nil {
		return err
	}
	t.probe, err = t.converter.NewProbe(t.parsed.SourceIDs())
	return err
}

// primitives gathers the types of fields that a partition can be of.
func primitives(fields []convert.Field, into map[int]string) {
	for _, f := range fields {
		var word string
		var nested struct {
			Type   string          `json:"type"`
			Fields []convert.Field `json:"fields"`
		}
		switch {
		case json.Unmarshal(f.Type, &word) == nil:
			into[f.ID] = word
		case json.Unmarshal(f.Type, &nested) == nil && nested.Type == "struct":
			primitives(nested.Fields, into)
		}
	}
}

// compression is the codec that a table asks for, if it is one that is written here.
func compression(codec string) string {
	switch codec {
	case "gzip", "uncompressed":
		return strings.ToUpper(codec)
	}
	return "SNAPPY"
}

// deliver writes a table's files and commits them.
func (w *writing) deliver(t *table) error {
	for _, g := range t.sorted() {
		if err := w.write(t, g); err != nil {
			return refusedLate(t.name, err)
		}
	}
	if t.done {
		return nil
	}
	return refusedLate(t.name, w.commit(t))
}

// refusedLate tells an error that the next attempt would meet too.
func refusedLate(n name, err error) error {
	if r, ok := refused(n, err).(*refusal); err != nil && ok {
		return &dest.Error{Class: dest.Permanent, Code: r.code, Message: r.message, Err: err}
	}
	return err
}

// object is a file in the making.
type object struct {
	file dest.Scratch
	out  *bufio.Writer
	sum  hash.Hash
	size int64
}

// Write takes what a converter has made.
func (o *object) Write(p []byte) (int, error) {
	o.sum.Write(p)
	o.size += int64(len(p))
	return o.out.Write(p)
}

// write makes the file of a group, and puts it unless it is there.
func (w *writing) write(t *table, g *group) error {
	file, err := w.env.Scratch()
	if err != nil {
		return err
	}
	defer file.Close()
	o := &object{file: file, out: bufio.NewWriterSize(file, spoolBuffer), sum: sha256.New()}
	to, err := t.converter.NewWriter(o)
	if err != nil {
		return err
	}
	f := manifest.File{Path: w.place(t, g), Partition: g.tuple}
	err = w.spool.each(g.number, func(record []byte) error {
		f.Records++
		if f.Records%checkEvery == 0 && w.ctx.Err() != nil {
			return w.ctx.Err()
		}
		return to.Write(record)
	})
	if err == nil {
		err = to.Close()
	}
	if err == nil {
		err = o.out.Flush()
	}
	if err != nil {
		return err
	}
	for _, c := range to.Metrics() {
		f.Columns = append(f.Columns, manifest.Column(c))
	}
	f.Size = o.size
	if err := w.hold(int64(len(f.Columns)) * bytesOfColumn); err != nil {
		return err
	}
	if !t.done {
		if err := w.put(w.ctx, f.Path, file); err != nil {
			return err
		}
	}
	t.files = append(t.files, f)
	bucket, key, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(f.Path, "s3a://"), "s3://"), "/")
	w.res.Objects = append(w.res.Objects, dest.Object{Bucket: bucket, Key: key, Size: o.size, SHA256: hex.EncodeToString(o.sum.Sum(nil)), Records: f.Records})
	return nil
}

const (
	checkEvery    = 1024
	bytesOfColumn = 512 // in a file's metrics, and in the manifest that is made of them
)

func (w *writing) put(ctx context.Context, place string, file io.ReadSeeker) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return w.catalog.Put(ctx, w.scope(), place, file)
}

// dir is where the table has files of a kind.
func (t *table) dir(property, otherwise string) string {
	return strings.TrimSuffix(cmp.Or(t.meta.Properties[property], strings.TrimSuffix(t.meta.Location, "/")+otherwise), "/")
}

// id names what is made of the batch for the table, always the same for the same.
func (w *writing) id(t *table, parts ...string) string {
	return dest.UUID(w.batch.Plan, slices.Concat([]string{t.meta.TableUUID, string(t.meta.Schema(t.schema)), string(t.meta.PartitionSpec(t.spec)),
		t.meta.Properties["write.parquet.compression-codec"]}, parts)...)
}

func (w *writing) place(t *table, g *group) string {
	return t.dir("write.data.path", "/data") + "/" + w.id(t, "data", g.key) + ".parquet"
}
