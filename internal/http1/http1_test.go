package http1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"thalweg/internal/clock"
)

// echo answers with what it saw, in a form that both paths can be compared by.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("X-Seen-Host", r.Host)
	w.Header().Set("X-Seen-Target", r.Header.Get("X-Amz-Target"))
	w.Header().Set("X-Seen-Length", fmt.Sprint(len(body)))
	w.Write(body)
}

type rig struct {
	addr   string
	srv    *Server
	moved  *atomic.Int64
	served *atomic.Int64
}

// start runs a Server over loopback whose fallback is a real net/http server.
func start(t *testing.T, handler http.HandlerFunc, tune ...func(*Server)) rig {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var moved, served atomic.Int64
	feed := &feedListener{conns: make(chan net.Conn), addr: ln.Addr(), done: make(chan struct{})}
	std := &http.Server{Handler: handler}
	std.Protocols = new(http.Protocols)
	std.Protocols.SetHTTP1(true)
	std.Protocols.SetUnencryptedHTTP2(true)
	go std.Serve(feed)
	s := &Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { served.Add(1); handler(w, r) }),
		Plain:    func(target string) bool { return target != "" && target != "Stream" },
		Fallback: func(c net.Conn) { moved.Add(1); feed.conns <- c },
		Clock:    clock.System(), Logger: slog.New(slog.DiscardHandler),
		HeadTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second,
	}
	for _, f := range tune {
		f(s)
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go s.Serve(context.Background(), c)
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		close(feed.done)
		std.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return rig{addr: ln.Addr().String(), srv: s, moved: &moved, served: &served}
}

type feedListener struct {
	conns chan net.Conn
	addr  net.Addr
	done  chan struct{}
}

func (l *feedListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *feedListener) Close() error   { return nil }
func (l *feedListener) Addr() net.Addr { return l.addr }

func TestPlainRequestsStayOnTheLoop(t *testing.T) {
	r := start(t, echo)
	client := &http.Client{}
	for _, size := range []int{0, 1, 1000, 40_000, 3 << 20} {
		body := bytes.Repeat([]byte("x"), size)
		for range 3 {
			req, _ := http.NewRequest("POST", "http://"+r.addr+"/", bytes.NewReader(body))
			req.Header.Set("X-Amz-Target", "Kinesis_20131202.PutRecord")
			if size == 0 {
				req.ContentLength, req.Body = 0, http.NoBody
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 || sha256.Sum256(got) != sha256.Sum256(body) ||
				resp.Header.Get("X-Seen-Host") != r.addr || resp.Header.Get("Date") == "" {
				t.Fatalf("size %d: %d, %d bytes back, headers %v", size, resp.StatusCode, len(got), resp.Header)
			}
		}
	}
	if r.served.Load() != 15 || r.moved.Load() != 0 {
		t.Fatalf("served %d here, moved %d", r.served.Load(), r.moved.Load())
	}
}

func TestEverythingElseMovesWithAllItsBytes(t *testing.T) {
	const first = "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\nContent-Length: 3\r\n\r\nabc"
	cases := map[string]string{
		"get":           "GET /x HTTP/1.1\r\nHost: h\r\n\r\n",
		"path":          "POST /x HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\nContent-Length: 1\r\n\r\nz",
		"chunked":       "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n",
		"both lengths":  "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n",
		"two lengths":   "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nzz",
		"stream":        "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: Stream\r\nContent-Length: 1\r\n\r\nz",
		"no target":     "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nz",
		"folded":        "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\n B\r\nContent-Length: 1\r\n\r\nz",
		"two hosts":     "POST / HTTP/1.1\r\nHost: h\r\nHost: i\r\nX-Amz-Target: A\r\nContent-Length: 1\r\n\r\nz",
		"signed length": "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\nContent-Length: +1\r\n\r\nz",
		"expect":        "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nz",
		"upgrade":       "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\nz",
		"old":           "POST / HTTP/1.0\r\nHost: h\r\nX-Amz-Target: A\r\nContent-Length: 1\r\n\r\nz",
		"bare lf":       "POST / HTTP/1.1\nHost: h\nX-Amz-Target: A\nContent-Length: 1\n\nz",
		"long head":     "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\nX-Pad: " + strings.Repeat("p", maxHead) + "\r\nContent-Length: 1\r\n\r\nz",
		"space in name": "POST / HTTP/1.1\r\nHost : h\r\nX-Amz-Target: A\r\nContent-Length: 1\r\n\r\nz",
	}
	for name, raw := range cases {
		for _, before := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s after %d", name, before), func(t *testing.T) {
				r := start(t, echo)
				here, _ := net.Dial("tcp", r.addr)
				defer here.Close()
				ref := refServer(t)
				there, _ := net.Dial("tcp", ref)
				defer there.Close()
				if got, want := talk(t, here, before, first, raw), talk(t, there, before, first, raw); got != want {
					t.Errorf("answer differs from net/http's:\n%s\nwant:\n%s", got, want)
				}
				if r.served.Load() != int64(before) || r.moved.Load() != 1 {
					t.Errorf("served %d here, moved %d", r.served.Load(), r.moved.Load())
				}
			})
		}
	}
}

