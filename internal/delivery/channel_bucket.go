package delivery

import (
	"encoding/json"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/process"
)

// BucketKind is the kind of destination that is a bucket.
const BucketKind = s3Kind

// channelMiB is how much a channel's objects have before they are compressed, if so much
// comes in time.
const channelMiB = 128

// What a channel lets pass.
const (
	AnyRecord  = ""
	JSONRecord = "JSON"
	TextRecord = "STRING"
)

// ChannelBucket is where a channel delivers to.
type ChannelBucket struct {
	RoleARN, BucketARN string
	// Template is that of the objects' keys, in which the channel is named already.
	Template string
	// Compression is NONE, GZIP or ZSTD.
	Compression string
	// Record is AnyRecord, JSONRecord or TextRecord. Records of the latter two stand on
	// lines of their own, and what is none goes to the dead letters.
	Record string
	// FreshnessSeconds is how old a record may become before it is delivered.
	FreshnessSeconds int
	// DeadARN is the bucket of dead letters, DeadPrefix what their keys begin with.
	DeadARN, DeadPrefix string
}

// Config is the configuration of that destination: the description of a bucket, as delivery
// streams have it, with a template instead of a prefix and another bucket for what fails.
func (b *ChannelBucket) Config() (dest.Config, error) {
	type parameter struct{ ParameterName, ParameterValue string }
	type processor struct {
		Type       string
		Parameters []parameter
	}
	stages := []processor{}
	if b.Record != AnyRecord {
		stages = []processor{
			{process.RecordValidation, []parameter{{"Format", b.Record}}},
			{"AppendDelimiterToRecord", []parameter{{"Delimiter", `\n`}}},
		}
	}
	compression := b.Compression
	if compression == "NONE" {
		compression = "UNCOMPRESSED"
	}
	return json.Marshal(map[string]any{
		"RoleARN": b.RoleARN, "BucketARN": b.BucketARN, "KeyTemplate": b.Template, "CompressionFormat": compression,
		"BufferingHints":           map[string]any{"SizeInMBs": channelMiB, "IntervalInSeconds": b.FreshnessSeconds},
		"ProcessingConfiguration":  map[string]any{"Enabled": len(stages) > 0, "Processors": stages},
		"S3DestinationDescription": map[string]any{"RoleARN": b.RoleARN, "BucketARN": b.DeadARN, "Prefix": b.DeadPrefix, "ErrorOutputPrefix": b.DeadPrefix},
	})
}

// WithFreshness is a configuration of Config with another freshness.
func WithFreshness(c dest.Config, seconds int) (dest.Config, error) {
	patch, err := json.Marshal(map[string]any{"BufferingHints": map[string]any{"IntervalInSeconds": seconds}})
	if err != nil {
		return nil, err
	}
	return Merge(c, patch, nil)
}
