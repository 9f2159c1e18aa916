package batch_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"thalweg/internal/log/batch"
)

// TestFilter leaves records out and packs the rest with every codec: what is read
// back is what was kept, in its place.
func TestFilter(t *testing.T) {
	var b batch.Builder
	var c batch.Compressor
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(recordGen(), 1, 8).Draw(t, "records")
		horizon := rapid.SampledFrom([]int64{-1, 0, 1 << 44}).Draw(t, "horizon")
		codec := int16(rapid.IntRange(0, 4).Draw(t, "codec"))
		keep := rapid.SliceOfN(rapid.Bool(), len(in), len(in)).Draw(t, "keep")
		b.Reset()
		var want []plain
		latest := int64(-1)
		for i := range in {
			b.Append(in[i].record())
			if in[i].Offset = int64(i) + 77; keep[i] {
				want = append(want, in[i])
				latest = max(latest, in[i].Timestamp)
			}
		}
		whole := b.Finish()
		batch.SetBase(whole, 77, 5)
		before, _ := batch.ParseHeader(whole)
		i := -1
		prefix := []byte("before")
		out, err := batch.Filter(prefix, whole, horizon, func(r *batch.Record) bool { i++; return keep[i] })
		if err != nil || !bytes.HasPrefix(out, prefix) {
			t.Fatalf("filter: %v", err)
		}
		packed, err := c.Compress(out[len(prefix):], codec)
		if err != nil {
			t.Fatal(err)
		}
		h, err := batch.ParseHeader(packed)
		if err != nil || h.Size() != len(packed) || !batch.CheckCRC(packed, h) || h.Attributes&batch.CompressionMask != codec {
			t.Fatalf("header %+v, %v", h, err)
		}
		if at, ok := h.Horizon(); ok != (horizon >= 0) || ok && at != horizon {
			t.Fatalf("horizon %d, %v", at, ok)
		}
		if h.LastOffsetDelta != before.LastOffsetDelta || int(h.Count) != len(want) || len(want) > 0 && h.MaxTimestamp != latest {
			t.Fatalf("header %+v, was %+v", h, before)
		}
		unpacked, err := batch.NewDecompressor(1 << 20).Decompress(packed)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, readAll(t, unpacked)); diff != "" {
			t.Fatal(diff)
		}
	})
}
