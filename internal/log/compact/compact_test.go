package compact_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"thalweg/internal/log"
	"thalweg/internal/log/batch"
	"thalweg/internal/log/compact"
)

// rec is a record as the model knows it.
type rec struct {
	offset    int64
	time      int64
	key       string
	keyless   bool
	value     string
	tombstone bool
	producer  int64 // of a transaction, else -1
	aborted   bool
}

// partition is some batches, and what is in them.
type partition struct {
	batches [][]byte
	recs    []rec
	aborted []log.AbortedTxn
	markers map[int64]int64 // producer by offset
	end     int64
}

// add appends a batch of records.
func (p *partition) add(t *rapid.T, producer int64, codec int16, recs []rec) {
	var b batch.Builder
	for i := range recs {
		r := &recs[i]
		r.offset, r.producer = p.end+int64(i), producer
		out := batch.Record{Timestamp: r.time, Key: []byte(r.key)}
		if r.keyless {
			out.Key = nil
		}
		if !r.tombstone {
			out.Value = []byte(r.value)
			out.Headers = out.Headers.AppendHeader("h", []byte(r.value))
		}
		b.Append(out)
	}
	raw := bytes.Clone(b.Finish())
	if producer >= 0 {
		sign(raw, producer, batch.Transactional)
	}
	var c batch.Compressor
	packed, err := c.Compress(raw, codec)
	if err != nil {
		t.Fatal(err)
	}
	packed = bytes.Clone(packed)
	batch.SetBase(packed, p.end, 3)
	p.batches = append(p.batches, packed)
	p.recs = append(p.recs, recs...)
	p.end += int64(len(recs))
}

func sign(b []byte, producer int64, attributes uint16) {
	binary.BigEndian.PutUint16(b[21:], attributes)
	binary.BigEndian.PutUint64(b[43:], uint64(producer))
	binary.BigEndian.PutUint16(b[51:], 1)
	binary.BigEndian.PutUint32(b[53:], 7)
	batch.SetCRC(b)
}

// finish ends the transaction of a producer that began at first.
func (p *partition) finish(producer, first int64, commit bool) {
	key := []byte{0, 0, 0, 0}
	if commit {
		key[3] = 1
	} else {
		p.aborted = append(p.aborted, log.AbortedTxn{ProducerID: producer, FirstOffset: first, LastOffset: p.end})
		for i := range p.recs {
			if r := &p.recs[i]; r.producer == producer && r.offset >= first {
				r.aborted = true
			}
		}
	}
	var b batch.Builder
	b.Append(batch.Record{Timestamp: 1000, Key: key, Value: []byte{0, 0, 0, 0, 0, 0}})
	raw := bytes.Clone(b.Finish())
	sign(raw, producer, batch.Transactional|batch.Control)
	batch.SetBase(raw, p.end, 3)
	p.batches = append(p.batches, raw)
	p.markers[p.end] = producer
	p.end++
}

// draw makes a random partition whose transactions have all ended.
func draw(t *rapid.T) *partition {
	p := &partition{markers: map[int64]int64{}}
	open := map[int64]int64{}
	for range rapid.IntRange(1, 25).Draw(t, "batches") {
		producer := int64(rapid.SampledFrom([]int{-1, -1, 1, 2}).Draw(t, "producer"))
		if first, ok := open[producer]; ok && rapid.Bool().Draw(t, "end") {
			p.finish(producer, first, rapid.Bool().Draw(t, "commit"))
			delete(open, producer)
			continue
		}
		var recs []rec
		for range rapid.IntRange(1, 4).Draw(t, "records") {
			recs = append(recs, rec{
				time: rapid.Int64Range(0, 5000).Draw(t, "time"), key: fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "key")),
				value: rapid.StringN(0, 8, 20).Draw(t, "value"), tombstone: rapid.IntRange(0, 3).Draw(t, "tombstone") == 0,
				keyless: rapid.IntRange(0, 15).Draw(t, "keyless") == 0,
			})
		}
		if _, ok := open[producer]; !ok && producer >= 0 {
			open[producer] = p.end
		}
		p.add(t, producer, int16(rapid.IntRange(0, 4).Draw(t, "codec")), recs)
	}
	for _, producer := range []int64{1, 2} {
		if first, ok := open[producer]; ok {
			p.finish(producer, first, rapid.Bool().Draw(t, "commit"))
		}
	}
	return p
}

