package files

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"

	"thalweg/internal/errs"
	"thalweg/internal/vfs"
)

const (
	saltBytes  = 16
	chunkBytes = 64 << 10
	tagBytes   = 16
)

// file is a sealed file: written from its start, then read anywhere.
type file struct {
	f    vfs.File
	dir  *Dir
	name string
	aead cipher.AEAD

	out    []byte // content of the chunk being written
	chunks int64  // that are written
	done   bool   // all is written

	at    int64  // where the next read begins
	in    []byte // content of the chunk that was read last
	which int64  // its number; -1 is none
	raw   []byte
}

func newFile(f vfs.File, key [32]byte) (*file, error) {
	var salt [saltBytes]byte
	_, _ = rand.Read(salt[:]) // never fails
	if _, err := f.WriteAt(salt[:], 0); err != nil {
		return nil, failed("write file for a delivery", err)
	}
	return sealed(f, key, salt)
}

func openFile(f vfs.File, key [32]byte) (*file, error) {
	var salt [saltBytes]byte
	if _, err := f.ReadAt(salt[:], 0); err != nil {
		return nil, errs.Wrap(errs.Corrupt, "open a plan's file", err)
	}
	s, err := sealed(f, key, salt)
	if err == nil {
		s.done = true
	}
	return s, err
}

func sealed(f vfs.File, key [32]byte, salt [saltBytes]byte) (*file, error) {
	derived, err := hkdf.Key(sha256.New, key[:], salt[:], "delivery file", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &file{f: f, aead: aead, which: -1}, nil
}

func nonce(chunk int64) []byte {
	n := make([]byte, 12)
	binary.BigEndian.PutUint64(n[4:], uint64(chunk))
	return n
}

func place(chunk int64) int64 { return saltBytes + chunk*(chunkBytes+tagBytes) }

// Write appends content.
func (s *file) Write(p []byte) (int, error) {
	if s.done {
		return 0, errs.New(errs.Internal, "a file is written that has been read")
	}
	n := len(p)
	for len(p) > 0 {
		room := min(chunkBytes-len(s.out), len(p))
		s.out = append(s.out, p[:room]...)
		p = p[room:]
		if len(s.out) == chunkBytes {
			if err := s.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (s *file) flush() error {
	s.raw = s.aead.Seal(s.raw[:0], nonce(s.chunks), s.out, nil)
	if _, err := s.f.WriteAt(s.raw, place(s.chunks)); err != nil {
		return failed("write file for a delivery", err)
	}
	s.chunks++
	s.out = s.out[:0]
	return nil
}

// end writes the last chunk.
func (s *file) end() error {
	if s.done {
		return nil
	}
	s.done = true
	return s.flush()
}

// Read reads on from where Seek or the last Read ended.
func (s *file) Read(p []byte) (int, error) {
	if err := s.end(); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	chunk := s.at / chunkBytes
	if chunk != s.which {
		if err := s.load(chunk); err != nil {
			return 0, err
		}
	}
	from := s.at % chunkBytes
	if from >= int64(len(s.in)) {
		return 0, io.EOF
	}
	n := copy(p, s.in[from:])
	s.at += int64(n)
	return n, nil
}

func (s *file) load(chunk int64) error {
	if cap(s.raw) < chunkBytes+tagBytes {
		s.raw = make([]byte, chunkBytes+tagBytes)
	}
	raw := s.raw[:chunkBytes+tagBytes]
	n, err := s.f.ReadAt(raw, place(chunk))
	if err != nil && !errors.Is(err, io.EOF) {
		return failed("read file of a delivery", err)
	}
	in, err := s.aead.Open(s.in[:0], nonce(chunk), raw[:n], nil)
	if err != nil {
		s.which = -1
		return errs.Wrap(errs.Corrupt, "read file of a delivery", err)
	}
	s.in, s.which = in, chunk
	return nil
}

// Seek sets where the next Read begins.
func (s *file) Seek(offset int64, whence int) (int64, error) {
	if err := s.end(); err != nil {
		return 0, err
	}
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		size, err := s.f.Size()
		if err != nil {
			return 0, failed("read file of a delivery", err)
		}
		content := size - saltBytes
		offset += content - (content+chunkBytes+tagBytes-1)/(chunkBytes+tagBytes)*tagBytes
	}
	if offset < 0 {
		return 0, errs.New(errs.Invalid, "a file is read before its start")
	}
	s.at = offset
	return offset, nil
}

// Close closes the file.
func (s *file) Close() error { return s.f.Close() }
