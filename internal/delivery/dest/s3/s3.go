package s3

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"thalweg/internal/delivery/compress"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/prefix"
	"thalweg/internal/errs"
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
	S3BackupMode                     string
	S3BackupDescription              json.RawMessage
	DynamicPartitioningConfiguration struct {
		Enabled bool
	}
	DataFormatConversionConfiguration struct {
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

// Spec is the kind of destination that puts objects into store.
func Spec(store Store) dest.Spec {
	return dest.Spec{
		Kind: Kind, ErrorType: "s3-failed", Defaults: defaults,
		Host: func(c dest.Config) string {
			var at config
			_ = json.Unmarshal(c, &at) // it was read when it was checked
			return "s3:" + at.bucket()
		},
		Check: check,
		Open:  func(c dest.Config, e dest.Env) (dest.Destination, error) { return open(store, c, e) },
	}
}

// check refuses what the model's constraints let through.
func check(doc dest.Config) error {
	c, err := read(doc)
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
	case c.DataFormatConversionConfiguration.Enabled && hints.SizeInMBs != nil && *hints.SizeInMBs < 64:
		return invalid("BufferingHints.SizeInMBs must be at least 64 when data format conversion is enabled.")
	case c.DataFormatConversionConfiguration.Enabled && c.CompressionFormat != compress.None:
		return invalid("CompressionFormat must be UNCOMPRESSED when data format conversion is enabled.")
	case c.DynamicPartitioningConfiguration.Enabled && hints.SizeInMBs != nil && *hints.SizeInMBs < 64:
		return invalid("BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled.")
	case c.S3BackupMode == "Enabled" && c.S3BackupDescription == nil:
		return invalid("S3BackupConfiguration can't be null when S3BackupMode is Enabled")
	}
	_, err = c.names()
	return err
}

func invalid(text string) error { return errs.New(errs.Invalid, text) }

// bucketDest delivers to one bucket.
type bucketDest struct {
	store Store
	env   dest.Env
	c     config
	names *prefix.Names
}

func open(store Store, doc dest.Config, e dest.Env) (*bucketDest, error) {
	c, err := read(doc)
	if err != nil {
		return nil, err
	}
	if c.DataFormatConversionConfiguration.Enabled {
		return nil, errs.New(errs.Unsupported, "Data format conversion is not supported by this server.")
	}
	names, err := c.names()
	if err != nil {
		return nil, err
	}
	return &bucketDest{store: store, env: e, c: c, names: names}, nil
}

// classify is what a failed put means to the engine. touched tells that an object of
// the batch is there already.
func classify(err error, touched bool) error {
	var known *dest.Error
	switch {
	case errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, objstore.ErrNoBucket):
		return &dest.Error{Code: "S3.NoSuchBucket", Message: "The specified bucket does not exist.", Untouched: !touched, Err: err}
	}
	return &dest.Error{Code: "S3.InternalError", Message: "The object could not be put.", Err: err}
}
