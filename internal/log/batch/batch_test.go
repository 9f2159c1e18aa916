package batch_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"thalweg/internal/log/batch"
)

// plain is a record without unexported parts, for comparison.
type plain struct {
	Offset, Timestamp int64
	Key, Value        []byte
	Headers           []header
}

type header struct {
	Key   string
	Value []byte
}

func flatten(r *batch.Record) plain {
	p := plain{Offset: r.Offset, Timestamp: r.Timestamp, Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)}
	for k, v := range r.Headers.All() {
		p.Headers = append(p.Headers, header{string(k), bytes.Clone(v)})
	}
	return p
}

func readAll(t interface{ Fatalf(string, ...any) }, b []byte) []plain {
	it, err := batch.Records(b)
	if err != nil {
		t.Fatalf("records: %v", err)
	}
	var out []plain
	for it.Next() {
		out = append(out, flatten(it.Record()))
	}
	if it.Err() != nil {
		t.Fatalf("iterate: %v", it.Err())
	}
	return out
}

func recordGen() *rapid.Generator[plain] {
	blob := rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 20), rapid.Just([]byte{}),
		rapid.Custom(func(t *rapid.T) []byte {
			return bytes.Repeat([]byte{7}, rapid.IntRange(0, 2000).Draw(t, "len"))
		}))
	return rapid.Custom(func(t *rapid.T) plain {
		p := plain{
			Timestamp: rapid.Int64Range(-1, 1<<45).Draw(t, "time"),
			Key:       blob.Draw(t, "key"),
			Value:     blob.Draw(t, "value"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			p.Headers = append(p.Headers, header{rapid.String().Draw(t, "hk"), blob.Draw(t, "hv")})
		}
		return p
	})
}

func (p plain) record() batch.Record {
	r := batch.Record{Timestamp: p.Timestamp, Key: p.Key, Value: p.Value}
	for _, h := range p.Headers {
		r.Headers = r.Headers.AppendHeader(h.Key, h.Value)
	}
	return r
}

// TestOracle builds batches with the builder and with franz-go's types, and
// wants the same bytes.
func TestOracle(t *testing.T) {
	var b batch.Builder
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(recordGen(), 1, 8).Draw(t, "records")
		b.Reset()
		for i, p := range in {
			r := p.record()
			n := len(r.Value)
			if r.Value == nil {
				n = -1
			}
			want := b.SizeWith(r, n)
			b.Append(r)
			if b.Size() != want {
				t.Fatalf("record %d: size %d, predicted %d", i, b.Size(), want)
			}
		}
		got := b.Finish()
		if want := oracle(in); !bytes.Equal(got, want) {
			t.Fatalf("batch differs:\n got %x\nwant %x", got, want)
		}
		if err := batch.Validate(got, nil); err != nil {
			t.Fatalf("validate: %v", err)
		}
		for i := range in {
			in[i].Offset = int64(i) + 77
		}
		batch.SetBase(got, 77, 5)
		if diff := cmp.Diff(in, readAll(t, got)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// oracle encodes with kmsg.
func oracle(in []plain) []byte {
	var records []byte
	maxTime := in[0].Timestamp
	for i, p := range in {
		maxTime = max(maxTime, p.Timestamp)
		r := kmsg.NewRecord()
		r.TimestampDelta64 = p.Timestamp - in[0].Timestamp
		r.OffsetDelta = int32(i)
		r.Key, r.Value = p.Key, p.Value
		for _, h := range p.Headers {
			r.Headers = append(r.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
		}
		body := r.AppendTo(nil)[1:] // Length 0 is one byte
		records = binary.AppendVarint(records, int64(len(body)))
		records = append(records, body...)
	}
	rb := kmsg.RecordBatch{
		Length: int32(batch.HeaderSize - 12 + len(records)), Magic: 2, LastOffsetDelta: int32(len(in) - 1),
		FirstTimestamp: in[0].Timestamp, MaxTimestamp: maxTime, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		NumRecords: int32(len(in)), Records: records,
	}
	rb.CRC = int32(crc32.Checksum(rb.AppendTo(nil)[21:], batch.Castagnoli))
	return rb.AppendTo(nil)
}

func TestReserveFillsInPlace(t *testing.T) {
	var b batch.Builder
	for i := range 50 {
		v := b.Reserve(batch.Record{Key: []byte("k"), Timestamp: 5}, i*100)
		for j := range v {
			v[j] = byte(i)
		}
	}
	for i, p := range readAll(t, b.Finish()) {
		if !bytes.Equal(p.Value, bytes.Repeat([]byte{byte(i)}, i*100)) {
			t.Fatalf("record %d is damaged", i)
		}
	}
}

func TestNoAllocationPerRecord(t *testing.T) {
	var b batch.Builder
	key, value := []byte("player-1"), make([]byte, 1024)
	fill := func() {
		b.Reset()
		for range 500 {
			copy(b.Reserve(batch.Record{Key: key, Timestamp: 1}, len(value)), value)
		}
		it, err := batch.Records(b.Finish())
		for err == nil && it.Next() {
		}
	}
	fill()
	if n := testing.AllocsPerRun(20, fill); n > 0 {
		t.Errorf("%v allocations for 500 records", n)
	}
}

// pack compresses the records of an uncompressed batch.
func pack(b []byte, codec int16, compress func([]byte) []byte) []byte {
	out := append(bytes.Clone(b[:batch.HeaderSize]), compress(b[batch.HeaderSize:])...)
	binary.BigEndian.PutUint32(out[8:], uint32(len(out)-12))
	binary.BigEndian.PutUint16(out[21:], uint16(codec))
	return fixCRC(out)
}

func fixCRC(b []byte) []byte {
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], batch.Castagnoli))
	return b
}

