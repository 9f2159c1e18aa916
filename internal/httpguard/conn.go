package httpguard

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"thalweg/internal/clock"
)

// Conn is a connection to be given to net/http: it follows the framing of the
// HTTP/1 requests that are read from it, lets HTTP/2 pass once it has seen its
// preface, and bounds how long a single write may take.
type Conn struct {
	net.Conn
	clock clock.Clock
	stall time.Duration

	framer framer // used by Read alone, which net/http never calls twice at once
	failed bool   // likewise
	off    atomic.Bool

	mu    sync.Mutex
	owned bool // guarded by mu: a write deadline is set by somebody else
}

// NewConn guards nc. A write that makes no progress for stall fails; 0 sets no
// bound, and so does a handler that sets a write deadline of its own. For a
// connection under TLS use [NewTLSConn].
func NewConn(nc net.Conn, c clock.Clock, stall time.Duration) *Conn {
	return &Conn{Conn: nc, clock: c, stall: stall}
}

// Read implements net.Conn. It returns [ErrFraming] instead of the byte that
// would complete an ambiguous message.
func (c *Conn) Read(p []byte) (int, error) {
	if c.failed {
		return 0, ErrFraming
	}
	n, err := c.Conn.Read(p)
	if c.off.Load() {
		return n, err
	}
	if ok := c.framer.feed(p[:n]); ok < n {
		c.failed = true
		return ok, ErrFraming
	}
	return n, err
}

// Release ends the checks: the connection was hijacked, and speaks another
// protocol from here on.
func (c *Conn) Release() { c.off.Store(true) }

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	if c.stall > 0 {
		c.mu.Lock()
		if !c.owned {
			_ = c.Conn.SetWriteDeadline(c.clock.Now().Add(c.stall)) // a closed connection: Write says so
		}
		c.mu.Unlock()
	}
	return c.Conn.Write(p)
}

// SetWriteDeadline implements net.Conn. The zero time gives the bound on single
// writes back its effect.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owned = !t.IsZero()
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// CloseWrite shuts the sending side down, where there are sides: net/http does so
// to let a client read an error that it did not wait for.
func (c *Conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// TLSConn is a [Conn] under TLS. Its method ConnectionState makes net/http fill
// in Request.TLS.
type TLSConn struct {
	*Conn
	state tls.ConnectionState
}

// NewTLSConn guards a connection whose handshake is complete and came to state,
// and that did not agree on HTTP/2.
func NewTLSConn(nc net.Conn, state tls.ConnectionState, c clock.Clock, stall time.Duration) *TLSConn {
	return &TLSConn{Conn: NewConn(nc, c, stall), state: state}
}

// ConnectionState returns what the handshake agreed on.
func (c *TLSConn) ConnectionState() tls.ConnectionState { return c.state }
