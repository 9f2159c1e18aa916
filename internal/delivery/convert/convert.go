// Package convert makes Parquet of records of JSON, as Firehose's format conversion does.
//
// A record is one object. Its members are looked up by the names of the table's columns;
// what the table does not have is passed over, what the record does not have is null. A
// record that cannot be converted is told from one that was, and leaves no trace in the
// file:
//
//	DataFormatConversion.ParseError     not JSON
//	DataFormatConversion.MalformedData  not an object, or a value that its column cannot
//	                                    hold; a number that would be cut is one; or
//	                                    more than 262,144 values, those of columns that
//	                                    an array's elements lack counted
//
// Columns are Hive's types, nested to 16 levels and 400 leaves; all are optional, and in
// the order of the table. Timestamps are INT96, as Hive writes them.
//
// Sources: the API's OpenXJsonSerDe, HiveJsonSerDe and ParquetSerDe for options and the
// times they take; floci's probes of AWS for codes and texts. Where AWS's libraries guess
// (an array for a struct, decimals that are rounded, texts cut to varchar's length) a
// record is refused.
//
// A file is a function of its records: no time and no version of a library stands in it.
// A Writer takes about [Converter.Memory], however many records it is given.
// A Converter is safe for concurrent use, a Writer is not.
package convert

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"thalweg/internal/delivery/scan"
	"thalweg/internal/limits"
)

const (
	// batchValues and batchBytes are how much is gathered before it goes to the columns.
	batchValues = 16 << 10
	batchBytes  = 256 << 10
	// maxValues is how many values a record may have, those that are null counted: two
	// bytes of an array can stand for one in each column.
	maxValues = 256 << 10
	// rowGroup is what a row group may cost in memory, about, beside AWS's block size.
	rowGroup = 16 << 20
	// pages is what the pages that are being filled may take, of all columns.
	pages = 4 << 20
	// dictionary is how large one column's may become; what follows is written plain.
	dictionary = 64 << 10
)

// narrow is how many columns may be without more memory.
const narrow = 100

// MaxMemory is the most that a Writer takes, about.
const MaxMemory = 48 << 20

// Failure is a record that is not converted.
type Failure struct{ Code, Message string }

func (f *Failure) Error() string { return f.Code + ": " + f.Message }

// codes name what may be wrong with a record.
type codes struct{ parse, data, mismatch, missing string }

func (o *Options) codes() codes {
	if o.iceberg {
		return codes{"Iceberg.MalformedRecord", "Iceberg.MalformedRecord", "Iceberg.SchemaTypeMismatch", "Iceberg.MissingColumnWithinRecord"}
	}
	return codes{parse: "DataFormatConversion.ParseError", data: "DataFormatConversion.MalformedData", mismatch: "DataFormatConversion.MalformedData"}
}

// Converter converts records to the columns of one table.
type Converter struct {
	o      *Options
	row    columnType
	leaves int
	config *parquet.WriterConfig
}

// New makes a converter; its errors are of kind Invalid.
func New(o Options, columns []Column) (*Converter, error) {
	row, err := parseColumns(columns)
	if err != nil {
		return nil, err
	}
	return newConverter(o, row)
}

func newConverter(o Options, row columnType) (*Converter, error) {
	_, leaves, schema, err := compile(row, &o)
	if err != nil {
		return nil, err
	}
	c := &Converter{o: &o, row: row, leaves: len(leaves)}
	version := 1
	if o.V2 {
		version = 2
	}
	c.config, err = parquet.NewWriterConfig(schema, parquet.CreatedBy("thalweg", "1", "0"), parquet.DataPageVersion(version),
		parquet.PageBufferSize(o.pageSize(len(leaves))), parquet.DictionaryMaxBytes(dictionary), parquet.Compression(o.codec()), parquet.DataPageStatistics(false))
	return c, err
}

// Memory is about what a Writer takes (measured: 18 MiB, 45 with dictionaries, 39 with 400
// columns of nulls in a million records).
func (c *Converter) Memory() int64 {
	if c.o.Dictionary || c.leaves > narrow {
		return MaxMemory
	}
	return 24 << 20
}

// Acquire takes n bytes of the memory for a Writer, a quarter of all at most, so that
// deliveries that wait for it are not in each other's way. Who waits must hold none.
func Acquire(ctx context.Context, memory *limits.Budget, n int64) (release func(), err error) {
	if most := memory.Max() / 4; most > 0 {
		n = min(n, most)
	}
	return func() { memory.Release(n) }, memory.Acquire(ctx, n)
}

