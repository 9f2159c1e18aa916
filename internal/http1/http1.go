// Package http1 answers plain HTTP/1.1 requests from a loop of its own, and
// hands every other connection to net/http.
//
// Plain is narrow on purpose: `POST / HTTP/1.1` with one Host, one
// Content-Length, ordinary headers, and an X-Amz-Target that the owner wants
// here. Whatever else a connection brings, from its first byte or after any
// number of plain requests (another method or path, chunked bodies, upgrades,
// folded or doubled headers, HTTP/2's preface), the connection moves with all
// unread bytes to [Server.Fallback] and stays there. Nothing is rejected here,
// so there is one judge of what is malformed: net/http.
//
// The request that the handler gets is used again for the next one on the same
// connection: handlers must not keep it, its headers or its body.
//
// Why it exists: net/http spends about 15 us of CPU on a request, most of a
// PutRecord. Syntax: RFC 9112 sections 3 and 5, RFC 9110 section 5.
package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"thalweg/internal/clock"
)

// Sizes in bytes.
const (
	maxHead   = 16 << 10 // a longer head is not plain
	inlineMax = 32 << 10 // a response body up to this leaves in one write with its head
)

// Server serves plain requests on connections that others accepted.
type Server struct {
	// Handler answers each request.
	Handler http.Handler
	// Plain reports whether requests with this X-Amz-Target ("" for none) are
	// answered here: false for those whose answer is a stream.
	Plain func(target string) bool
	// Fallback serves a connection to its end. Its first bytes may have been read
	// already; the connection returns them again.
	Fallback func(net.Conn)
	// HeadTimeout bounds the time from a request's first byte to the end of its
	// head, IdleTimeout the wait for the next request, BodyTimeout the wait for the
	// next piece of a body and WriteTimeout each write. 0 is without bound.
	HeadTimeout, IdleTimeout, BodyTimeout, WriteTimeout time.Duration
	Clock                                               clock.Clock
	Logger                                              *slog.Logger

	date dateCache

	mu      sync.Mutex
	conns   map[*conn]struct{} // guarded by mu
	closing bool               // guarded by mu
	drained chan struct{}      // guarded by mu; made by Shutdown, closed with the last connection
}

// Serve answers the requests of one connection and returns when it is done or
// has moved to Fallback and ended there. It owns nc.
func (s *Server) Serve(ctx context.Context, nc net.Conn) {
	c := &conn{srv: s, nc: nc, br: bufio.NewReaderSize(nc, maxHead)}
	if !s.track(c) {
		nc.Close()
		return
	}
	moved := c.loop(ctx)
	s.untrack(c)
	if moved {
		s.Fallback(&replay{Conn: nc, br: c.br})
		return
	}
	nc.Close()
}

// Shutdown lets requests that have begun finish, closes idle connections, and
// waits for all until ctx ends; then it closes what is left and waits for that.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for c := range s.conns {
		c.interrupt()
	}
	if s.drained == nil {
		s.drained = make(chan struct{})
		if len(s.conns) == 0 {
			close(s.drained)
		}
	}
	drained := s.drained
	s.mu.Unlock()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.conns {
		_ = c.nc.Close() // its loop finds out
	}
	s.mu.Unlock()
	<-drained
	return ctx.Err()
}

// Connections returns how many connections are served here now.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *Server) track(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	if s.conns == nil {
		s.conns = map[*conn]struct{}{}
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) untrack(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.drained != nil && len(s.conns) == 0 {
		close(s.drained)
	}
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// conn is one connection and all that is used again for each of its requests.
type conn struct {
	srv  *Server
	nc   net.Conn
	br   *bufio.Reader
	head head
	req  http.Request
	body bodyReader
	resp response

	mu   sync.Mutex
	idle bool // guarded by mu: waiting for a request's first byte
}

// rootURL is the parsed form of the only path that is plain. Handlers get a copy.
var rootURL = url.URL{Path: "/"}

// loop serves requests until the connection ends (false) or must move (true).
func (c *conn) loop(ctx context.Context) (moved bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.head.header = make(http.Header, 16)
	c.resp.c = c
	c.resp.header = make(http.Header, 8)
	base := (&http.Request{}).WithContext(ctx)
	if tc, ok := c.nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := tc.ConnectionState()
		base.TLS = &state
	}
	remote := c.nc.RemoteAddr().String()
	for {
		verdict := c.readHead()
		if verdict != plain {
			return verdict == other
		}
		u := rootURL
		c.req = *base
		c.req.Method, c.req.URL, c.req.RequestURI = http.MethodPost, &u, "/"
		c.req.Proto, c.req.ProtoMajor, c.req.ProtoMinor = "HTTP/1.1", 1, 1
		c.req.Header, c.req.Host = c.head.header, c.head.host
		c.req.ContentLength, c.req.RemoteAddr = c.head.length, remote
		c.body = bodyReader{c: c, left: c.head.length}
		c.req.Body = &c.body
		c.req.Close = c.head.close
		c.resp.reset()
		if !c.handle() {
			return false
		}
		keep := c.resp.finish(c.head.close || c.srv.isClosing())
		if !keep || !c.body.drain() {
			return false
		}
	}
}

// handle runs the handler; false when it panicked and the connection must end.
func (c *conn) handle() (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			ok = false
			if err, is := r.(error); !is || !errors.Is(err, http.ErrAbortHandler) {
				c.srv.Logger.Error("http handler panicked", "panic", r)
			}
		}
	}()
	c.srv.Handler.ServeHTTP(&c.resp, &c.req)
	return true
}

// readHead reads one request head. plain: c.head holds it and the reader stands
// at the body. other: nothing of this request was consumed. ended: the
// connection is gone, idle for too long, or the server stops.
func (c *conn) readHead() verdict {
	if c.br.Buffered() == 0 {
		// The deadline stands before closing is looked at: interrupt overrides it.
		c.deadline(c.nc.SetReadDeadline, c.srv.IdleTimeout)
		c.setIdle(true)
		if c.srv.isClosing() {
			return ended
		}
		_, err := c.br.Peek(1)
		c.setIdle(false)
		if err != nil {
			return ended
		}
	}
	c.deadline(c.nc.SetReadDeadline, c.srv.HeadTimeout)
	for {
		buf, _ := c.br.Peek(c.br.Buffered())
		n, v := c.head.parse(buf)
		if v == plain && !c.srv.Plain(c.head.target) {
			v = other
		}
		switch v {
		case plain:
			c.br.Discard(n)
			return plain
		case other:
			c.nc.SetReadDeadline(time.Time{})
			return other
		}
		if len(buf) == maxHead {
			return other
		}
		if _, err := c.br.Peek(len(buf) + 1); err != nil {
			return ended
		}
	}
}

func (c *conn) setIdle(idle bool) {
	c.mu.Lock()
	c.idle = idle
	c.mu.Unlock()
}

// interrupt ends the wait for the next request, and nothing else.
func (c *conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle {
		c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

func (c *conn) deadline(set func(time.Time) error, d time.Duration) {
	if d > 0 {
		set(c.srv.Clock.Now().Add(d))
	}
}
