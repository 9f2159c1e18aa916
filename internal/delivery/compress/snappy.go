package compress

import (
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/snappy"
)

// snappyBlock is snappy-java's default; the last block is smaller.
const snappyBlock = 32 << 10

// snappyHead is a stream of snappy-java: magic, version, and the lowest version
// that reads it, both 1.
const snappyHead = "\x82SNAPPY\x00" + "\x00\x00\x00\x01" + "\x00\x00\x00\x01"

// A stream of snappy-java is the head, and for every block
//
//	compressed length, 4 bytes, big endian | block
//
// Hadoop has no head, and for every block
//
//	length, 4 bytes, big endian | compressed length, 4 bytes, big endian | block
type snappyWriter struct {
	to     io.Writer
	hadoop bool
	begun  bool
	in     []byte // less than a block
	out    []byte
}

func newSnappy(w io.Writer, hadoop bool) io.WriteCloser {
	return &guard{to: &snappyWriter{to: w, hadoop: hadoop, in: make([]byte, 0, snappyBlock)}}
}

func (s *snappyWriter) Write(p []byte) (n int, err error) {
	n = len(p)
	for len(s.in)+len(p) >= snappyBlock {
		rest := snappyBlock - len(s.in)
		block := p[:rest]
		if len(s.in) > 0 {
			block = append(s.in, block...)
		}
		if err := s.block(block); err != nil {
			return n - len(p), err
		}
		s.in, p = s.in[:0], p[rest:]
	}
	s.in = append(s.in, p...)
	return n, nil
}

// Close writes what is left. A stream of snappy-java without a byte is its head.
func (s *snappyWriter) Close() error {
	if len(s.in) == 0 && (s.hadoop || s.begun) {
		return nil
	}
	return s.block(s.in)
}

// block writes one block, and the head before the first.
func (s *snappyWriter) block(in []byte) error {
	out := s.out[:0]
	if !s.begun && !s.hadoop {
		out = append(out, snappyHead...)
	}
	s.begun = true
	if len(in) > 0 {
		if s.hadoop {
			out = binary.BigEndian.AppendUint32(out, uint32(len(in)))
		}
		at := len(out) + 4
		if want := at + snappy.MaxEncodedLen(len(in)); cap(out) < want {
			out = append(make([]byte, 0, want), out...)
		}
		compressed := snappy.Encode(out[at:cap(out)], in)
		out = binary.BigEndian.AppendUint32(out, uint32(len(compressed)))
		out = out[:at+len(compressed)]
	}
	s.out = out
	_, err := s.to.Write(out)
	return err
}
