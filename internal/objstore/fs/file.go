package fs

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"time"

	"thalweg/internal/errs"
	"thalweg/internal/objstore"
	"thalweg/internal/vfs"
)

// A file of an object or of a part holds its bytes, then a checksum of each block of
// them, then what it is (JSON), then a tail of fixed length. docs/formats/objects.md
// draws it.

const (
	blockLen  = 1 << 20
	bufferLen = 64 << 10 // divides blockLen
	tailLen   = 32
	version   = 1
	magic     = "thalwobj"

	// maxHead bounds the JSON: a key, the headers that a request can carry, and the
	// sizes of all parts.
	maxHead = 512 << 10
	// nearEnd is read at once: the tail with all before it, nearly always.
	nearEnd = 4 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// head is what the JSON says.
type head struct {
	Key      string            `json:"key"`
	ETag     string            `json:"etag"`
	Modified int64             `json:"modified"` // Unix milliseconds
	Headers  objstore.Headers  `json:"headers"`
	Checksum objstore.Checksum `json:"checksum"`
	Parts    []int64           `json:"parts,omitempty"`
}

func (h *head) info(size int64) objstore.Info {
	return objstore.Info{Key: h.Key, Size: size, ETag: h.ETag, Modified: time.UnixMilli(h.Modified).UTC(), Headers: h.Headers,
		Checksum: h.Checksum, Parts: h.Parts}
}

// writer writes one such file.
type writer struct {
	f      vfs.File
	grow   func(n int64) error // asked before the file grows
	size   int64
	sums   []byte
	block  uint32 // checksum of the block under way
	md5    hash.Hash
	kind   objstore.Algorithm
	sum    hash.Hash
	buffer []byte
}

func newWriter(f vfs.File, kind objstore.Algorithm, grow func(int64) error) *writer {
	if kind == 0 {
		kind = objstore.CRC64NVME
	}
	return &writer{f: f, grow: grow, md5: md5.New(), kind: kind, sum: kind.New(), buffer: make([]byte, bufferLen)}
}

// readFrom writes what body holds up to its end. It is called once.
func (w *writer) readFrom(body io.Reader) error {
	for {
		n := 0
		var err error
		for n < len(w.buffer) && err == nil { // io.ReadFull hides how a body ended
			var m int
			m, err = body.Read(w.buffer[n:])
			n += m
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n > 0 {
			if err := w.write(w.buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

func (w *writer) write(p []byte) error {
	if err := w.grow(int64(len(p))); err != nil {
		return err
	}
	if _, err := w.f.WriteAt(p, w.size); err != nil {
		return failed("write object", err)
	}
	w.md5.Write(p)
	w.sum.Write(p)
	w.block = crc32.Update(w.block, castagnoli, p)
	if w.size += int64(len(p)); w.size%blockLen == 0 {
		w.endBlock()
	}
	return nil
}

func (w *writer) endBlock() {
	w.sums = binary.LittleEndian.AppendUint32(w.sums, w.block)
	w.block = 0
}

func (w *writer) etag() string { return hex.EncodeToString(w.md5.Sum(nil)) }

func (w *writer) checksum() objstore.Checksum { return objstore.Sum(w.kind, w.sum) }

// finish writes what follows the bytes and makes the file durable.
func (w *writer) finish(h *head) error {
	if w.size%blockLen != 0 {
		w.endBlock()
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if len(text) > maxHead {
		return errs.New(errs.Invalid, "the object's headers are too long")
	}
	end := append(w.sums, text...)
	end = append(end, magic...)
	end = binary.LittleEndian.AppendUint32(end, version)
	end = binary.LittleEndian.AppendUint32(end, uint32(len(text)))
	end = binary.LittleEndian.AppendUint64(end, uint64(w.size))
	end = binary.LittleEndian.AppendUint32(end, crc32.Checksum(end, castagnoli))
	end = binary.LittleEndian.AppendUint32(end, 0)
	if err := w.grow(int64(len(end))); err != nil {
		return err
	}
	_, err = w.f.WriteAt(end, w.size)
	if err == nil {
		err = w.f.Sync()
	}
	if err != nil {
		return failed("write object", err)
	}
	return nil
}

// file is such a file, open for reading.
type file struct {
	f    vfs.File
	size int64
	sums []byte
	head head
}

func damaged(what string) error { return errs.New(errs.Corrupt, "stored object is damaged: "+what) }

// readFile reads what stands behind the bytes and checks it.
func readFile(f vfs.File) (*file, error) {
	total, err := f.Size()
	if err != nil {
		return nil, err
	}
	end, err := lastBytes(f, total, min(nearEnd, total))
	if err != nil {
		return nil, err
	}
	if len(end) < tailLen || string(end[len(end)-tailLen:][:len(magic)]) != magic {
		return nil, damaged("it has no end")
	}
	tail := end[len(end)-tailLen:]
	if v := binary.LittleEndian.Uint32(tail[8:]); v != version {
		return nil, damaged("its version is not known")
	}
	textLen, size := int64(binary.LittleEndian.Uint32(tail[12:])), int64(binary.LittleEndian.Uint64(tail[16:]))
	if size < 0 || size > total || textLen > maxHead {
		return nil, damaged("its end is wrong")
	}
	sumsLen := (size + blockLen - 1) / blockLen * 4
	if size+sumsLen+textLen+tailLen != total {
		return nil, damaged("its length is wrong")
	}
	if want := total - size; want > int64(len(end)) {
		if end, err = lastBytes(f, total, want); err != nil {
			return nil, err
		}
	} else {
		end = end[int64(len(end))-want:]
	}
	checked, zero := end[:len(end)-8], end[len(end)-4:]
	if binary.LittleEndian.Uint32(zero) != 0 || crc32.Checksum(checked, castagnoli) != binary.LittleEndian.Uint32(end[len(checked):]) {
		return nil, damaged("the checksum of its end is wrong")
	}
	o := &file{f: f, size: size, sums: end[:sumsLen]}
	if err := json.Unmarshal(end[sumsLen:sumsLen+textLen], &o.head); err != nil {
		return nil, damaged("its end cannot be read")
	}
	return o, nil
}

func lastBytes(f vfs.File, total, n int64) ([]byte, error) {
	b := make([]byte, n)
	if got, err := f.ReadAt(b, total-n); int64(got) < n {
		return nil, errors.Join(io.ErrUnexpectedEOF, err)
	}
	return b, nil
}

func (o *file) info() objstore.Info { return o.head.info(o.size) }

// open returns a reader of n bytes from off, which both lie within the object.
func (o *file) open(off, n int64) *reader {
	return &reader{o: o, at: off - off%blockLen, off: off, end: off + n, buffer: make([]byte, bufferLen)}
}

// reader gives a range of an object's bytes. It reads whole blocks, and holds the
// last piece of each back until the block's checksum is known to be right.
type reader struct {
	o        *file
	at       int64 // where the next piece is read
	off, end int64 // what is still to be given
	block    uint32
	buffer   []byte
	piece    []byte // of buffer
	err      error
}

func (r *reader) Read(p []byte) (int, error) {
	for len(r.piece) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.off >= r.end {
			return 0, io.EOF
		}
		if r.err = r.fill(); r.err != nil {
			return 0, r.err
		}
	}
	n := copy(p, r.piece)
	r.piece = r.piece[n:]
	r.off += int64(n)
	return n, nil
}

// fill reads the next piece, and the rest of the block where the piece is the last
// that is wanted of it.
func (r *reader) fill() error {
	for {
		start := r.at
		b, err := r.next()
		if err != nil {
			return err
		}
		from, to := max(r.off, start)-start, min(r.end, r.at)-start
		if from >= to {
			continue // before what is wanted
		}
		if r.at >= r.end { // kept apart: what is read to check it takes the buffer
			b = append([]byte(nil), b[:to]...)
			for r.at < r.o.size && r.at%blockLen != 0 {
				if _, err := r.next(); err != nil {
					return err
				}
			}
		}
		r.piece = b[from:to]
		return nil
	}
}

// next reads a buffer's length at r.at and checks the block that ends there.
func (r *reader) next() ([]byte, error) {
	b := r.buffer[:min(bufferLen, r.o.size-r.at)]
	if n, err := r.o.f.ReadAt(b, r.at); n < len(b) {
		return nil, errors.Join(io.ErrUnexpectedEOF, err)
	}
	r.block = crc32.Update(r.block, castagnoli, b)
	i := r.at / blockLen
	r.at += int64(len(b))
	if r.at%blockLen == 0 || r.at == r.o.size {
		if r.block != binary.LittleEndian.Uint32(r.o.sums[4*i:]) {
			return nil, damaged("the checksum of its bytes is wrong")
		}
		r.block = 0
	}
	return b, nil
}

// Close closes the file.
func (r *reader) Close() error { return r.o.f.Close() }
