package batch

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Compressor packs the records of batches. It keeps its buffers and tables for
// the next batch and is not safe for concurrent use. The zero value is ready.
type Compressor struct {
	out  bytes.Buffer
	gzip *gzip.Writer
	lz4  *lz4.Writer
	zstd *zstd.Encoder
	raw  []byte
}

// zstdWindow bounds the memory of a zstd encoder, and of whoever unpacks.
const zstdWindow = 1 << 20

// Compress returns the whole uncompressed batch b with its records packed by
// codec, one of the values under [CompressionMask]: length, attributes and
// checksum say so. The result is b itself for codec 0, else valid until the next
// call. Errors: ErrMalformed.
func (c *Compressor) Compress(b []byte, codec int16) ([]byte, error) {
	h, err := ParseHeader(b)
	if err != nil || h.Attributes&CompressionMask != 0 {
		return nil, ErrMalformed
	}
	if codec == 0 {
		return b, nil
	}
	c.out.Reset()
	c.out.Write(b[:HeaderSize])
	if err := c.pack(b[HeaderSize:h.Size()], codec); err != nil {
		return nil, err
	}
	out := c.out.Bytes()
	binary.BigEndian.PutUint32(out[posLength:], uint32(len(out)-12))
	binary.BigEndian.PutUint16(out[posAttributes:], uint16(h.Attributes|codec))
	SetCRC(out)
	return out, nil
}

func (c *Compressor) pack(records []byte, codec int16) (err error) {
	switch codec {
	case codecGzip:
		if c.gzip == nil {
			c.gzip = gzip.NewWriter(&c.out)
		}
		c.gzip.Reset(&c.out)
		return writeAll(c.gzip, records)
	case codecSnappy:
		c.raw = snappy.Encode(c.raw[:cap(c.raw)], records)
		_, err = c.out.Write(c.raw)
		return err
	case codecLZ4:
		if c.lz4 == nil {
			c.lz4 = lz4.NewWriter(&c.out)
		}
		c.lz4.Reset(&c.out)
		return writeAll(c.lz4, records)
	case codecZstd:
		if c.zstd == nil {
			c.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow), zstd.WithZeroFrames(true))
			if err != nil {
				return err
			}
		}
		c.raw = c.zstd.EncodeAll(records, c.raw[:0])
		_, err = c.out.Write(c.raw)
		return err
	}
	return ErrMalformed
}

// writeAll writes a whole stream.
func writeAll(w io.WriteCloser, p []byte) error {
	if _, err := w.Write(p); err != nil {
		return err
	}
	return w.Close()
}
