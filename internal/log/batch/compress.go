package batch

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"thalweg/internal/errs"
)

// Compression codecs, the low three attribute bits.
const (
	codecGzip   = 1
	codecSnappy = 2
	codecLZ4    = 3
	codecZstd   = 4
)

// ErrTooLarge is a compressed batch whose records are larger than the
// [Decompressor] may make.
var ErrTooLarge error = errs.New(errs.Invalid, "record batch is too large when unpacked")

// Decompressor unpacks compressed batches, never into more than a fixed number
// of bytes. It keeps its buffers and tables for the next batch and is not safe
// for concurrent use.
type Decompressor struct {
	limit int
	out   []byte
	src   bytes.Reader
	gzip  *gzip.Reader
	zstd  *zstd.Decoder

	of    *Unpackers    // whose it is, if anybody's
	large *Decompressor // for what is too large, while it has its turn
}

// NewDecompressor returns one that unpacks to at most limit bytes (at least
// HeaderSize) a batch.
func NewDecompressor(limit int) *Decompressor { return &Decompressor{limit: limit} }

// Decompress returns the whole batch b with its records unpacked: length and
// attributes say so, the checksum is no longer right. The result is b itself
// when it is not compressed, else valid until the next call.
// Errors: ErrMalformed, ErrTooLarge.
func (d *Decompressor) Decompress(b []byte) ([]byte, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return nil, err
	}
	codec := h.Attributes & CompressionMask
	if codec == 0 {
		return b[:h.Size()], nil
	}
	packed := b[HeaderSize:h.Size()]
	d.out = append(d.out[:0], b[:HeaderSize]...)
	switch codec {
	case codecGzip:
		err = d.unpackGzip(packed)
	case codecSnappy:
		err = d.unpackSnappy(packed)
	case codecLZ4:
		d.out, err = appendLZ4(d.out, packed, d.limit)
	case codecZstd:
		err = d.unpackZstd(packed)
	default:
		err = ErrMalformed
	}
	switch {
	case d.tooLarge(err):
		return d.escalate(b)
	case err != nil:
		return nil, err
	}
	binary.BigEndian.PutUint32(d.out[posLength:], uint32(len(d.out)-12))
	binary.BigEndian.PutUint16(d.out[posAttributes:], uint16(h.Attributes&^CompressionMask))
	return d.out, nil
}

func (d *Decompressor) unpackGzip(packed []byte) (err error) {
	d.src.Reset(packed)
	if d.gzip == nil {
		d.gzip, err = gzip.NewReader(&d.src)
	} else {
		err = d.gzip.Reset(&d.src)
	}
	if err != nil {
		return ErrMalformed
	}
	return d.readAll(d.gzip)
}

func (d *Decompressor) unpackZstd(packed []byte) (err error) {
	d.src.Reset(packed)
	if d.zstd == nil {
		d.zstd, err = zstd.NewReader(&d.src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(uint64(max(d.limit, 1<<20))))
	} else {
		err = d.zstd.Reset(&d.src)
	}
	if err != nil {
		return ErrMalformed
	}
	return d.readAll(d.zstd)
}

// readAll appends what r gives to out, up to the limit.
func (d *Decompressor) readAll(r io.Reader) error {
	for {
		if len(d.out) > d.limit {
			return ErrTooLarge
		}
		d.out = extend(d.out, 4096)
		d.out = d.out[:len(d.out)-4096]
		room := d.out[len(d.out):cap(d.out)]
		n, err := r.Read(room)
		d.out = d.out[:len(d.out)+n]
		switch err {
		case nil:
		case io.EOF:
			if len(d.out) > d.limit {
				return ErrTooLarge
			}
			return nil
		case zstd.ErrDecoderSizeExceeded, zstd.ErrWindowSizeExceeded:
			return ErrTooLarge
		default:
			return ErrMalformed
		}
	}
}

// xerial is the framing that Java clients put around snappy blocks: this magic,
// two version words, then blocks, each after its length (4 bytes, big-endian).
const (
	xerialMagic  = "\x82SNAPPY\x00"
	xerialHeader = 16
)

func (d *Decompressor) unpackSnappy(packed []byte) error {
	if len(packed) < xerialHeader || string(packed[:len(xerialMagic)]) != xerialMagic {
		return d.unpackSnappyBlock(packed)
	}
	for rest := packed[xerialHeader:]; len(rest) > 0; {
		if len(rest) < 4 {
			return ErrMalformed
		}
		n := int64(binary.BigEndian.Uint32(rest))
		if n > int64(len(rest)-4) {
			return ErrMalformed
		}
		if err := d.unpackSnappyBlock(rest[4 : 4+n]); err != nil {
			return err
		}
		rest = rest[4+n:]
	}
	return nil
}

func (d *Decompressor) unpackSnappyBlock(block []byte) error {
	n, err := snappy.DecodedLen(block)
	if err != nil {
		return ErrMalformed
	}
	at := len(d.out)
	if n > d.limit-at {
		return ErrTooLarge
	}
	d.out = extend(d.out, n)
	got, err := snappy.Decode(d.out[at:], block)
	if err != nil || len(got) != n {
		return ErrMalformed
	}
	return nil
}
