// Package listen opens the HTTP ports: one that takes HTTP/1.1 and HTTP/2 by
// prior knowledge in the clear, and one under TLS that agrees on either by ALPN.
//
// A [Server] serves one listener. It bounds what a client can hold: connections,
// header bytes, streams, and the time to shake hands, to send a header, to stay
// idle, to pause in a body and to take an answer. Whole requests and answers are
// not bounded in time, because some of them are streams.
//
// [CheckBind] holds the rule where a server may listen, [Certs] the certificate
// authority and certificate that it makes for itself.
//
// Goroutines: one accepts, and net/http has its own per connection. All of them
// end with [Server.Shutdown].
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/httpguard"
	"thalweg/internal/lifecycle"
	"thalweg/internal/limits"
)

// Options configure a Server. Handler, Log and Clock are needed; zero limits
// take the defaults named.
type Options struct {
	Handler http.Handler
	Log     *slog.Logger
	Clock   clock.Clock // the one that deadlines go by: the system's

	// Certificate gives the certificate for each handshake and turns TLS on.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	// Front, if any, is given the connections first that have not agreed on HTTP/2.
	Front Front

	// Memory is what open connections draw on, [ConnBytes] each and a third of it at
	// most; nil sets no bound.
	Memory *limits.Budget

	MaxConns       int // open connections; further ones wait unaccepted. 10,000, or what Memory allows
	MaxHeaderBytes int // of one request. 32 KiB
	MaxStreams     int // HTTP/2 requests at once on one connection. 256

	HandshakeTimeout time.Duration // 10 s
	HeaderTimeout    time.Duration // from a request's first byte to its header's last. 10 s
	IdleTimeout      time.Duration // between requests. 5 min
	BodyIdleTimeout  time.Duration // between two pieces of a body. 60 s
	WriteTimeout     time.Duration // for one write to make its way. 60 s
}

// ConnBytes is what an open connection costs, in bytes, before it has sent
// anything: its read buffer, its goroutine's stack and what the maps hold of it.
const ConnBytes = 24 << 10

// Front serves connections in net/http's place.
type Front interface {
	// Serve owns nc, of which no byte was read. It may hand it to [Server.Take] to
	// have net/http serve it; if nc is under TLS, what it hands over has a method
	// NetConn that leads back to it. ctx ends when the server must stop at once.
	Serve(ctx context.Context, nc net.Conn)
	// Shutdown lets requests under way finish until ctx ends.
	Shutdown(ctx context.Context) error
}

func (o *Options) setDefaults() {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&o.HandshakeTimeout, 10*time.Second)
	set(&o.HeaderTimeout, 10*time.Second)
	set(&o.IdleTimeout, 5*time.Minute)
	set(&o.BodyIdleTimeout, time.Minute)
	set(&o.WriteTimeout, time.Minute)
	for _, n := range []struct {
		v   *int
		def int
	}{{&o.MaxConns, 10_000}, {&o.MaxHeaderBytes, 32 << 10}, {&o.MaxStreams, 256}} {
		if *n.v == 0 {
			*n.v = n.def
		}
	}
	if room := int(o.Memory.Max() / 3 / ConnBytes); room > 0 {
		o.MaxConns = min(o.MaxConns, room)
	}
}

// Server serves one listener. Make it with [Open].
type Server struct {
	opts Options
	ln   net.Listener
	http *http.Server
	tls  *tls.Config // nil in the clear

	group  *lifecycle.Group
	slots  chan struct{} // one element for each open connection
	ready  chan net.Conn // connections for net/http
	closed chan struct{} // closed by Shutdown: nothing more is accepted
	stop   sync.Once
	count  atomic.Int64
	mu     sync.Mutex
	early  map[net.Conn]struct{} // guarded by mu: with Front, or shaking hands
}

