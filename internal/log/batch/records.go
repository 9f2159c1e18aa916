package batch

import (
	"encoding/binary"
	"iter"

	"thalweg/internal/errs"
)

// ErrCompressed is a batch whose records must go through a [Decompressor] first.
var ErrCompressed error = errs.New(errs.Unsupported, "record batch is compressed")

// Headers are a record's headers, as encoded. The zero Headers are none.
type Headers struct {
	raw []byte
	n   int32
}

// AppendHeader adds one header to h, in the storage of h when it has room.
func (h Headers) AppendHeader(key string, value []byte) Headers {
	h.raw = binary.AppendVarint(h.raw, int64(len(key)))
	h.raw = append(h.raw, key...)
	h.raw = appendBytes(h.raw, value)
	h.n++
	return h
}

// Reset returns empty headers with the storage of h.
func (h Headers) Reset() Headers { return Headers{raw: h.raw[:0]} }

// Len is the number of headers.
func (h Headers) Len() int { return int(h.n) }

// All yields key and value in order; a null value is nil.
func (h Headers) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		r := reader{b: h.raw}
		for range h.n {
			k, v := r.bytes(), r.bytes()
			if r.bad || !yield(k, v) {
				return
			}
		}
	}
}

// Get returns the value of the first header named key.
func (h Headers) Get(key string) (value []byte, ok bool) {
	r := reader{b: h.raw}
	for range h.n {
		k, v := r.bytes(), r.bytes()
		if r.bad {
			return nil, false
		}
		if string(k) == key {
			return v, true
		}
	}
	return nil, false
}

// Iterator walks the records of one batch. Its zero value holds none.
type Iterator struct {
	r        reader
	left     int32
	base     int64
	baseTime int64
	logTime  bool
	err      error
	rec      Record
}

// Records returns an iterator over the whole uncompressed batch b. It checks the
// header and, as it goes, every length; the checksum it leaves to [CheckCRC].
// Errors: ErrMalformed, ErrCompressed.
func Records(b []byte) (Iterator, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return Iterator{}, err
	}
	if h.Attributes&CompressionMask != 0 {
		return Iterator{}, ErrCompressed
	}
	it := Iterator{
		r: reader{b: b[HeaderSize:h.Size()]}, left: h.Count,
		base: h.BaseOffset, baseTime: h.BaseTimestamp,
	}
	if h.Attributes&TimestampLogTime != 0 {
		it.logTime, it.baseTime = true, h.MaxTimestamp
	}
	return it, nil
}

// Next moves to the next record and reports whether there is one. It ends early
// with an error at the first that is malformed, or when bytes follow the last.
func (it *Iterator) Next() bool {
	if it.err != nil {
		return false
	}
	if it.left <= 0 {
		if len(it.r.b) != 0 {
			it.err = ErrMalformed
		}
		return false
	}
	it.left--
	size := it.r.varint32()
	if it.r.bad || size < 0 || int(size) > len(it.r.b) {
		it.err = ErrMalformed
		return false
	}
	body := reader{b: it.r.b[:size]}
	it.r.b = it.r.b[size:]
	body.byte() // attributes: unused
	delta := body.varint64()
	offset := body.varint32()
	key, value := body.bytes(), body.bytes()
	n := body.varint32()
	raw := body.b
	if n < 0 {
		body.bad = true
	}
	for i := int32(0); i < n && !body.bad; i++ {
		if k := body.bytes(); k == nil {
			body.bad = true
		}
		body.bytes()
	}
	if body.bad || len(body.b) != 0 {
		it.err = ErrMalformed
		return false
	}
	at := it.baseTime
	if !it.logTime {
		at += delta
	}
	it.rec = Record{Offset: it.base + int64(offset), Timestamp: at, Key: key, Value: value, Headers: Headers{raw: raw, n: n}}
	return true
}

// Record is the current record. Its slices point into the batch.
func (it *Iterator) Record() *Record { return &it.rec }

// Err is why the iterator ended before the last record: nil or ErrMalformed.
func (it *Iterator) Err() error { return it.err }

// reader takes fields off the front of b; a field that is not there sets bad.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) varint64() int64 {
	if len(r.b) > 0 && r.b[0] < 0x80 { // one byte: the usual case
		u := r.b[0]
		r.b = r.b[1:]
		return int64(u>>1) ^ -int64(u&1)
	}
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint32() int32 {
	before := len(r.b)
	v := r.varint64()
	if v != int64(int32(v)) || before-len(r.b) > 5 {
		r.bad = true
		return 0
	}
	return int32(v)
}

// bytes reads a length and as many bytes; a length of -1 is null, shown as nil.
func (r *reader) bytes() []byte {
	n := r.varint32()
	if n == -1 && !r.bad {
		return nil
	}
	if r.bad || n < 0 || int(n) > len(r.b) {
		r.bad = true
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}
