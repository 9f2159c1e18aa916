package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"

	"thalweg/internal/clock"
)

// response collects an answer and writes it in one call where it can. An answer
// whose handler sets Content-Length is written as it comes once it is long; one
// that the handler flushes goes out in chunks.
type response struct {
	c      *conn
	header http.Header
	status int
	buf    []byte // head, then body
	body   []byte // body collected so far
	sent   bool   // the head has left
	chunks bool   // in chunks (RFC 9112 section 7.1)
	failed error
}

func (w *response) reset() {
	clear(w.header)
	w.status, w.sent, w.chunks, w.failed = 0, false, false, nil
	w.body = w.body[:0]
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements io.Writer. Each call may write to the connection.
func (w *response) Write(p []byte) (int, error) {
	if w.failed != nil {
		return 0, w.failed
	}
	w.WriteHeader(http.StatusOK)
	if w.sent {
		w.c.deadline(w.c.nc.SetWriteDeadline, w.c.srv.WriteTimeout)
		if w.chunks {
			w.chunk(p)
			return len(p), w.failed
		}
		var n int
		n, w.failed = w.c.nc.Write(p)
		return n, w.failed
	}
	if len(w.body)+len(p) <= inlineMax || w.header["Content-Length"] == nil {
		w.body = append(w.body, p...)
		return len(p), nil
	}
	w.sendHead(-1, false, p)
	return len(p), w.failed
}

// Flush implements http.Flusher: what was written so far goes out, and so does
// from now on every write, as one chunk.
func (w *response) Flush() {
	if w.sent || w.failed != nil || w.header["Content-Length"] != nil {
		return
	}
	w.WriteHeader(http.StatusOK)
	body := w.body
	w.body = w.body[:0]
	w.chunks = true
	w.sendHead(-1, false, nil)
	if w.failed == nil && len(body) > 0 {
		w.chunk(body)
	}
}

// chunk writes p, which is not empty, as one chunk.
func (w *response) chunk(p []byte) {
	if len(p) == 0 {
		return // an empty chunk would be the last
	}
	w.buf = append(strconv.AppendInt(w.buf[:0], int64(len(p)), 16), "\r\n"...)
	bufs := net.Buffers{w.buf, p, []byte("\r\n")}
	_, w.failed = bufs.WriteTo(w.c.nc)
}

// sendHead writes the head and whatever body is at hand. length -1 takes the
// handler's own Content-Length.
func (w *response) sendHead(length int, closing bool, rest []byte) {
	w.sent = true
	b := append(w.buf[:0], "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(w.status), 10)
	b = append(append(append(b, ' '), http.StatusText(w.status)...), "\r\nDate: "...)
	b = append(append(b, w.c.srv.date.at(w.c.srv.Clock)...), "\r\n"...)
	for k, vs := range w.header {
		if k == "Date" || k == "Connection" || length >= 0 && k == "Content-Length" {
			continue
		}
		for _, v := range vs {
			b = append(append(append(append(b, k...), ": "...), v...), "\r\n"...)
		}
	}
	if length >= 0 {
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), int64(length), 10), "\r\n"...)
	}
	if w.chunks {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	if closing {
		b = append(b, "Connection: close\r\n"...)
	}
	b = append(b, "\r\n"...)
	w.c.deadline(w.c.nc.SetWriteDeadline, w.c.srv.WriteTimeout)
	if len(w.body)+len(rest) <= inlineMax {
		b = append(append(b, w.body...), rest...)
		_, w.failed = w.c.nc.Write(b)
	} else {
		bufs := net.Buffers{b, w.body, rest}
		_, w.failed = bufs.WriteTo(w.c.nc)
	}
	w.buf = b[:0]
}

// finish sends what has not left and reports whether the connection can go on.
func (w *response) finish(closing bool) bool {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	switch {
	case !w.sent:
		w.sendHead(len(w.body), closing, nil)
	case w.chunks && w.failed == nil:
		_, w.failed = w.c.nc.Write([]byte("0\r\n\r\n"))
	}
	if cap(w.body) > 4*inlineMax {
		w.body = nil
	}
	return w.failed == nil && !closing
}

// bodyReader is a request body: the next left bytes of the connection.
type bodyReader struct {
	c    *conn
	left int64
}

// Read implements io.Reader.
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	if b.c.br.Buffered() == 0 {
		b.c.deadline(b.c.nc.SetReadDeadline, b.c.srv.BodyTimeout)
	}
	n, err := b.c.br.Read(p)
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close implements io.Closer; what is unread is drained after the answer.
func (b *bodyReader) Close() error { return nil }

// drainMax is how much of an unread body is read for the sake of the connection.
const drainMax = 256 << 10

func (b *bodyReader) drain() bool {
	if b.left > drainMax {
		return false
	}
	_, err := io.CopyN(io.Discard, b, b.left)
	return err == nil
}

// replay is a connection whose first bytes come from what was read ahead.
type replay struct {
	net.Conn
	br *bufio.Reader // nil once it is empty
}

// Read implements net.Conn.
func (r *replay) Read(p []byte) (int, error) {
	if r.br == nil {
		return r.Conn.Read(p)
	}
	if n := r.br.Buffered(); n == 0 {
		r.br = nil
		return r.Conn.Read(p)
	} else if len(p) > n {
		p = p[:n]
	}
	return r.br.Read(p)
}

// NetConn returns the connection below, for those who look for a TCP or TLS one.
func (r *replay) NetConn() net.Conn { return r.Conn }

// CloseWrite shuts the sending side down, where there are sides.
func (r *replay) CloseWrite() error {
	if w, ok := r.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// dateCache holds the Date header of the current second.
type dateCache struct {
	mu   sync.Mutex
	sec  int64  // guarded by mu
	text string // guarded by mu
}

func (d *dateCache) at(c clock.Clock) string {
	now := c.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := now.Unix(); s != d.sec || d.text == "" {
		d.sec, d.text = s, now.UTC().Format(http.TimeFormat)
	}
	return d.text
}
