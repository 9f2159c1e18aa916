package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"thalweg/internal/lake/partition"
)

func decode(t *testing.T, b []byte) (out []map[string]any, about map[string][]byte) {
	t.Helper()
	r, err := ocf.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for {
		var v map[string]any
		if err := r.Decode(&v); errors.Is(err, io.EOF) {
			return out, r.Metadata()
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
}

// TestManifest has a partition of every type.
func TestManifest(t *testing.T) {
	types := []string{"boolean", "int", "long", "float", "double", "decimal(9,2)", "decimal(38, 10)", "string", "binary", "date", "time", "timestamp",
		"timestamptz", "uuid", "fixed[3]"}
	values := []any{true, int32(1), int64(2), float32(1.5), 2.5, big.NewInt(-1234), big.NewInt(5), "x", []byte{1}, int32(20000), int64(3), int64(4), int64(5),
		bytes.Repeat([]byte{7}, 16), []byte{1, 2, 3}}
	var fields []map[string]any
	for i := range types {
		fields = append(fields, map[string]any{"source-id": i, "field-id": 1000 + i, "name": "1 f-" + types[i], "transform": "identity"})
	}
	raw, err := json.Marshal(map[string]any{"spec-id": 4, "fields": fields})
	if err != nil {
		t.Fatal(err)
	}
	spec, err := partition.Parse(raw, func(id int) string { return types[id] })
	if err != nil {
		t.Fatal(err)
	}
	m := Manifest{Schema: json.RawMessage(`{"type":"struct"}`), SchemaID: 3, Partition: raw, Spec: spec, SnapshotID: 77, Files: []File{
		{Path: "s3://b/one", Partition: values, Records: 5, Size: 500, Columns: []Column{{ID: 1, Values: 5, Nulls: 1, Lower: []byte{1}, Upper: []byte{2}},
			{ID: 2, Values: 5}}},
		{Path: "s3://b/two", Partition: make([]any, len(types)), Records: 1, Size: 100},
	}}
	first, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.Encode()
	if err != nil || len(first) != len(again) {
		t.Error("the same manifest is another", err)
	}
	all, about := decode(t, first)
	if len(all) != 2 || string(about["format-version"]) != "2" || string(about["partition-spec-id"]) != "4" || string(about["schema-id"]) != "3" ||
		!json.Valid(about["partition-spec"]) || about["partition-spec"][0] != '[' {
		t.Errorf("%d entries, %s", len(all), about)
	}
	if all[0]["snapshot_id"] != int64(77) || all[0]["sequence_number"] != nil {
		t.Error(all[0])
	}
	file := all[0]["data_file"].(map[string]any)
	tuple := file["partition"].(map[string]any)
	if len(tuple) != len(types) || tuple["_1_x20f_x2Dint"] != int32(1) || file["record_count"] != int64(5) {
		t.Error(file)
	}
	if n := len(file["value_counts"].([]any)); n != 2 || len(file["lower_bounds"].([]any)) != 1 {
		t.Error(file)
	}
	sums := Summaries(m.Files, len(types))
	if !sums[1].HasNull || !bytes.Equal(sums[1].Lower, []byte{1, 0, 0, 0}) || *sums[1].HasNaN {
		t.Error(sums[1])
	}
}

func TestList(t *testing.T) {
	yes, parent := true, int64(9)
	entries := []Entry{
		{Path: "s3://b/m1", Length: 10, SpecID: 1, Content: 1, Sequence: 3, MinSequence: 2, SnapshotID: 5, AddedFiles: 1, ExistingFiles: 2, DeletedFiles: 3,
			AddedRows: 4, ExistingRows: 5, DeletedRows: 6, Partitions: []Summary{{HasNull: true, HasNaN: &yes, Lower: []byte{1}, Upper: []byte{}}}, KeyMetadata: []byte{9}},
		{Path: "s3://b/m2", Partitions: []Summary{{}}},
	}
	l := List{SnapshotID: 6, Sequence: 4, Parent: &parent, Entries: entries}
	raw, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeList(raw)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(entries, got); d != "" {
		t.Error(d)
	}
	for n := range len(raw) {
		if _, err := DecodeList(raw[:n]); err == nil && n > 0 {
			if got, _ := DecodeList(raw[:n]); len(got) == 2 {
				t.Fatalf("%d of %d bytes are read as all", n, len(raw))
			}
		}
	}
}

// TestOlderList has a list as older writers make it: other names, and fields that are not
// known here.
func TestOlderList(t *testing.T) {
	old := strings.NewReplacer("added_files_count", "added_data_files_count", "existing_files_count", "existing_data_files_count",
		"deleted_files_count", "deleted_data_files_count", `{"name":"manifest_path"`, `{"name":"new","type":["null","string"],"default":null},{"name":"manifest_path"`)
	var out bytes.Buffer
	w, err := ocf.NewWriter(&out, avro.MustParse(old.Replace(listSchema)))
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]any{"new": "x", "manifest_path": "p", "manifest_length": int64(1), "partition_spec_id": 2, "content": 0, "sequence_number": int64(3),
		"min_sequence_number": int64(3), "added_snapshot_id": int64(4), "added_data_files_count": 5, "existing_data_files_count": 6, "deleted_data_files_count": 7,
		"added_rows_count": int64(8), "existing_rows_count": int64(9), "deleted_rows_count": int64(10), "partitions": nil, "key_metadata": nil}
	if err := errors.Join(w.Encode(in), w.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := DecodeList(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{{Path: "p", Length: 1, SpecID: 2, Sequence: 3, MinSequence: 3, SnapshotID: 4, AddedFiles: 5, ExistingFiles: 6, DeletedFiles: 7,
		AddedRows: 8, ExistingRows: 9, DeletedRows: 10}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func FuzzDecodeList(f *testing.F) {
	l := List{SnapshotID: 6, Sequence: 4, Entries: []Entry{{Path: "s3://b/m1", Partitions: []Summary{{Lower: []byte{1}}}}}}
	raw, err := l.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, in []byte) {
		entries, err := DecodeList(in)
		if err != nil {
			return
		}
		again, err := (&List{Entries: entries}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeList(again); err != nil || len(got) != len(entries) {
			t.Fatal(err, len(got), len(entries))
		}
	})
}