// pass compacts p as the log would, with room for so many keys, and forgets the
// aborted transactions whose markers went.
func (p *partition) pass(slots, clean, now, stay int64) (upTo int64) {
	pass := compact.NewPass(compact.NewKeys(slots), clean, now, stay, p.aborted)
	for _, b := range p.batches {
		h, _ := batch.ParseHeader(b)
		if h.BaseOffset+int64(h.LastOffsetDelta) >= pass.UpTo() && !pass.Note(b) {
			break
		}
	}
	var out [][]byte
	for i, b := range p.batches {
		h, _ := batch.ParseHeader(b)
		if h.BaseOffset >= pass.UpTo() {
			out = append(out, b)
			continue
		}
		switch v, c := pass.Filter(b, i == len(p.batches)-1); v {
		case compact.Keep:
			out = append(out, b)
		case compact.Rewrite:
			out = append(out, bytes.Clone(c))
		case compact.Drop:
			p.aborted = slices.DeleteFunc(p.aborted, func(a log.AbortedTxn) bool { return a.LastOffset == h.BaseOffset })
		}
	}
	p.batches = out
	return pass.UpTo()
}

// read returns what is in the batches, as a reader who leaves out aborted
// transactions sees it: it takes a producer's batches as aborted from the first
// offset that it is told to the next abort marker.
func (p *partition) read(t *rapid.T) (recs []rec, markers int) {
	next := int64(0)
	var unpack = batch.NewDecompressor(1 << 20)
	aborting := map[int64]bool{}
	todo := slices.Clone(p.aborted)
	for _, b := range p.batches {
		h, err := batch.ParseHeader(b)
		if err != nil || !batch.CheckCRC(b, h) || h.BaseOffset < next || h.Size() != len(b) {
			t.Fatalf("batch at %d, after %d: %v", h.BaseOffset, next, err)
		}
		next = h.BaseOffset + int64(h.LastOffsetDelta) + 1
		todo = slices.DeleteFunc(todo, func(a log.AbortedTxn) bool {
			if a.FirstOffset <= h.BaseOffset {
				aborting[a.ProducerID] = true
				return true
			}
			return false
		})
		if h.Attributes&batch.Control != 0 {
			delete(aborting, h.ProducerID)
			markers++
			continue
		}
		plain, err := unpack.Decompress(b)
		if err != nil {
			t.Fatal(err)
		}
		it, err := batch.Records(plain)
		if err != nil {
			t.Fatal(err)
		}
		n := int32(0)
		for it.Next() {
			n++
			r := it.Record()
			if h.Attributes&batch.Transactional != 0 && aborting[h.ProducerID] {
				continue
			}
			got := rec{offset: r.Offset, time: r.Timestamp, key: string(r.Key), keyless: r.Key == nil, value: string(r.Value), tombstone: r.Value == nil}
			if v, ok := r.Headers.Get("h"); ok != !got.tombstone || string(v) != got.value {
				t.Fatalf("headers of the record at %d are gone", r.Offset)
			}
			recs = append(recs, got)
		}
		if it.Err() != nil || n != h.Count {
			t.Fatalf("batch at %d: %d records of %d, %v", h.BaseOffset, n, h.Count, it.Err())
		}
	}
	if next != p.end {
		t.Fatalf("batches end at %d, want %d", next, p.end)
	}
	return recs, markers
}

