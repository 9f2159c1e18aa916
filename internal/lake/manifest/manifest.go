// Package manifest writes the files of a snapshot of an Iceberg table that say which data
// files it has: a manifest of those that were added, and the list of all its manifests.
// Both are Avro, of format version 2.
//
// What a list says of manifests that others wrote is carried over as it is. What both say,
// and how long they are, follows from what they are made of alone, so that one that is made
// again may take the place of the first.
//
// Source: iceberg.apache.org/spec, "Manifests" and "Manifest Lists", with the ids of the
// fields there; the names of nested records are those that Iceberg's own writer gives them.
package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"thalweg/internal/errs"
	"thalweg/internal/lake/partition"
	"thalweg/internal/lake/single"
)

// File is a data file that a snapshot adds.
type File struct {
	Path string
	// Partition is the file's tuple of the spec.
	Partition     []any
	Records, Size int64
	Columns       []Column
}

// Column is what is known of a column of a file.
type Column struct {
	ID            int
	Values, Nulls int64
	Lower, Upper  []byte // nil is not known
}

// Manifest is what a manifest is made of.
type Manifest struct {
	// Schema is the schema's document, with its id; Partition the spec's.
	Schema, Partition json.RawMessage
	SchemaID          int
	Spec              *partition.Spec
	SnapshotID        int64
	Files             []File
}

const (
	entryAdded = 1
	version    = "2"
)

// Encode makes the manifest.
func (m *Manifest) Encode() ([]byte, error) {
	schema, names, err := entrySchema(m.Spec)
	if err != nil {
		return nil, err
	}
	var fields struct {
		Fields json.RawMessage `json:"fields"`
	}
	if err := json.Unmarshal(m.Partition, &fields); err != nil {
		return nil, err
	}
	return encode(schema, map[string]string{
		"schema": string(m.Schema), "schema-id": strconv.Itoa(m.SchemaID), "partition-spec": string(fields.Fields),
		"partition-spec-id": strconv.Itoa(m.Spec.ID), "format-version": version, "content": "data",
	}, len(m.Files), func(i int) any {
		f := &m.Files[i]
		tuple := map[string]any{}
		for i, name := range names {
			tuple[name] = avroValue(f.Partition[i], m.Spec.Fields[i].Type())
		}
		return map[string]any{
			"status": entryAdded, "snapshot_id": m.SnapshotID, "sequence_number": nil, "file_sequence_number": nil,
			"data_file": map[string]any{
				"content": 0, "file_path": f.Path, "file_format": "PARQUET", "partition": tuple, "record_count": f.Records,
				"file_size_in_bytes": f.Size, "sort_order_id": 0,
				"value_counts":      pairs(f.Columns, func(c *Column) any { return c.Values }),
				"null_value_counts": pairs(f.Columns, func(c *Column) any { return c.Nulls }),
				"lower_bounds":      pairs(f.Columns, func(c *Column) any { return orNil(c.Lower) }),
				"upper_bounds":      pairs(f.Columns, func(c *Column) any { return orNil(c.Upper) }),
			},
		}
	})
}