func compressors(t *testing.T) map[string]struct {
	codec int16
	fn    func([]byte) []byte
} {
	t.Helper()
	type c = struct {
		codec int16
		fn    func([]byte) []byte
	}
	return map[string]c{
		"gzip": {1, func(p []byte) []byte {
			var out bytes.Buffer
			w := gzip.NewWriter(&out)
			w.Write(p)
			w.Close()
			return out.Bytes()
		}},
		"snappy": {2, func(p []byte) []byte { return snappy.Encode(nil, p) }},
		"xerial": {2, func(p []byte) []byte {
			out := append([]byte("\x82SNAPPY\x00"), 0, 0, 0, 1, 0, 0, 0, 1)
			for len(p) > 0 {
				n := min(len(p), 1000)
				block := snappy.Encode(nil, p[:n])
				out = binary.BigEndian.AppendUint32(out, uint32(len(block)))
				out = append(out, block...)
				p = p[n:]
			}
			return out
		}},
		"zstd": {4, func(p []byte) []byte {
			w, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			return w.EncodeAll(p, nil)
		}},
		"lz4 stored": {3, func(p []byte) []byte { return lz4Frame(0x60, lz4Stored(p)) }},
		"lz4 blocks": {3, func(p []byte) []byte {
			half := len(p) / 2
			return lz4Frame(0x60, lz4Literals(p[:half]), lz4Literals(p[half:]))
		}},
	}
}

// lz4Frame puts blocks into a frame with the given flags.
func lz4Frame(flags byte, blocks ...[]byte) []byte {
	out := []byte{0x04, 0x22, 0x4D, 0x18, flags, 0x70, 0}
	for _, b := range blocks {
		out = append(out, b...)
	}
	return append(out, 0, 0, 0, 0)
}

func lz4Stored(p []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(p))|1<<31), p...)
}