func refServer(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	std := &http.Server{Handler: http.HandlerFunc(echo)}
	go std.Serve(ln)
	t.Cleanup(func() { std.Close() })
	return ln.Addr().String()
}

// talk sends n plain requests and then raw, all at once, half-closes, and
// returns the answers without their dates.
func talk(t *testing.T, c net.Conn, n int, first, raw string) string {
	t.Helper()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, strings.Repeat(first, n)+raw)
	c.(*net.TCPConn).CloseWrite()
	br := bufio.NewReader(c)
	var out strings.Builder
	for {
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			return out.String()
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode == 100 {
			continue
		}
		resp.Header.Del("Date")
		resp.Header.Del("Content-Type")
		keys := resp.Header
		fmt.Fprintf(&out, "%d %v %q\n", resp.StatusCode, keys, body)
	}
}

func TestHTTP2PrefaceMoves(t *testing.T) {
	r := start(t, echo)
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Post("http://"+r.addr+"/", "x", strings.NewReader("two"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, _ := io.ReadAll(resp.Body); string(got) != "two" || resp.ProtoMajor != 2 {
		t.Fatalf("%s %q", resp.Proto, got)
	}
}

func TestHeaderValuesDoNotLeakBetweenRequests(t *testing.T) {
	var seen []http.Header
	r := start(t, func(w http.ResponseWriter, req *http.Request) { seen = append(seen, maps.Clone(req.Header)) })
	c, _ := net.Dial("tcp", r.addr)
	defer c.Close()
	reqs := []string{
		"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\nX-B: 2\r\nContent-Length: 0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\nX-Bc:\r\nContent-Length: 0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\nContent-Length: 0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\nx-a:  3 \r\nContent-Length: 0\r\n\r\n",
	}
	talk(t, c, 0, "", strings.Join(reqs, ""))
	want := []string{"X-A=[1]", "X-B=[2]", "X-Bc=[]", "", "X-A=[3]"}
	if len(seen) != len(want) {
		t.Fatalf("%d requests seen", len(seen))
	}
	for i, h := range seen {
		delete(h, "X-Amz-Target")
		delete(h, "Content-Length")
		var got string
		for k, v := range h {
			got += fmt.Sprintf("%s=%v", k, v)
		}
		if got != want[i] {
			t.Errorf("request %d: %q, want %q", i, got, want[i])
		}
	}
}

func TestFlushedAnswersGoInChunks(t *testing.T) {
	r := start(t, func(w http.ResponseWriter, req *http.Request) {
		io.Copy(io.Discard, req.Body)
		for i := range 3 {
			w.Write(bytes.Repeat([]byte{byte('a' + i)}, 100_000))
			w.(http.Flusher).Flush()
			w.Write(nil)
		}
		w.Write([]byte("end"))
	})
	want := strings.Repeat("a", 100_000) + strings.Repeat("b", 100_000) + strings.Repeat("c", 100_000) + "end"
	for range 2 {
		req, _ := http.NewRequest("POST", "http://"+r.addr+"/", strings.NewReader("x"))
		req.Header.Set("X-Amz-Target", "A")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(got) != want || fmt.Sprint(resp.TransferEncoding) != "[chunked]" {
			t.Fatalf("%d bytes, %v, %v", len(got), resp.TransferEncoding, err)
		}
	}
	if r.served.Load() != 2 {
		t.Errorf("served %d here", r.served.Load())
	}
}

func TestPanicEndsOnlyTheConnection(t *testing.T) {
	r := start(t, func(w http.ResponseWriter, req *http.Request) { panic("boom") })
	for range 2 {
		c, _ := net.Dial("tcp", r.addr)
		if got := talk(t, c, 0, "", "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\nContent-Length: 0\r\n\r\n"); got != "" {
			t.Errorf("answered %q", got)
		}
		c.Close()
	}
}

func TestIdleConnectionEndsAtItsTime(t *testing.T) {
	r := start(t, echo, func(s *Server) { s.IdleTimeout = 50 * time.Millisecond })
	c, _ := net.Dial("tcp", r.addr)
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("read: %v, want EOF", err)
	}
}

// FuzzHead: whatever is plain must mean to net/http exactly what it means here.
// pipeConn is one end of a net.Pipe with a say in its deadlines and writes.
type pipeConn struct {
	net.Conn
	setRead func(time.Time) error
	write   func([]byte) (int, error)
}

func (c *pipeConn) SetReadDeadline(t time.Time) error {
	if c.setRead != nil {
		return c.setRead(t)
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *pipeConn) Write(p []byte) (int, error) {
	if c.write != nil {
		return c.write(p)
	}
	return c.Conn.Write(p)
}

// A Shutdown that comes just as a connection begins to wait ends the wait.
func TestShutdownMeetsConnectionGoingIdle(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	s := &Server{Clock: clock.System(), Logger: slog.New(slog.DiscardHandler), IdleTimeout: time.Minute}
	c := &pipeConn{Conn: near}
	stopped := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	begun := false
	c.setRead = func(at time.Time) error {
		if !begun {
			begun = true
			go func() { stopped <- s.Shutdown(ctx) }()
			for waits := false; !waits; runtime.Gosched() { // until it has been at every connection
				s.mu.Lock()
				waits = s.drained != nil
				s.mu.Unlock()
			}
		}
		return near.SetReadDeadline(at)
	}
	s.Serve(context.Background(), c)
	if err := <-stopped; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// After a write that failed half way nothing more is written: it would be taken
// for the rest of that answer.
func TestFailedWriteEndsConnection(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := &pipeConn{Conn: near, write: func(p []byte) (int, error) {
		if len(p) == inlineMax { // the second piece
			return len(p) / 2, context.DeadlineExceeded
		}
		return len(p), nil
	}}
	served := 0
	s := &Server{
		Clock: clock.System(), Logger: slog.New(slog.DiscardHandler), Plain: func(string) bool { return true },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			served++
			w.Header()["Content-Length"] = []string{fmt.Sprint(3 * inlineMax)}
			w.Write(make([]byte, 2*inlineMax))
			w.Write(make([]byte, inlineMax))
		}),
	}
	go func() {
		io.WriteString(far, strings.Repeat("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 2))
		far.Close()
	}()
	s.Serve(context.Background(), c)
	if served != 1 {
		t.Errorf("%d requests were served", served)
	}
}

func FuzzHead(f *testing.F) {
	f.Add([]byte("POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: A\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: h\r\nX-A:\t b \r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h := head{header: http.Header{}}
		n, v := h.parse(raw)
		if v != plain {
			return
		}
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			t.Fatalf("net/http refuses what is plain here: %v", err)
		}
		if req.Host != h.host || req.ContentLength != h.length || req.Close != h.close ||
			req.Header.Get("X-Amz-Target") != h.target || !maps.EqualFunc(req.Header, h.header, func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
			t.Fatalf("net/http: %q %d %v %v\nhere: %q %d %v %v", req.Host, req.ContentLength, req.Close, req.Header, h.host, h.length, h.close, h.header)
		}
		// A second pass over the same bytes takes the remembered lines.
		before := maps.Clone(h.header)
		if m, v := h.parse(raw); v != plain || m != n || !maps.EqualFunc(before, h.header, func(a, b []string) bool { return a[0] == b[0] }) {
			t.Fatalf("second pass differs")
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	reqBytes := []byte("POST / HTTP/1.1\r\nHost: 127.0.0.1:4566\r\nUser-Agent: bench\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: Kinesis_20131202.PutRecord\r\nContent-Length: 500\r\n\r\n" + strings.Repeat("x", 500))
	var sink [4096]byte
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.ReadFull(r.Body, sink[:500])
		w.Header()["Content-Type"] = []string{"application/x-amz-json-1.1"}
		w.Write(sink[:100])
	})
	for _, which := range []string{"loop", "net-http"} {
		b.Run(which, func(b *testing.B) {
			ln, _ := net.Listen("tcp", "127.0.0.1:0")
			defer ln.Close()
			if which == "loop" {
				s := &Server{Handler: handler, Plain: func(string) bool { return true }, Clock: clock.System(), Logger: slog.New(slog.DiscardHandler)}
				go func() {
					for {
						c, err := ln.Accept()
						if err != nil {
							return
						}
						go s.Serve(context.Background(), c)
					}
				}()
			} else {
				go (&http.Server{Handler: handler}).Serve(ln)
			}
			c, _ := net.Dial("tcp", ln.Addr().String())
			defer c.Close()
			br := bufio.NewReader(c)
			b.ReportAllocs()
			for b.Loop() {
				c.Write(reqBytes)
				if resp, err := http.ReadResponse(br, nil); err != nil {
					b.Fatal(err)
				} else {
					io.Copy(io.Discard, resp.Body)
				}
			}
		})
	}
}
