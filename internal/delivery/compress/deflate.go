package compress

import (
	"archive/zip"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// level is the one that keeps up with the log: twice the speed of level 5 at nine
// tenths of what it saves.
const level = 3

// zipDate is the first day that an archive can tell: 1980-01-01.
const zipDate = 1<<5 | 1

var errClosed = errors.New("compress: the writer has ended")

// All are of a megabyte or more, and made for every object otherwise.
var (
	gzips  = sync.Pool{New: func() any { w, _ := gzip.NewWriterLevel(nil, level); return w }}
	flates = sync.Pool{New: func() any { w, _ := flate.NewWriter(nil, level); return w }}
	zstds  = sync.Pool{New: func() any {
		w, _ := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20))
		return w
	}}
)

// guard keeps the first error, and calls done once when the writer ends.
type guard struct {
	to   io.WriteCloser
	done func()
	err  error
}

func (g *guard) Write(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.to.Write(p)
	if err != nil {
		g.end(err)
	}
	return n, err
}

func (g *guard) Close() error {
	if g.err != nil {
		return g.err
	}
	err := g.to.Close()
	if err != nil {
		g.end(err)
		return err
	}
	g.end(errClosed)
	return nil
}

func (g *guard) end(err error) {
	g.err = err
	if g.done != nil {
		g.done()
	}
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }

func newGzip(w io.Writer) io.WriteCloser {
	z := gzips.Get().(*gzip.Writer)
	z.Reset(w)
	z.ModTime = time.Unix(0, 0) // none; the zero Time would be written as one of 2042
	return &guard{to: z, done: func() { z.Reset(nil); gzips.Put(z) }}
}

func newZstd(w io.Writer) io.WriteCloser {
	z := zstds.Get().(*zstd.Encoder)
	z.Reset(w)
	return &guard{to: z, done: func() { z.Reset(nil); zstds.Put(z) }}
}

// pooled is a deflate writer that goes back when its entry ends.
type pooled struct{ *flate.Writer }

func (p pooled) Close() error {
	err := p.Writer.Close()
	p.Reset(nil)
	flates.Put(p.Writer)
	return err
}

// archive is a ZIP of one entry, which is begun at once.
type archive struct {
	zip   *zip.Writer
	entry io.Writer
}

func newZip(w io.Writer, name string) io.WriteCloser {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		f := flates.Get().(*flate.Writer)
		f.Reset(w)
		return pooled{f}, nil
	})
	entry, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, ModifiedDate: zipDate})
	return &guard{to: &archive{z, entry}, err: err}
}

func (a *archive) Write(p []byte) (int, error) { return a.entry.Write(p) }

func (a *archive) Close() error { return a.zip.Close() }
