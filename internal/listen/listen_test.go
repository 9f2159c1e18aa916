package listen

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/limits"
	"thalweg/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers what the request was: protocol, whether under TLS, and body.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/unread" {
		_, _ = io.WriteString(w, "unread")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%s tls=%v %s %s", r.Proto, r.TLS != nil, r.Host, body)
})

// open starts a server that ends with the test.
func open(t *testing.T, o Options) *Server {
	t.Helper()
	if o.Handler == nil {
		o.Handler = echo
	}
	o.Log = slog.New(slog.DiscardHandler)
	o.Clock = clock.System()
	s, err := Open("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return s
}

func testCerts(t *testing.T) *Certs {
	t.Helper()
	c, err := OpenCerts(vfs.NewEphemeral(), "tls", clock.System(), []string{"thalweg.example"}, "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// client returns a client that speaks only the protocols named.
func client(t *testing.T, certs *Certs, set func(*http.Protocols)) *http.Client {
	t.Helper()
	tr := &http.Transport{Protocols: new(http.Protocols)}
	set(tr.Protocols)
	if certs != nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(certs.CAPEM())
		tr.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

func post(t *testing.T, c *http.Client, url, body string) string {
	t.Helper()
	resp, err := c.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func http1(p *http.Protocols) { p.SetHTTP1(true) }
func h2c(p *http.Protocols)   { p.SetUnencryptedHTTP2(true) }
func http2(p *http.Protocols) { p.SetHTTP2(true) }

func TestProtocols(t *testing.T) {
	plain := open(t, Options{})
	certs := testCerts(t)
	secure := open(t, Options{Certificate: certs.Certificate})
	_, port, _ := net.SplitHostPort(secure.Addr().String())
	for _, c := range []struct {
		name  string
		certs *Certs
		set   func(*http.Protocols)
		url   string
		want  string
	}{
		{"HTTP/1.1", nil, http1, "http://" + plain.Addr().String(), "HTTP/1.1 tls=false"},
		{"h2c by prior knowledge", nil, h2c, "http://" + plain.Addr().String(), "HTTP/2.0 tls=false"},
		{"HTTP/1.1 under TLS", certs, http1, "https://" + secure.Addr().String(), "HTTP/1.1 tls=true"},
		{"h2 under TLS", certs, http2, "https://" + secure.Addr().String(), "HTTP/2.0 tls=true"},
		{"h2 under TLS by name", certs, http2, "https://localhost:" + port, "HTTP/2.0 tls=true"},
	} {
		cl := client(t, c.certs, c.set)
		for _, size := range []int{0, 1, 1 << 20} {
			body := strings.Repeat("b", size)
			got := post(t, cl, c.url, body)
			if !strings.HasPrefix(got, c.want) || !strings.HasSuffix(got, " "+body) {
				t.Errorf("%s, %d bytes: %.60q", c.name, size, got)
			}
		}
	}
	// Both at once, on connections of their own.
	var wg sync.WaitGroup
	for _, set := range []func(*http.Protocols){http1, h2c} {
		cl := client(t, nil, set)
		for range 20 {
			wg.Go(func() { post(t, cl, "http://"+plain.Addr().String(), "x") })
		}
	}
	wg.Wait()
}

// dial opens a raw connection with a deadline.
func dial(t *testing.T, s *Server, certs *Certs) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(clock.System().Now().Add(10 * time.Second))
	if certs != nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(certs.CAPEM())
		nc = tls.Client(nc, &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"http/1.1"}})
	}
	t.Cleanup(func() { nc.Close() })
	return nc
}

// rest reads until the server closes.
func rest(t *testing.T, nc net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(nc)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(err.Error(), "reset by peer") {
		t.Errorf("the server did not close: %v after %q", err, b)
	}
	return string(b)
}

// TestSlowClients gives up on clients that hold a connection and do nothing.
func TestSlowClients(t *testing.T) {
	const short = 30 * time.Millisecond
	certs := testCerts(t)
	o := Options{HandshakeTimeout: 10 * short, HeaderTimeout: short, IdleTimeout: short, BodyIdleTimeout: short}
	plain := open(t, o)
	o.Certificate = certs.Certificate
	secure := open(t, o)
	for _, c := range []struct {
		name, send string
		server     *Server
		certs      *Certs
		want       string
	}{
		{"no byte", "", plain, nil, ""},
		{"half a request line", "POST / HT", plain, nil, ""},
		{"half a header", "POST / HTTP/1.1\r\nHost: h\r\nX-", plain, nil, ""},
		{"half a body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc", plain, nil, "i/o timeout"},
		{"half a body that nobody wants", "POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc", plain, nil, "unread"},
		{"half a chunk", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", plain, nil, "i/o timeout"},
		{"idle after a request", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", plain, nil, "200 OK"},
		{"half a preface", "PRI * HTTP/2", plain, nil, ""},
		{"preface and no more", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", plain, nil, ""},
		{"no handshake", "", secure, nil, ""},
		{"half a handshake", "\x16\x03\x01\x00\xff", secure, nil, ""},
		{"half a header under TLS", "POST / HTTP/1.1\r\nHost: h\r\nX-", secure, certs, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			nc := dial(t, c.server, c.certs)
			if _, err := io.WriteString(nc, c.send); err != nil {
				t.Fatal(err)
			}
			if got := rest(t, nc); !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	drained(t, plain)
	drained(t, secure)
}

// drained waits for the server to have no connections left.
func drained(t *testing.T, s *Server) {
	t.Helper()
	deadline := clock.System().NewTimer(5 * time.Second)
	for s.Conns() > 0 {
		select {
		case <-deadline.C():
			t.Fatalf("%d connections left", s.Conns())
		default:
		}
		tick := clock.System().NewTimer(time.Millisecond)
		<-tick.C()
	}
}

// TestSlowBody lets an upload take many times its idle timeout, as long as it
// moves, and a handler longer than that after it.
func TestSlowBody(t *testing.T) {
	const idle = 300 * time.Millisecond
	s := open(t, Options{BodyIdleTimeout: idle, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		wait := clock.System().NewTimer(2 * idle)
		select {
		case <-wait.C():
		case <-r.Context().Done():
			err = context.Cause(r.Context())
		}
		fmt.Fprint(w, n, err)
	})})
	for name, set := range map[string]func(*http.Protocols){"HTTP/1.1": http1, "h2c": h2c} {
		pr, pw := io.Pipe()
		go func() {
			for range 30 {
				tick := clock.System().NewTimer(idle / 15)
				<-tick.C()
				_, _ = pw.Write([]byte("x"))
			}
			pw.Close()
		}()
		resp, err := client(t, nil, set).Post("http://"+s.Addr().String(), "text/plain", pr)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != "30 <nil>" {
			t.Errorf("%s: %s", name, body)
		}
	}
}

// TestBadBytes sends what is not to be served, in the clear and under TLS.
func TestBadBytes(t *testing.T) {
	certs := testCerts(t)
	plain, secure := open(t, Options{MaxHeaderBytes: 4096}), open(t, Options{Certificate: certs.Certificate})
	const smuggled = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, c := range []struct {
		server     *Server
		certs      *Certs
		send, want string
	}{
		{plain, nil, smuggled, "400 Bad Request"},
		{secure, certs, smuggled, "400 Bad Request"},
		{plain, nil, "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 16<<10) + "\r\n\r\n", "431 Request Header Fields Too Large"},
		{plain, nil, "\x16\x03\x01\x00\xff and more bytes\r\n\r\n", "400 Bad Request"},
		{secure, nil, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "This port speaks HTTPS"},
	} {
		nc := dial(t, c.server, c.certs)
		_, _ = io.WriteString(nc, c.send) // may be cut short by the refusal
		if got := rest(t, nc); !strings.Contains(got, c.want) || strings.Contains(got, "200 OK") {
			t.Errorf("%.40q: %q, want %q", c.send, got, c.want)
		}
	}
}

// TestMaxConns makes the second connection wait for the first.
func TestMaxConns(t *testing.T) {
	s := open(t, Options{MaxConns: 1})
	const request = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	first, second := dial(t, s, nil), dial(t, s, nil)
	if _, err := io.WriteString(second, request); err != nil {
		t.Fatal(err)
	}
	_ = second.SetReadDeadline(clock.System().Now().Add(50 * time.Millisecond))
	if n, err := second.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("a second connection was served: %d %v", n, err)
	}
	_, _ = io.WriteString(first, request)
	rest(t, first)
	_ = second.SetReadDeadline(clock.System().Now().Add(10 * time.Second))
	if got := rest(t, second); !strings.Contains(got, "200 OK") {
		t.Errorf("%q", got)
	}
}

// TestConnsDrawOnMemory bounds connections by the budget and gives back what
// they drew.
func TestConnsDrawOnMemory(t *testing.T) {
	memory := limits.NewBudget(7 * ConnBytes)
	s := open(t, Options{Memory: memory})
	if s.opts.MaxConns != 2 {
		t.Errorf("%d connections allowed, want a third of the budget's 7", s.opts.MaxConns)
	}
	nc := dial(t, s, nil)
	if _, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if used := memory.Used(); used != ConnBytes {
		t.Errorf("an open connection draws %d bytes, want %d", used, ConnBytes)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_ = nc.Close()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if used := memory.Used(); used != 0 {
		t.Errorf("%d bytes are drawn without a connection", used)
	}
}

func TestHijack(t *testing.T) {
	s := open(t, Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		line, _ := rw.ReadString('!')
		_, _ = io.WriteString(nc, line)
	})})
	nc := dial(t, s, nil)
	_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
	r := bufio.NewReader(nc)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 101 {
		t.Fatalf("%v %v", resp, err)
	}
	_, _ = io.WriteString(nc, "\n\n bare!")
	if got, _ := io.ReadAll(r); string(got) != "\n\n bare!" {
		t.Errorf("%q", got)
	}
}

// front reads one byte of each connection and hands it over.
type front struct {
	server  *Server
	plain   int
	mu      sync.Mutex
	stopped bool
}

type replay struct {
	net.Conn
	r io.Reader
}

func (r *replay) Read(p []byte) (int, error) { return r.r.Read(p) }
func (r *replay) NetConn() net.Conn          { return r.Conn }

func (f *front) Serve(_ context.Context, nc net.Conn) {
	var b [1]byte
	if _, err := io.ReadFull(nc, b[:]); err != nil {
		nc.Close()
		return
	}
	f.mu.Lock()
	f.plain++
	f.mu.Unlock()
	f.server.Take(&replay{nc, io.MultiReader(bytes.NewReader(b[:]), nc)})
}

func (f *front) Shutdown(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = true
	return nil
}

func TestFront(t *testing.T) {
	certs := testCerts(t)
	for _, c := range []struct {
		certs *Certs
		set   func(*http.Protocols)
		want  string
		seen  int
	}{
		{nil, http1, "HTTP/1.1 tls=false", 1},
		{nil, h2c, "HTTP/2.0 tls=false", 1},
		{certs, http1, "HTTP/1.1 tls=true", 1},
		{certs, http2, "HTTP/2.0 tls=true", 0},
	} {
		f := &front{}
		o, scheme := Options{Front: f, Handler: echo, Log: slog.New(slog.DiscardHandler), Clock: clock.System()}, "http://"
		if c.certs != nil {
			o.Certificate, scheme = c.certs.Certificate, "https://"
		}
		s, err := Open("127.0.0.1:0", o)
		if err != nil {
			t.Fatal(err)
		}
		f.server = s
		cl := client(t, c.certs, c.set)
		if got := post(t, cl, scheme+s.Addr().String(), "x"); !strings.HasPrefix(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
		idle := dial(t, s, nil) // stays with the front, or in the handshake
		cl.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		idle.Close()
		if !f.stopped || f.plain != c.seen {
			t.Errorf("%s: stopped %v, %d connections", c.want, f.stopped, f.plain)
		}
	}
}

// TestShutdown lets a request finish, refuses new ones, and tells streams.
func TestShutdown(t *testing.T) {
	started, finish, stopping := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s, err := Open("127.0.0.1:0", Options{Log: slog.New(slog.DiscardHandler), Clock: clock.System(),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(started)
			<-finish
			_, _ = io.WriteString(w, "finished")
		})})
	if err != nil {
		t.Fatal(err)
	}
	s.OnShutdown(func() { close(stopping) })
	got := make(chan string)
	cl := client(t, nil, http1)
	go func() { got <- post(t, cl, "http://"+s.Addr().String(), "") }()
	<-started
	stopped := make(chan error)
	go func() { stopped <- s.Shutdown(context.Background()) }()
	<-stopping
	if nc, err := net.Dial("tcp", s.Addr().String()); err == nil {
		nc.Close()
		t.Error("accepted while shutting down")
	}
	select {
	case err := <-stopped:
		t.Errorf("stopped under a request: %v", err)
	default:
	}
	close(finish)
	if body := <-got; body != "finished" {
		t.Errorf("%q", body)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("second shutdown: %v", err)
	}
	if n := s.Conns(); n != 0 {
		t.Errorf("%d connections left", n)
	}
}

// TestShutdownDeadline cuts off what does not end.
func TestShutdownDeadline(t *testing.T) {
	for name, set := range map[string]func(*http.Protocols){"HTTP/1.1": http1, "h2c": h2c} {
		started, ended := make(chan struct{}), make(chan struct{})
		s, err := Open("127.0.0.1:0", Options{Log: slog.New(slog.DiscardHandler), Clock: clock.System(),
			Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				close(started)
				<-r.Context().Done()
				close(ended)
			})})
		if err != nil {
			t.Fatal(err)
		}
		cl := client(t, nil, set)
		failed := make(chan error)
		go func() {
			resp, err := cl.Get("http://" + s.Addr().String())
			if err == nil {
				resp.Body.Close()
			}
			failed <- err
		}()
		<-started
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		err = s.Shutdown(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || errs.KindOf(err) != errs.Closed {
			t.Errorf("%s: %v", name, err)
		}
		<-ended
		if err := <-failed; err == nil {
			t.Errorf("%s: the client saw an answer", name)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	s := open(t, Options{})
	_, err := Open(s.Addr().String(), Options{Handler: echo, Log: slog.New(slog.DiscardHandler), Clock: clock.System()})
	if errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), "port 0") {
		t.Errorf("%v", err)
	}
}