// lz4Literals is a compressed block of literals only.
func lz4Literals(p []byte) []byte {
	var b []byte
	n := len(p)
	if n < 15 {
		b = append(b, byte(n)<<4)
	} else {
		b = append(b, 0xF0)
		for n -= 15; n >= 255; n -= 255 {
			b = append(b, 255)
		}
		b = append(b, byte(n))
	}
	b = append(b, p...)
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func sample() []byte {
	var b batch.Builder
	for i := range 40 {
		b.Append(batch.Record{Key: []byte{byte(i)}, Value: bytes.Repeat([]byte("thalweg "), i), Timestamp: int64(i)})
	}
	return bytes.Clone(b.Finish())
}

func TestDecompress(t *testing.T) {
	plainBatch := sample()
	want := readAll(t, plainBatch)
	d := batch.NewDecompressor(1 << 20)
	for name, c := range compressors(t) {
		packed := pack(plainBatch, c.codec, c.fn)
		if _, err := batch.Records(packed); err != batch.ErrCompressed {
			t.Errorf("%s: records of a compressed batch: %v", name, err)
		}
		if err := batch.Validate(packed, d); err != nil {
			t.Errorf("%s: validate: %v", name, err)
		}
		for range 2 { // the second pass reuses the state
			out, err := d.Decompress(packed)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if diff := cmp.Diff(want, readAll(t, out)); diff != "" {
				t.Fatalf("%s: %s", name, diff)
			}
		}
		if _, err := batch.NewDecompressor(len(plainBatch) - 1).Decompress(packed); err != batch.ErrTooLarge {
			t.Errorf("%s: one byte too many: %v", name, err)
		}
		if _, err := batch.NewDecompressor(len(plainBatch)).Decompress(packed); err != nil {
			t.Errorf("%s: exactly enough: %v", name, err)
		}
		for cut := range 40 {
			short := pack(plainBatch, c.codec, func(p []byte) []byte { p = c.fn(p); return p[:max(0, len(p)-1-cut*5)] })
			if err := batch.Validate(short, d); err == nil {
				t.Errorf("%s: cut by %d is valid", name, 1+cut*5)
			}
		}
	}
}

// A match that overlaps its own output: 4 literals, then 12 bytes from 4 back,
// then the literals that must end a block.
func TestLZ4Match(t *testing.T) {
	var b batch.Builder
	b.Append(batch.Record{Value: []byte("abcdabcdabcdabcdXYZZY")})
	raw := bytes.Clone(b.Finish())
	at := bytes.Index(raw, []byte("abcd")) - batch.HeaderSize
	packed := pack(raw, 3, func(p []byte) []byte {
		block := append([]byte{byte(at+4)<<4 | (12 - 4)}, p[:at+4]...)
		block = append(block, 4, 0)
		rest := p[at+16:]
		block = append(append(block, byte(len(rest))<<4), rest...)
		return lz4Frame(0x60, append(binary.LittleEndian.AppendUint32(nil, uint32(len(block))), block...))
	})
	out, err := batch.NewDecompressor(1000).Decompress(packed)
	if err != nil || !bytes.Equal(out[batch.HeaderSize:], raw[batch.HeaderSize:]) {
		t.Fatalf("%v: %x", err, out)
	}
}

func TestBombs(t *testing.T) {
	zeros := make([]byte, 8<<20)
	d := batch.NewDecompressor(1 << 20)
	for _, name := range []string{"gzip", "snappy", "xerial", "zstd"} {
		c := compressors(t)[name]
		bomb := pack(sample(), c.codec, func([]byte) []byte { return c.fn(zeros) })
		if _, err := d.Decompress(bomb); err != batch.ErrTooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidate(t *testing.T) {
	put16 := func(at int, v uint16) func([]byte) { return func(b []byte) { binary.BigEndian.PutUint16(b[at:], v) } }
	put32 := func(at int, v uint32) func([]byte) { return func(b []byte) { binary.BigEndian.PutUint32(b[at:], v) } }
	cases := []struct {
		name, want string
		change     func([]byte)
	}{
		{"untouched", "<nil>", func([]byte) {}},
		{"control", "clients may not write control records", put16(21, 0x20)},
		{"unknown codec", "record batch is malformed", put16(21, 5)},
		{"transactional without producer", "transactional record batch names no producer", put16(21, 0x10)},
		{"producer without epoch", "record batch names a producer without epoch or sequence", func(b []byte) {
			binary.BigEndian.PutUint64(b[43:], 9)
		}},
		{"count below range", "record count does not match the batch's offset range", put32(57, 39)},
		{"no records", "record batch holds no records", put32(57, 0)},
		{"both too low", "record batch is malformed", func(b []byte) { put32(57, 39)(b); put32(23, 38)(b) }},
		{"both too high", "<nil>", func([]byte) {}},
		{"second offset twice", "record offsets of the batch are not consecutive", func(b []byte) {
			n := int(b[batch.HeaderSize]) / 2 // first record's length, one byte
			b[batch.HeaderSize+1+n+3] = 0     // length, attributes, time delta, then the offset delta
		}},
	}
	for _, c := range cases {
		b := sample()
		c.change(b)
		got := "<nil>"
		if err := batch.Validate(fixCRC(b), batch.NewDecompressor(1<<20)); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	b := sample()
	b[len(b)-1] ^= 1
	if err := batch.Validate(b, nil); err == nil {
		t.Error("flipped bit is valid")
	}
	if err := batch.Validate(append(sample(), 0), nil); err == nil {
		t.Error("trailing byte is valid")
	}
}

func FuzzRecords(f *testing.F) {
	f.Add(sample())
	for _, c := range []int16{1, 2, 3, 4} {
		b := sample()
		binary.BigEndian.PutUint16(b[21:], uint16(c))
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 16
		d := batch.NewDecompressor(limit)
		valid := batch.Validate(b, d) == nil
		if len(b) >= batch.HeaderSize { // past the checksum
			if h, err := batch.ParseHeader(b); err == nil {
				valid = batch.Validate(fixCRC(bytes.Clone(b[:h.Size()])), d) == nil
			}
		}
		out, err := d.Decompress(b)
		if err != nil {
			return
		}
		it, err := batch.Records(out)
		if err != nil {
			return
		}
		var re batch.Builder
		for it.Next() {
			r := *it.Record()
			for range r.Headers.All() {
			}
			re.Append(r)
		}
		if valid && it.Err() == nil && re.Count() > 0 {
			if len(re.Finish()) > len(out)*3+limit {
				t.Fatalf("records of %d bytes became %d", len(out), re.Size())
			}
		}
	})
}

func BenchmarkBuilder(b *testing.B) {
	var w batch.Builder
	key, value := []byte("player-1234567"), make([]byte, 1024)
	b.SetBytes(500 * 1024)
	b.ReportAllocs()
	for b.Loop() {
		w.Reset()
		for range 500 {
			copy(w.Reserve(batch.Record{Key: key, Timestamp: 1}, len(value)), value)
		}
		w.Finish()
	}
}

func BenchmarkIterator(b *testing.B) {
	var w batch.Builder
	for range 500 {
		w.Append(batch.Record{Key: []byte("player-1234567"), Value: make([]byte, 1024)})
	}
	raw := w.Finish()
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		it, err := batch.Records(raw)
		if err != nil {
			b.Fatal(err)
		}
		for it.Next() {
		}
	}
}