func (o *Options) codec() compress.Codec {
	switch o.Compression {
	case "GZIP":
		return &parquet.Gzip
	case "UNCOMPRESSED":
		return &parquet.Uncompressed
	}
	return &parquet.Snappy
}

// Writer writes one file.
type Writer struct {
	c    *Converter
	to   *parquet.Writer
	root *node

	columns [][]parquet.Value // of the batch
	marks   []int             // where the last record that was converted ends
	arena   []byte            // what the values refer to
	name    []byte
	rows    int
	gained  int // values of the batch's records
	values  int // of the record that is being converted
	bytes   int // of its records
	cost    int // of the row group

	leaves  []*node // what metrics are of, where they are wanted
	metrics []metric
}

// NewWriter begins a file, which only Close makes whole.
func (c *Converter) NewWriter(w io.Writer) (*Writer, error) {
	root, leaves, schema, err := compile(c.row, c.o) // nodes are of one writer
	if err != nil {
		return nil, err
	}
	config := *c.config
	config.Schema = schema
	out := &Writer{c: c, to: parquet.NewWriter(w, &config), root: root,
		columns: make([][]parquet.Value, len(leaves)), marks: make([]int, len(leaves))}
	if c.o.iceberg {
		out.leaves, out.metrics = leaves, make([]metric, len(leaves))
	}
	return out, nil
}

// Write converts a record, whose bytes it does not keep. A *Failure is about the record,
// and the file goes on without it; after any other error the file is broken.
func (w *Writer) Write(record []byte) error {
	arena := len(w.arena)
	w.values = 0
	if err := w.convert(record); err != nil {
		for i, mark := range w.marks {
			w.columns[i] = w.room(w.columns[i][:mark])
		}
		w.arena = w.arena[:arena]
		return err
	}
	for i := range w.columns {
		w.marks[i] = len(w.columns[i])
	}
	w.rows++
	w.gained += w.values
	w.bytes += len(record)
	w.cost += len(record) + len(w.columns)/4 // pages of nulls are packed small
	if w.gained >= batchValues || w.bytes >= batchBytes {
		return w.flush()
	}
	return nil
}

func (w *Writer) convert(record []byte) error {
	codes := w.c.o.codes()
	s := scan.New(record)
	switch s.Peek() {
	case '{':
	case 0:
		if s.End() == nil {
			return &Failure{codes.data, "The record was empty or contained only whitespace."}
		}
		fallthrough
	default:
		if !scan.Valid(record) {
			return &Failure{codes.parse, errMalformed.Error()}
		}
		return &Failure{codes.data, "The top level of the record must be an object."}
	}
	if w.members(&s, w.root) != nil || s.End() != nil {
		return &Failure{codes.parse, errMalformed.Error()}
	}
	err := w.putParts(w.root, 0)
	var lacks *missing
	switch {
	case w.c.o.iceberg && !slices.ContainsFunc(w.root.values, func(v []byte) bool { return v != nil }):
		return &Failure{codes.missing, "The record has none of the table's columns."}
	case errors.As(err, &lacks):
		return &Failure{codes.missing, lacks.Error()}
	case err != nil:
		return &Failure{codes.mismatch, "Data does not match the schema. " + err.Error()}
	}
	return nil
}

// flush gives the batch to the columns, and ends the row group when it is large enough.
func (w *Writer) flush() error {
	if w.rows == 0 { // a column's writer takes no batch of nothing
		return nil
	}
	w.measure()
	for i, c := range w.to.ColumnWriters() {
		if _, err := c.WriteRowValues(w.columns[i]); err != nil {
			return err
		}
		clear(w.columns[i])
		w.columns[i], w.marks[i] = w.room(w.columns[i][:0]), 0
	}
	w.arena, w.rows, w.gained, w.bytes = w.arena[:0], 0, 0, 0
	if w.cost >= w.c.o.rowGroup() {
		w.cost = 0
		return w.to.Flush()
	}
	return nil
}

// room returns values in a slice with little more room than a column's share of a batch: each
// record could need much in another column.
func (w *Writer) room(values []parquet.Value) []parquet.Value {
	if cap(values)-2*len(values) > 4*batchValues/len(w.columns) {
		return append([]parquet.Value(nil), values...)
	}
	return values
}

// Close writes what is left and the footer.
func (w *Writer) Close() error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.to.Close()
}