// Open binds addr, "HOST:PORT" with port 0 for a free one, and begins to serve
// it. Connections are accepted when it returns.
func Open(addr string, o Options) (*Server, error) {
	o.setDefaults()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, &errs.Error{Kind: errs.Invalid, Op: "listen on " + addr, Err: err,
			Hint: "choose another address, or port 0 for a free one"}
	}
	s := &Server{
		opts: o, ln: ln, group: lifecycle.NewGroup(context.Background()),
		slots: make(chan struct{}, o.MaxConns), ready: make(chan net.Conn),
		closed: make(chan struct{}), early: map[net.Conn]struct{}{},
	}
	s.http = s.newHTTP()
	if o.Certificate != nil {
		s.tls = &tls.Config{
			GetCertificate: o.Certificate,
			MinVersion:     tls.VersionTLS12,
			NextProtos:     []string{"h2", "http/1.1"},
		}
	}
	s.group.Go("accept "+ln.Addr().String(), s.accept)
	s.group.Go("http "+ln.Addr().String(), func(context.Context) error {
		err := s.http.Serve((*handover)(s))
		if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
			return nil
		}
		return err
	})
	return s, nil
}

func (s *Server) newHTTP() *http.Server {
	o := &s.opts
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(o.Certificate != nil)
	protocols.SetUnencryptedHTTP2(o.Certificate == nil)
	return &http.Server{
		Handler:           &paced{opts: o},
		Protocols:         protocols,
		ReadHeaderTimeout: o.HeaderTimeout,
		IdleTimeout:       o.IdleTimeout,
		MaxHeaderBytes:    o.MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return s.group.Context() },
		ConnState: func(nc net.Conn, state http.ConnState) {
			if c, ok := nc.(interface{ Release() }); ok && state == http.StateHijacked {
				c.Release()
			}
		},
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: o.MaxStreams,
			SendPingTimeout:      o.IdleTimeout / 4,
			PingTimeout:          o.HeaderTimeout,
			WriteByteTimeout:     o.WriteTimeout,
		},
	}
}

// Addr returns the address that was bound.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Conns returns how many connections are open.
func (s *Server) Conns() int { return int(s.count.Load()) }

// OnShutdown has f called once, on a goroutine of its own, when Shutdown begins.
// It is for handlers whose answers have no end of their own.
func (s *Server) OnShutdown(f func()) { s.http.RegisterOnShutdown(sync.OnceFunc(f)) }

// Shutdown stops accepting, lets requests under way finish until ctx ends, and
// then closes what is left and ends the contexts of their requests. It returns
// nil when all had finished.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop.Do(func() {
		close(s.closed)
		_ = s.ln.Close() // accept ends with it
	})
	var err error
	if s.opts.Front != nil {
		err = s.opts.Front.Shutdown(ctx)
	}
	err = errors.Join(err, s.http.Shutdown(ctx))
	if err != nil {
		s.opts.Log.Warn("closing connections before their requests have finished",
			"listener", s.Addr().String(), "connections", s.Conns())
		err = &errs.Error{Kind: errs.Closed, Op: "shut down HTTP listener", Err: err}
		_ = s.http.Close()
	}
	s.mu.Lock()
	for nc := range s.early {
		_ = nc.Close()
	}
	s.mu.Unlock()
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return errors.Join(err, s.group.Stop(wait))
}

// accept takes connections until the listener is closed.
func (s *Server) accept(ctx context.Context) error {
	pause := time.Duration(0)
	for {
		select {
		case s.slots <- struct{}{}:
		case <-s.closed:
			return nil
		}
		nc, err := s.ln.Accept()
		if err != nil {
			<-s.slots
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			// Out of file descriptors, most likely: connections that end free some.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.opts.Log.Error("cannot accept a connection", "listener", s.Addr().String(), "error", err)
			t := s.opts.Clock.NewTimer(pause)
			select {
			case <-t.C():
			case <-s.closed:
				t.Stop()
				return nil
			}
			continue
		}
		pause = 0
		s.count.Add(1)
		s.opts.Memory.Take(ConnBytes)
		nc = &counted{Conn: nc, server: s}
		if s.tls == nil && s.opts.Front == nil {
			s.Take(nc)
			continue
		}
		s.hold(nc)
		s.group.Go("connection", func(ctx context.Context) error {
			s.begin(ctx, nc)
			return nil
		})
	}
}

