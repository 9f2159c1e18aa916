package awsapi

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"sync"
)

// buffers keeps byte buffers for bodies and answers from one request to the next.
type buffers struct{ pool sync.Pool }

// buffer is a buffer of the pool.
type buffer struct{ b []byte }

const (
	// firstBuffer is what a body of unknown length starts with.
	firstBuffer = 16 << 10
	// largestKept is the largest buffer that goes back to the pool.
	largestKept = 2 << 20
	// eagerBody is the largest body whose Content-Length is believed before any
	// of it has come; beyond, the buffer grows with what arrives.
	eagerBody = 256 << 10
)

func (p *buffers) get() *buffer {
	if b, ok := p.pool.Get().(*buffer); ok {
		b.b = b.b[:0]
		return b
	}
	return &buffer{b: make([]byte, 0, firstBuffer)}
}

// put takes b, which may be nil, back.
func (p *buffers) put(b *buffer) {
	if b != nil && cap(b.b) <= largestKept {
		p.pool.Put(b)
	}
}

// lease is memory taken from the budget for one request.
type lease struct {
	budget Budget
	held   int64
}

// grow takes what is missing to n bytes.
func (l *lease) grow(n int64) bool {
	if l.budget == nil || n <= l.held {
		return true
	}
	if !l.budget.TryAcquire(n - l.held) {
		return false
	}
	l.held = n
	return true
}

func (l *lease) release() {
	if l.held > 0 {
		l.budget.Release(l.held)
		l.held = 0
	}
}

var (
	errBodyTooLarge = errors.New("body too large")
	errNoMemory     = errors.New("no memory to spare")
)

// readBody reads the whole body into to, at most limit bytes, within the budget.
// Errors are errBodyTooLarge, errNoMemory, or the connection's.
func readBody(r *http.Request, to *buffer, limit int64, mem *lease) (err error) {
	to.b, err = appendBody(r, to.b, limit, mem)
	return err
}

func appendBody(r *http.Request, buf []byte, limit int64, mem *lease) ([]byte, error) {
	if r.ContentLength > limit {
		return buf, errBodyTooLarge
	}
	if want := min(r.ContentLength, eagerBody); want > int64(cap(buf)) {
		buf = make([]byte, 0, want)
	}
	if !mem.grow(int64(cap(buf))) {
		return buf, errNoMemory
	}
	for {
		if int64(len(buf)) == r.ContentLength {
			return buf, nil
		}
		if len(buf) == cap(buf) {
			bigger := 2 * int64(cap(buf))
			if r.ContentLength >= 0 { // in few steps: each leaves the one before as garbage
				bigger = min(8*int64(cap(buf)), r.ContentLength)
			}
			bigger = min(bigger, limit+1)
			// Both exist while one is copied; and what is too large for the pool is garbage
			// afterwards, which is there until it is collected.
			garbage := max(0, bigger-largestKept) / 2
			if !mem.grow(int64(cap(buf)) + bigger + garbage) {
				return buf, errNoMemory
			}
			grown := make([]byte, len(buf), bigger)
			copy(grown, buf)
			buf = grown
		}
		n, err := r.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return buf, errBodyTooLarge
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return buf, err
		}
	}
}

// inflate unpacks a body, to at most limit bytes, within the budget. Errors are
// errBodyTooLarge, errNoMemory, or those of a body that is not packed well.
func inflate(body []byte, limit int64, mem *lease) ([]byte, error) {
	const unpacker = 48 << 10 // what a reader takes itself
	if !mem.grow(mem.held + unpacker) {
		return nil, errNoMemory
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	var out []byte
	for {
		if len(out) == cap(out) {
			bigger := min(max(2*int64(cap(out)), firstBuffer), limit+1)
			if !mem.grow(mem.held + bigger) {
				return nil, errNoMemory
			}
			out = append(make([]byte, 0, bigger), out...)
		}
		n, err := z.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case int64(len(out)) > limit:
			return nil, errBodyTooLarge
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, err
		}
	}
}

// drain reads on past a refused body, so that the connection can be used again;
// at most as much again as the service would have taken.
func drain(r *http.Request, most int64) {
	if r.ContentLength <= most {
		_, _ = io.CopyN(io.Discard, r.Body, most) // what is left of it is net/http's to close
	}
}
