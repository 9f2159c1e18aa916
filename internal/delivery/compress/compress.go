// Package compress writes delivered objects as Firehose compresses them.
//
// The first five formats are those of the API's CompressionFormat:
//
//	UNCOMPRESSED   the bytes
//	GZIP           one gzip member without name and time
//	ZIP            an archive of one deflated entry
//	Snappy         the stream of the snappy-java library, not Snappy's own framing
//	HADOOP_SNAPPY  the blocks of Hadoop's SnappyCodec
//	ZSTD           one frame of Zstandard, with its checksum
//
// Source: what AWS delivers, compared byte for byte by floci's FirehoseCompression
// (issue 2328): snappy-java's SnappyOutputStream and SnappyHadoopCompatibleOutputStream
// at their default block size, both with the extension .snappy, though AWS's own
// documents say .hsnappy for the second; Content-Type application/octet-stream for all.
//
// Output is a function of the input alone: neither the time nor how the input was cut
// into writes shows in it, so a delivery that is repeated writes the same object.
// Nothing holds more than one block of the input. A writer is not safe for concurrent
// use; the package keeps no state but pools.
package compress

import (
	"io"
	"slices"
)

// Format is a compression format, as the API spells it.
type Format string

const (
	None         Format = "UNCOMPRESSED"
	GZIP         Format = "GZIP"
	ZIP          Format = "ZIP"
	Snappy       Format = "Snappy"
	HadoopSnappy Format = "HADOOP_SNAPPY"
	// Zstd is of channels only.
	Zstd Format = "ZSTD"
)

// ContentType is that of every delivered object.
const ContentType = "application/octet-stream"

// Parse reads a format; the case counts, as on AWS. Empty is [None].
func Parse(s string) (Format, bool) {
	if s == "" {
		return None, true
	}
	f := Format(s)
	return f, slices.Contains([]Format{None, GZIP, ZIP, Snappy, HadoopSnappy, Zstd}, f)
}

// Extension is what the name of an object ends with, unless its stream has a
// FileExtension.
func (f Format) Extension() string {
	switch f {
	case GZIP:
		return ".gz"
	case ZIP:
		return ".zip"
	case Snappy, HadoopSnappy:
		return ".snappy"
	case Zstd:
		return ".zst"
	}
	return ""
}

// ContentEncoding is the object's Content-Encoding; empty is none.
func (f Format) ContentEncoding() string {
	switch f {
	case GZIP:
		return "gzip"
	case ZIP:
		return "zip"
	case Snappy:
		return "snappy-java"
	case HadoopSnappy:
		return "hadoop-snappy"
	case Zstd:
		return "zstd"
	}
	return ""
}

// NewWriter returns a writer that compresses to w. Only Close makes the output
// whole; it does not close w. After an error, or Close, every call fails. Entry
// names the entry of a ZIP archive; the other formats do not use it.
func (f Format) NewWriter(w io.Writer, entry string) io.WriteCloser {
	switch f {
	case GZIP:
		return newGzip(w)
	case ZIP:
		return newZip(w, entry)
	case Snappy:
		return newSnappy(w, false)
	case HadoopSnappy:
		return newSnappy(w, true)
	case Zstd:
		return newZstd(w)
	}
	return &guard{to: plain{w}}
}
