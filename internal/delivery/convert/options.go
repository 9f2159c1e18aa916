package convert

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
)

// Options are how records are read and Parquet is written.
type Options struct {
	// Hive is the deserializer: Hive's, else OpenX's. Millis is its format of times.
	Hive, Millis bool
	// CaseSensitive keeps the case of members' names; DotsToUnderscores replaces dots in
	// them. Keys are, by column, the members that are not named as it is.
	CaseSensitive, DotsToUnderscores bool
	Keys                             map[string]string

	Compression          string // SNAPPY, GZIP, UNCOMPRESSED
	Dictionary, V2       bool
	BlockSize, PageBytes int

	iceberg bool // the table is one of Iceberg's
}

func (o *Options) key(column string) string {
	for name, key := range o.Keys {
		if strings.EqualFold(name, column) {
			if !o.CaseSensitive {
				return strings.ToLower(key)
			}
			return key
		}
	}
	return column
}

// pageSize is AWS's default or less, so small that one of each column fits the bound.
func (o *Options) pageSize(columns int) int {
	size := min(1<<20, max(pages/columns, 16<<10))
	if o.PageBytes == 0 {
		return size
	}
	return min(o.PageBytes, size)
}

func (o *Options) rowGroup() int {
	if o.BlockSize == 0 {
		return rowGroup
	}
	return min(o.BlockSize, rowGroup)
}

// Source is where a conversion's schema is.
type Source struct {
	CatalogID, DatabaseName, TableName, Region, VersionID, RoleARN string
}

// configuration is a DataFormatConversionConfiguration.
type configuration struct {
	Enabled                  *bool
	InputFormatConfiguration struct {
		Deserializer *struct {
			OpenXJsonSerDe *struct {
				CaseInsensitive                    *bool
				ConvertDotsInJsonKeysToUnderscores bool
				ColumnToJsonKeyMappings            map[string]string
			}
			HiveJsonSerDe *struct{ TimestampFormats []string }
		}
	}
	OutputFormatConfiguration struct {
		Serializer *struct {
			ParquetSerDe *struct {
				BlockSizeBytes, PageSizeBytes int
				Compression                   string
				EnableDictionaryCompression   bool
				MaxPaddingBytes               int
				WriterVersion                 string
			}
			OrcSerDe *json.RawMessage
		}
	}
	SchemaConfiguration struct {
		CatalogID    string `json:"CatalogId"`
		DatabaseName string
		TableName    string
		Region       string
		VersionID    string `json:"VersionId"`
		RoleARN      string
	}
}

// Read reads the conversion of an S3 destination's description; on tells whether there
// is one that is enabled. Its errors are of kind Invalid.
func Read(c dest.Config) (o Options, from Source, on bool, err error) {
	var all struct {
		DataFormatConversionConfiguration *configuration
		CompressionFormat                 string
	}
	if err := json.Unmarshal(c, &all); err != nil {
		return o, from, false, errs.Wrap(errs.Invalid, "read the format conversion", err)
	}
	f := all.DataFormatConversionConfiguration
	if f == nil || f.Enabled != nil && !*f.Enabled {
		return o, from, false, nil
	}
	if all.CompressionFormat != "" && all.CompressionFormat != "UNCOMPRESSED" {
		return o, from, false, invalid("CompressionFormat must be UNCOMPRESSED when data format conversion is enabled.")
	}
	if o, err = f.options(); err != nil {
		return o, from, false, err
	}
	from = Source(f.SchemaConfiguration)
	if from.DatabaseName == "" || from.TableName == "" {
		return o, from, false, invalid("SchemaConfiguration needs DatabaseName and TableName when data format conversion is enabled.")
	}
	return o, from, true, nil
}

func invalid(message string) error { return errs.New(errs.Invalid, message) }

func (f *configuration) options() (o Options, err error) {
	in, out := f.InputFormatConfiguration.Deserializer, f.OutputFormatConfiguration.Serializer
	switch {
	case in == nil || (in.OpenXJsonSerDe == nil) == (in.HiveJsonSerDe == nil):
		return o, invalid("Deserializer needs one of OpenXJsonSerDe and HiveJsonSerDe when data format conversion is enabled.")
	case out != nil && out.OrcSerDe != nil:
		return o, invalid("OrcSerDe is not supported: this server writes Parquet only.")
	case out == nil || out.ParquetSerDe == nil:
		return o, invalid("Serializer needs ParquetSerDe when data format conversion is enabled.")
	}
	if x := in.OpenXJsonSerDe; x != nil {
		o.CaseSensitive = x.CaseInsensitive != nil && !*x.CaseInsensitive
		o.DotsToUnderscores, o.Keys = x.ConvertDotsInJsonKeysToUnderscores, x.ColumnToJsonKeyMappings
	} else {
		o.Hive = true
		for _, format := range in.HiveJsonSerDe.TimestampFormats {
			if format != "millis" {
				return o, invalid("TimestampFormats " + strconv.Quote(format) + " is not supported: this server knows millis, and yyyy-[m]m-[d]d hh:mm:ss[.f...] without one.")
			}
			o.Millis = true
		}
	}
	p := out.ParquetSerDe
	o.Compression, o.Dictionary, o.V2 = p.Compression, p.EnableDictionaryCompression, p.WriterVersion == "V2"
	o.BlockSize, o.PageBytes = p.BlockSizeBytes, p.PageSizeBytes
	if !slices.Contains([]string{"", "SNAPPY", "GZIP", "UNCOMPRESSED"}, o.Compression) {
		return o, invalid("Compression of ParquetSerDe must be SNAPPY, GZIP or UNCOMPRESSED.")
	}
	return o, nil
}