// TestModel compacts random partitions, several times as time goes by, and holds
// what a reader then sees against what was appended.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := draw(t)
		last := map[string]rec{}
		all := map[int64]rec{}
		for _, r := range p.recs {
			all[r.offset] = r
			if !r.aborted && !r.keyless {
				last[r.key] = r
			}
		}
		slots := rapid.Int64Range(8, 12).Draw(t, "slots")
		stay := rapid.Int64Range(0, 100).Draw(t, "stay")
		clean, now, over := int64(0), int64(10_000), false
		var recs []rec
		for round := range 12 {
			clean = p.pass(slots, clean, now, stay)
			now += stay + 1
			over = round > 8
			var markers int
			recs, markers = p.read(t)
			if over && markers > 1 && len(recs) == 0 {
				t.Fatalf("%d markers stay of nothing", markers)
			}
			held := map[string]bool{}
			for _, r := range recs {
				w := all[r.offset]
				if w.aborted || w.key != r.key && !w.keyless || w.time != r.time || w.value != r.value && !w.tombstone || w.tombstone != r.tombstone {
					t.Fatalf("round %d: %+v at %d, want %+v", round, r, r.offset, w)
				}
				if r.offset < clean && (r.keyless || last[r.key].offset < clean && last[r.key].offset != r.offset) {
					t.Fatalf("round %d: %+v should be gone, compacted up to %d", round, r, clean)
				}
				held[r.key] = held[r.key] || !r.keyless && last[r.key].offset == r.offset
			}
			for k, w := range last {
				if !held[k] && (!w.tombstone || round == 0) {
					t.Fatalf("round %d: the last of %q, %+v, is gone", round, k, w)
				}
			}
		}
		if clean != p.end {
			t.Fatalf("compacted up to %d of %d", clean, p.end)
		}
		for _, r := range recs {
			if r.tombstone {
				t.Fatalf("tombstone %+v stays for ever", r)
			}
		}
	})
}

// FuzzFilter rewrites any bytes that pass for a batch: it must neither fail nor
// make what is no batch, and what it leaves must be of the batch.
func FuzzFilter(f *testing.F) {
	var b batch.Builder
	b.Append(batch.Record{Timestamp: 1, Key: []byte("a"), Value: []byte("1")})
	b.Append(batch.Record{Timestamp: 2, Key: []byte("b")})
	plain := bytes.Clone(b.Finish())
	for codec := range int16(5) {
		var c batch.Compressor
		packed, err := c.Compress(plain, codec)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(packed), int64(1), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, now int64, last bool) {
		h, err := batch.ParseHeader(b)
		if err != nil || h.BaseOffset < 0 || h.BaseOffset > 1<<40 {
			return
		}
		pass := compact.NewPass(compact.NewKeys(64), h.BaseOffset, now, 10, nil)
		pass.Note(b)
		in := bytes.Clone(b)
		v, out := pass.Filter(b, last)
		if !bytes.Equal(in, b) {
			t.Fatal("the batch was changed in place")
		}
		if v != compact.Rewrite {
			return
		}
		g, err := batch.ParseHeader(out)
		if err != nil || g.Size() != len(out) || !batch.CheckCRC(out, g) || g.BaseOffset != h.BaseOffset || g.LastOffsetDelta != h.LastOffsetDelta ||
			g.ProducerID != h.ProducerID || g.ProducerEpoch != h.ProducerEpoch || g.BaseSequence != h.BaseSequence || g.Count > h.Count {
			t.Fatalf("rewritten as %+v, %v", g, err)
		}
		d := batch.NewDecompressor(64 << 20)
		if unpacked, err := d.Decompress(out); err != nil {
			t.Fatal(err)
		} else if it, err := batch.Records(unpacked); err != nil {
			t.Fatal(err)
		} else {
			for it.Next() {
			}
			if it.Err() != nil {
				t.Fatal(it.Err())
			}
		}
	})
}