// begin shakes hands, where there is TLS, and passes the connection on.
func (s *Server) begin(ctx context.Context, nc net.Conn) {
	defer s.release(nc)
	if s.tls != nil {
		tc := tls.Server(nc, s.tls)
		hctx, cancel := context.WithTimeout(ctx, s.opts.HandshakeTimeout)
		err := tc.HandshakeContext(hctx)
		cancel()
		if err != nil {
			s.failHandshake(nc, err)
			return
		}
		nc = tc
		if tc.ConnectionState().NegotiatedProtocol == "h2" {
			s.Take(nc)
			return
		}
	}
	if s.opts.Front != nil {
		s.opts.Front.Serve(ctx, nc)
		return
	}
	s.Take(nc)
}

// failHandshake ends a connection that did not get as far as HTTP. Who speaks
// plain HTTP to a TLS port is told so.
func (s *Server) failHandshake(nc net.Conn, err error) {
	var r tls.RecordHeaderError
	if errors.As(err, &r) && r.Conn != nil {
		switch string(r.RecordHeader[:]) {
		case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH", "PRI *":
			_ = nc.SetWriteDeadline(s.opts.Clock.Now().Add(s.opts.HandshakeTimeout))
			_, _ = io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n"+
				"This port speaks HTTPS: use an https:// address.\n")
		}
	}
	s.opts.Log.Debug("TLS handshake failed", "remote", nc.RemoteAddr().String(), "error", err)
	_ = nc.Close()
}

// Take has net/http serve a connection of this server to its end. It may have
// been read from, if the connection returns those bytes again.
func (s *Server) Take(nc net.Conn) {
	if tc := underTLS(nc); tc == nil {
		nc = httpguard.NewConn(nc, s.opts.Clock, s.opts.WriteTimeout)
	} else if state := tc.ConnectionState(); state.NegotiatedProtocol != "h2" {
		nc = httpguard.NewTLSConn(nc, state, s.opts.Clock, s.opts.WriteTimeout)
	}
	select {
	case s.ready <- nc:
	case <-s.closed:
		_ = nc.Close()
	}
}

// underTLS returns the TLS connection that nc is or wraps, nil for none.
func underTLS(nc net.Conn) *tls.Conn {
	for {
		switch c := nc.(type) {
		case *tls.Conn:
			return c
		case interface{ NetConn() net.Conn }:
			nc = c.NetConn()
		default:
			return nil
		}
	}
}

func (s *Server) hold(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.early[nc] = struct{}{}
}

func (s *Server) release(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.early, nc)
}

// handover is the Server as the listener that net/http accepts from.
type handover Server

func (h *handover) Accept() (net.Conn, error) {
	select {
	case nc := <-h.ready:
		return nc, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error   { return nil } // the Server closes its own listener
func (h *handover) Addr() net.Addr { return h.ln.Addr() }

// counted gives its slot back when it is closed.
type counted struct {
	net.Conn
	server *Server
	once   sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() {
		c.server.count.Add(-1)
		c.server.opts.Memory.Release(ConnBytes)
		<-c.server.slots
	})
	return c.Conn.Close()
}

// CloseWrite shuts down the sending side.
func (c *counted) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// paced gives bodies a deadline that moves on with every read.
type paced struct{ opts *Options }

func (p *paced) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody {
		b := &pacedBody{ReadCloser: r.Body, opts: p.opts, control: http.NewResponseController(w)}
		b.extend() // net/http reads what a handler leaves of a body
		r.Body = b
	}
	p.opts.Handler.ServeHTTP(w, r)
}

// pacedBody lets a body take as long as it needs, but not stand still. The
// deadline ends with the body: afterwards net/http reads to see the client go
// away, and a handler may well take longer.
type pacedBody struct {
	io.ReadCloser
	opts    *Options
	control *http.ResponseController
}

// extend sets the deadline. Both protocols of net/http know read deadlines, so
// that fails only on a connection that the next read finds gone.
func (b *pacedBody) extend() {
	_ = b.control.SetReadDeadline(b.opts.Clock.Now().Add(b.opts.BodyIdleTimeout))
}

// Read implements io.Reader.
func (b *pacedBody) Read(p []byte) (int, error) {
	b.extend()
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.control.SetReadDeadline(time.Time{}) // fails as in extend
	}
	return n, err
}