func orNil(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// pairs are what of tells of columns, by id; nil is left out.
func pairs(columns []Column, of func(*Column) any) []any {
	out := []any{}
	for i := range columns {
		if v := of(&columns[i]); v != nil {
			out = append(out, map[string]any{"key": columns[i].ID, "value": v})
		}
	}
	return out
}

// encode makes an Avro file.
func encode(schema *avro.Schema, about map[string]string, n int, at func(int) any) ([]byte, error) {
	seed := sha256.New()
	header := map[string][]byte{}
	for k, v := range about {
		header[k] = []byte(v)
	}
	raw, err := json.Marshal(about)
	if err != nil {
		return nil, err
	}
	seed.Write(raw)
	var out bytes.Buffer
	w, err := ocf.NewWriter(&out, schema, ocf.WithMetadata(header), ocf.WithCodec(ocf.DeflateCodec(deflateLevel)),
		ocf.WithSyncMarker([16]byte(seed.Sum(nil)[:16])))
	if err != nil {
		return nil, err
	}
	for i := range n {
		if err := w.Encode(at(i)); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

const deflateLevel = 6

// Entry is one manifest in a list.
type Entry struct {
	Path               string    `avro:"manifest_path"`
	Length             int64     `avro:"manifest_length"`
	SpecID             int       `avro:"partition_spec_id"`
	Content            int       `avro:"content"`
	Sequence           int64     `avro:"sequence_number"`
	MinSequence        int64     `avro:"min_sequence_number"`
	SnapshotID         int64     `avro:"added_snapshot_id"`
	AddedFiles         int       `avro:"added_files_count"`
	ExistingFiles      int       `avro:"existing_files_count"`
	DeletedFiles       int       `avro:"deleted_files_count"`
	AddedRows          int64     `avro:"added_rows_count"`
	ExistingRows       int64     `avro:"existing_rows_count"`
	DeletedRows        int64     `avro:"deleted_rows_count"`
	Partitions         []Summary `avro:"partitions"`
	KeyMetadata        []byte    `avro:"key_metadata"`
	AddedDataFiles     int       `avro:"added_data_files_count"` // as some writers name those above
	ExistingDataFiles  int       `avro:"existing_data_files_count"`
	DeletedDeleteFiles int       `avro:"deleted_data_files_count"`
}

// Summary is what the files of a manifest have in one field of the spec.
type Summary struct {
	HasNull bool   `avro:"contains_null"`
	HasNaN  *bool  `avro:"contains_nan"`
	Lower   []byte `avro:"lower_bound"`
	Upper   []byte `avro:"upper_bound"`
}

// Summaries are those of files.
func Summaries(files []File, fields int) []Summary {
	out := make([]Summary, fields)
	for i := range out {
		s := &out[i]
		var least, most any
		nan := false
		for _, f := range files {
			switch v := f.Partition[i]; {
			case v == nil:
				s.HasNull = true
			case least == nil:
				least, most = v, v
			case single.Compare(v, least) < 0:
				least = v
			case single.Compare(v, most) > 0:
				most = v
			}
		}
		s.HasNaN = &nan // JSON has none
		s.Lower, s.Upper = single.Bytes(least), single.Bytes(most)
	}
	return out
}

// List is what a list of manifests is made of.
type List struct {
	SnapshotID, Sequence int64
	Parent               *int64
	Entries              []Entry
}

// Encode makes the list.
func (l *List) Encode() ([]byte, error) {
	schema, err := avro.Parse(listSchema)
	if err != nil {
		return nil, err
	}
	parent := "null"
	if l.Parent != nil {
		parent = strconv.FormatInt(*l.Parent, 10)
	}
	return encode(schema, map[string]string{
		"snapshot-id": strconv.FormatInt(l.SnapshotID, 10), "parent-snapshot-id": parent,
		"sequence-number": strconv.FormatInt(l.Sequence, 10), "format-version": version,
	}, len(l.Entries), func(i int) any { return &l.Entries[i] })
}

// maxBlock bounds a block of a list, unpacked.
const maxBlock = 32 << 20

// DecodeList reads the entries of a list. An error is of kind Corrupt.
func DecodeList(b []byte) ([]Entry, error) {
	r, err := ocf.NewReader(bytes.NewReader(b), ocf.WithMaxDecompressedBlockBytes(maxBlock), ocf.WithMaxBlockBytes(maxBlock),
		ocf.WithDecodeOpts(avro.SkipUnknown()))
	if err != nil {
		return nil, errs.Wrap(errs.Corrupt, "read a list of manifests", err)
	}
	defer r.Close()
	var out []Entry
	for {
		var e Entry
		if err := r.Decode(&e); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, errs.Wrap(errs.Corrupt, "read a list of manifests", err)
		}
		e.AddedFiles, e.AddedDataFiles = e.AddedFiles+e.AddedDataFiles, 0
		e.ExistingFiles, e.ExistingDataFiles = e.ExistingFiles+e.ExistingDataFiles, 0
		e.DeletedFiles, e.DeletedDeleteFiles = e.DeletedFiles+e.DeletedDeleteFiles, 0
		if e.Path == "" {
			return nil, errs.New(errs.Corrupt, fmt.Sprintf("entry %d of a list of manifests names none", len(out)))
		}
		out = append(out, e)
	}
}
