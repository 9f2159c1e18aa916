package s3

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"thalweg/internal/delivery/compress"
	"thalweg/internal/delivery/convert"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/prefix"
	"thalweg/internal/errs"
	"thalweg/internal/limits"
	"thalweg/internal/objstore"
)

// Kind is this kind's name; the legacy S3 configuration is kept as one of it.
const Kind = "ExtendedS3"

// defaults are what AWS describes of what a creator did not say (recorded from AWS).
const defaults = `{
	"BufferingHints": {"IntervalInSeconds": 300, "SizeInMBs": 5},
	"CloudWatchLoggingOptions": {"Enabled": false},
	"CompressionFormat": "UNCOMPRESSED",
	"DataFormatConversionConfiguration": {"Enabled": false},
	"EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
	"ProcessingConfiguration": {"Enabled": false, "Processors": []},
	"S3BackupMode": "Disabled"
}`

// defaultsFor has larger buffers where AWS asks for 64 MiB at least.
func defaultsFor(doc dest.Config) string {
	var c config
	_, _, converts, err := convert.Read(doc)
	if json.Unmarshal(doc, &c) == nil && (err != nil || converts || c.DynamicPartitioningConfiguration.Enabled) {
		return strings.Replace(defaults, `"SizeInMBs": 5}`, `"SizeInMBs": 128}`, 1)
	}
	return defaults
}

// config is what this package reads of a configuration.
type config struct {
	RoleARN        string
	BucketARN      string
	Prefix         string
	BufferingHints struct {
		SizeInMBs, IntervalInSeconds *int
	}
	ErrorOutputPrefix                string
	CompressionFormat                compress.Format
	CustomTimeZone                   string
	FileExtension                    string
	KeyTemplate                      string // of a channel, instead of prefix and name
	S3BackupMode                     string
	S3BackupDescription              json.RawMessage
	DynamicPartitioningConfiguration struct {
		Enabled bool
	}
}

func read(c dest.Config) (out config, err error) {
	if err := json.Unmarshal(c, &out); err != nil {
		return out, errs.Wrap(errs.Corrupt, "read S3 configuration", err)
	}
	return out, nil
}

func (c *config) bucket() string { return c.BucketARN[strings.LastIndexByte(c.BucketARN, ':')+1:] }

func (c *config) names() (*prefix.Names, error) {
	return prefix.Compile(prefix.Config{
		Prefix: c.Prefix, ErrorOutputPrefix: c.ErrorOutputPrefix, CustomTimeZone: c.CustomTimeZone,
		Dynamic: c.DynamicPartitioningConfiguration.Enabled,
	})
}

// Spec is the kind of destination that puts objects into store. Conversions take their
// columns from tables, and draw what they take on memory, which may be nil.
func Spec(store Store, tables Tables, memory *limits.Budget) dest.Spec {
	return dest.Spec{
		Kind: Kind, ErrorType: "s3-failed", Defaults: defaults, DefaultsFor: defaultsFor,
		Host: func(c dest.Config) string {
			var at config
			_ = json.Unmarshal(c, &at) // it was read when it was checked
			return "s3:" + at.bucket()
		},
		Check: check,
		Open: func(c dest.Config, e dest.Env) (dest.Destination, error) {
			return open(store, &conversion{tables: tables, memory: memory}, c, e)
		},
		Pin: func(doc dest.Config, e dest.Env) (string, error) {
			_, from, converts, err := convert.Read(doc)
			if err != nil || !converts {
				return "", err
			}
			_, version, err := tables.Columns(e.Stream, from)
			if kind := errs.KindOf(err); kind == errs.NotFound || kind == errs.Invalid {
				return "", nil // the records will be rejected for it
			}
			return version, err
		},
		Try: func(c dest.Config, e dest.Env) (dest.Destination, error) {
			return open(nowhere{}, &conversion{tables: tables, memory: memory}, c, e)
		},
	}
}

// check refuses what the model's constraints let through.
func check(doc dest.Config) error {
	c, err := read(doc)
	if err != nil {
		return err
	}
	_, _, converts, err := convert.Read(doc)
	if err != nil {
		return err
	}
	hints := c.BufferingHints
	switch {
	case c.RoleARN == "":
		return invalid("RoleARN can't be null")
	case c.BucketARN == "":
		return invalid("BucketARN can't be null")
	case (hints.SizeInMBs == nil) != (hints.IntervalInSeconds == nil):
		return invalid("BufferingHints.SizeInMBs and BufferingHints.IntervalInSeconds must both be specified")
	case converts && hints.SizeInMBs != nil && *hints.SizeInMBs < 64:
		return invalid("BufferingHints.SizeInMBs must be at least 64 when data format conversion is enabled.")
	case c.DynamicPartitioningConfiguration.Enabled && hints.SizeInMBs != nil && *hints.SizeInMBs < 64:
		return invalid("BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled.")
	case c.S3BackupMode == "Enabled" && c.S3BackupDescription == nil:
		return invalid("S3BackupConfiguration can't be null when S3BackupMode is Enabled")
	}
	if _, err := prefix.CompileTemplate(c.KeyTemplate); err != nil {
		return err
	}
	_, err = c.names()
	return err
}

func invalid(text string) error { return errs.New(errs.Invalid, text) }

// bucketDest delivers to one bucket.
type bucketDest struct {
	store    Store
	env      dest.Env
	c        config
	names    *prefix.Names
	template prefix.Template // of a channel's keys; nil is none
	// conversion is of the records; nil is none.
	conversion *conversion
}

func open(store Store, conv *conversion, doc dest.Config, e dest.Env) (*bucketDest, error) {
	c, err := read(doc)
	if err != nil {
		return nil, err
	}
	names, err := c.names()
	if err != nil {
		return nil, err
	}
	template, err := prefix.CompileTemplate(c.KeyTemplate)
	if err != nil {
		return nil, err
	}
	d := &bucketDest{store: store, env: e, c: c, names: names, template: template}
	var converts bool
	if conv.options, conv.from, converts, err = convert.Read(doc); converts {
		d.conversion = conv
	}
	return d, err
}

// classify is what a failed put means to the engine. touched tells that an object of
// the batch is there already.
func classify(err error, touched bool) error {
	var known *dest.Error
	switch {
	case errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, objstore.ErrOwner):
		return &dest.Error{Code: "S3.AccessDenied", Message: "The bucket belongs to another account.", Untouched: !touched, Err: err}
	case errors.Is(err, objstore.ErrNoBucket):
		return &dest.Error{Code: "S3.NoSuchBucket", Message: "The specified bucket does not exist.", Untouched: !touched, Err: err}
	}
	return &dest.Error{Code: "S3.InternalError", Message: "The object could not be put.", Err: err}
}
