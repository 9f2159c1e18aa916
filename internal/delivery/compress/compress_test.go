package compress

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

var formats = []Format{None, GZIP, ZIP, Snappy, HadoopSnappy, Zstd}

func compressed(t testing.TB, f Format, chunks ...[]byte) []byte {
	var out bytes.Buffer
	w := f.NewWriter(&out, "entry")
	for _, c := range chunks {
		if n, err := w.Write(c); err != nil || n != len(c) {
			t.Fatalf("%s: wrote %d of %d: %v", f, n, len(c), err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// plainOf reads what was written; tests/java does so with snappy-java and Hadoop.
func plainOf(f Format, in []byte) ([]byte, error) {
	switch f {
	case GZIP:
		r, err := gzip.NewReader(bytes.NewReader(in))
		if err != nil {
			return nil, err
		}
		if binary.LittleEndian.Uint32(in[4:]) != 0 || r.Name != "" {
			return nil, fmt.Errorf("a name or a time: %+v", r.Header)
		}
		return io.ReadAll(r)
	case ZIP:
		r, err := zip.NewReader(bytes.NewReader(in), int64(len(in)))
		if err != nil {
			return nil, err
		}
		if len(r.File) != 1 || r.File[0].Name != "entry" || r.File[0].Method != zip.Deflate {
			return nil, fmt.Errorf("not one deflated entry: %+v", r.File)
		}
		e, err := r.File[0].Open()
		if err != nil {
			return nil, err
		}
		return io.ReadAll(e)
	case Snappy:
		rest, ok := bytes.CutPrefix(in, []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"))
		if !ok {
			return nil, errors.New("no head")
		}
		return blocks(rest, false)
	case HadoopSnappy:
		return blocks(in, true)
	case Zstd:
		r, err := zstd.NewReader(nil)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return r.DecodeAll(in, nil)
	}
	return in, nil
}

func blocks(in []byte, lengths bool) (out []byte, err error) {
	take := func() (n int) {
		if len(in) < 4 {
			err = io.ErrUnexpectedEOF
			return 0
		}
		n = int(binary.BigEndian.Uint32(in))
		in = in[4:]
		return n
	}
	for len(in) > 0 && err == nil {
		want := 0
		if lengths {
			want = take()
		}
		n := take()
		if n > len(in) || err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		block, err := snappy.Decode(nil, in[:n])
		if err != nil {
			return nil, err
		}
		if len(block) > 32<<10 || lengths && len(block) != want {
			return nil, fmt.Errorf("a block of %d", len(block))
		}
		out, in = append(out, block...), in[n:]
	}
	return out, err
}

// Whatever is written, and however it is cut into writes, is read back, and the
// output is the same to the byte.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := rapid.SampledFrom(formats).Draw(rt, "format")
		unit := rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(rt, "unit")
		in := bytes.Repeat(unit, rapid.IntRange(0, 6000).Draw(rt, "times"))
		want := compressed(t, f, in)
		if got, err := plainOf(f, want); err != nil || !bytes.Equal(got, in) {
			rt.Fatalf("%s: read back %d of %d bytes: %v", f, len(got), len(in), err)
		}
		var chunks [][]byte
		for rest := in; len(rest) > 0; {
			n := min(len(rest), rapid.IntRange(1, 50_000).Draw(rt, "chunk"))
			chunks, rest = append(chunks, rest[:n]), rest[n:]
		}
		if got := compressed(t, f, chunks...); !bytes.Equal(got, want) {
			rt.Fatalf("%s: %d writes show in the output", f, len(chunks))
		}
	})
}

// TestGolden holds the output against files, so that a new version of a codec
// cannot change what a repeated delivery writes without being seen. tests/java
// reads the same files with snappy-java and Hadoop.
func TestGolden(t *testing.T) {
	for name, in := range map[string]string{
		"empty": "", "short": "abcabcabc", "long": strings.Repeat(`{"player":"ada","move":17}`+"\n", 3000),
	} {
		for _, f := range formats[1:] {
			path := "testdata/" + name + "." + strings.ToLower(string(f))
			got := compressed(t, f, []byte(in))
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes that are not those of the file", path, len(got))
			}
			if back, err := plainOf(f, want); err != nil || string(back) != in {
				t.Errorf("%s: reads back as %d bytes: %v", path, len(back), err)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for f, want := range map[Format]string{
		None: " ", GZIP: ".gz gzip", ZIP: ".zip zip", Snappy: ".snappy snappy-java", HadoopSnappy: ".snappy hadoop-snappy", Zstd: ".zst zstd",
	} {
		if got := f.Extension() + " " + f.ContentEncoding(); got != want {
			t.Errorf("%s: %q, want %q", f, got, want)
		}
		if got, ok := Parse(string(f)); got != f || !ok {
			t.Errorf("%s is none", f)
		}
	}
	if f, ok := Parse(""); f != None || !ok {
		t.Error("empty is not UNCOMPRESSED")
	}
	for _, s := range []string{"gzip", "SNAPPY", "zstd"} {
		if _, ok := Parse(s); ok {
			t.Errorf("%s is a format", s)
		}
	}
}

// failing takes some bytes, then fails.
type failing struct{ left int }

var errFull = errors.New("full")

func (f *failing) Write(p []byte) (int, error) {
	if f.left < len(p) {
		return 0, errFull
	}
	f.left -= len(p)
	return len(p), nil
}

// An error stays, and an output that failed is never closed as if it were whole.
func TestErrorsStay(t *testing.T) {
	in := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for _, f := range formats {
		w := f.NewWriter(&failing{left: 20}, "entry")
		var err error
		for range 10 {
			if _, err = w.Write(in); err != nil {
				break
			}
		}
		if err == nil {
			err = w.Close() // a codec may hold much back
		}
		if !errors.Is(err, errFull) {
			t.Errorf("%s: %v", f, err)
		}
		if _, err := w.Write(in); err == nil {
			t.Errorf("%s: a write after an error", f)
		}
		if err := w.Close(); err == nil {
			t.Errorf("%s: closed after an error", f)
		}
		var out bytes.Buffer
		w = f.NewWriter(&out, "entry")
		if err := w.Close(); err != nil {
			t.Errorf("%s: %v", f, err)
		}
		if _, err := w.Write(in); err == nil {
			t.Errorf("%s: a write after the end", f)
		}
		if err := w.Close(); err == nil {
			t.Errorf("%s: a second end", f)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("abc"), uint8(1), uint16(1), uint16(7))
	f.Add([]byte(""), uint8(3), uint16(0), uint16(0))
	f.Fuzz(func(t *testing.T, unit []byte, format uint8, times, cut uint16) {
		in := bytes.Repeat(unit, int(times)%2000)
		f := formats[int(format)%len(formats)]
		at := min(int(cut), len(in))
		out := compressed(t, f, in[:at], in[at:])
		if got, err := plainOf(f, out); err != nil || !bytes.Equal(got, in) {
			t.Fatalf("%s: %v", f, err)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	var in []byte
	for i := 0; len(in) < 4<<20; i++ {
		in = fmt.Appendf(in, `{"player":"p%05d","game":"g%03d","move":%d,"score":%d.%02d,"at":"2026-11-25T%02d:%02d:%02dZ"}`+"\n",
			i*7919%10_000, i*31%500, i, i*17%1000, i%100, i/3600%24, i/60%60, i%60)
	}
	for _, f := range formats {
		b.Run(string(f), func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				var out counter
				w := f.NewWriter(&out, "entry")
				for rest := in; len(rest) > 0; rest = rest[min(len(rest), 1<<16):] {
					if _, err := w.Write(rest[:min(len(rest), 1<<16)]); err != nil {
						b.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
				n = int(out)
			}
			b.ReportMetric(float64(len(in))/float64(n), "ratio")
		})
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }
