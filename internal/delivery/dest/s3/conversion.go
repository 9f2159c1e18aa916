package s3

import (
	"encoding/json"
	"errors"

	"thalweg/internal/delivery/convert"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
	"thalweg/internal/limits"
)

// Tables are where conversions find what columns a table has.
type Tables interface {
	// Columns returns the columns of a version of a table, and which version it is.
	// Errors: of kind NotFound, if there is no such table.
	Columns(s dest.Stream, from convert.Source) (columns []convert.Column, version string, err error)
}

// conversion makes Parquet of records.
type conversion struct {
	tables  Tables
	memory  *limits.Budget
	options convert.Options
	from    convert.Source
}

// open makes the converter for a version of the table, "" the configuration's, and says
// what the error output tells of it.
func (c *conversion) open(s dest.Stream, pinned string) (*convert.Converter, string, error) {
	from := c.from
	if pinned != "" {
		from.VersionID = pinned
	}
	columns, version, err := c.tables.Columns(s, from)
	table := struct {
		CatalogID    string `json:"catalogId"`
		DatabaseName string `json:"databaseName"`
		TableName    string `json:"tableName"`
		Region       string `json:"region"`
		VersionID    string `json:"versionId"`
		CatalogARN   string `json:"catalogArn,omitempty"`
	}{c.from.CatalogID, c.from.DatabaseName, c.from.TableName, c.from.Region, version, ""}
	if table.CatalogID == "" {
		table.CatalogID = s.Account
	}
	shown, e := json.Marshal(table)
	if err != nil || e != nil {
		return nil, string(shown), errors.Join(err, e)
	}
	converter, err := convert.New(c.options, columns)
	return converter, string(shown), err
}

// unconverted rejects all records, when there is no table or none that can be converted
// to; other errors are the delivery's.
func (w *writing) unconverted(err error) (dest.Result, error) {
	failure := &convert.Failure{Code: "DataFormatConversion.UnsupportedSchema", Message: err.Error()}
	switch errs.KindOf(err) {
	case errs.Invalid:
	case errs.NotFound:
		failure = &convert.Failure{Code: "DataFormatConversion.EntityNotFound", Message: "The specified table/database could not be found. " +
			"Please ensure that the table/database exists and that the values provided in the schema configuration are correct, especially with regards to casing."}
	default:
		return dest.Result{}, classify(err, false)
	}
	index := 0
	err = w.batch.Records(w.ctx, func(*dest.Record) error {
		w.reject(index, failure)
		index++
		return nil
	})
	return w.res, err
}

func (w *writing) reject(index int, f *convert.Failure) {
	w.res.Rejected = append(w.res.Rejected, dest.Rejected{Index: index, Type: "format-conversion-failed", Code: f.Code, Message: f.Message,
		Attempts: 1, Fields: map[string]string{"dataCatalogTable": w.table}})
}

var _ packer = (*convert.Writer)(nil)

var _ Tables = (TablesFunc)(nil)

// TablesFunc is Tables as a function.
type TablesFunc func(s dest.Stream, from convert.Source) ([]convert.Column, string, error)

// Columns implements [Tables].
func (f TablesFunc) Columns(s dest.Stream, from convert.Source) ([]convert.Column, string, error) {
	return f(s, from)
}
