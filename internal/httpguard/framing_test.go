package httpguard

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"thalweg/internal/clock"
)

const get = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n"

// corpus has a byte stream and the number of requests that may be served from
// it. bad streams must be answered 400 (or 501, net/http's own) after those.
var corpus = []struct {
	name, stream string
	served       int
	bad          bool
}{
	{"get", get, 1, false},
	{"pipelined", get + get + get, 3, false},
	{"length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" + get, 2, false},
	{"length 0", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n" + get, 2, false},
	{"body that looks like a request", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 32\r\n\r\n" + get + get, 2, false},
	{"chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0A;x=y\r\n0123456789\r\n0\r\n\r\n" + get, 2, false},
	{"trailers", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nTrailer: a\r\n\r\n0\r\nA: b\r\n\r\n" + get, 2, false},
	{"long header", "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 5000) + "\r\n\r\n" + get, 2, false},
	{"absolute form", "GET http://h/x HTTP/1.1\r\nHost: h\r\n\r\n" + get, 2, false},
	{"HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n" + get, 2, false},

	{"length and coding", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get, 0, true},
	{"coding and length", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + get, 0, true},
	{"two lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd" + get, 0, true},
	{"two equal lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc" + get, 0, true},
	{"list of lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\nabc" + get, 0, true},
	{"signed length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc" + get, 0, true},
	{"hexadecimal length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x3\r\n\r\nabc" + get, 0, true},
	{"two codings", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + get, 0, true},
	{"coding in disguise", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + get, 0, true},
	{"coding after a vertical tab", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n" + get, 0, true},
	{"coding name with a space", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + get, 0, true},
	{"coding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get, 0, true},
	{"coding in HTTP/1.0, long line", "POST /" + strings.Repeat("x", 4000) + " HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get, 0, true},
	{"folded header", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 0, true},
	{"folded coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + get, 0, true},
	{"folded first header", "GET / HTTP/1.1\r\n Host: h\r\nHost: h\r\n\r\n", 0, true},
	{"bare LF after the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", 0, true},
	{"bare LF after a header", "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 0, true},
	{"bare LF to end the header", "GET / HTTP/1.1\r\nHost: h\r\n\n" + get, 0, true},
	{"all bare LF", "GET / HTTP/1.1\nHost: h\n\n", 0, true},
	{"bare CR", "GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", 0, true},
	{"two hosts", "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 0, true},
	{"no host", "GET / HTTP/1.1\r\n\r\n", 0, true},
	{"host in the target and another", "GET http://evil/ HTTP/1.1\r\nHost: h\r\n\r\n", 0, true},
	{"second request bad", get + "GET / HTTP/1.1\nHost: h\n\n", 1, true},
	{"chunk size in words", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n" + get, 1, true},
	{"chunk size with a sign", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n" + get, 1, true},
	{"chunk size too large", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n" + get, 1, true},
	{"chunk longer than its size", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n" + get, 1, true},
	{"bare LF in a chunk extension", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x\nabc\r\n0\r\n\r\n" + get, 1, true},
	{"folded trailer", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n" + get, 1, true},
}

// TestSmuggling serves each stream with net/http behind a Conn, as one write and
// byte by byte, and counts.
func TestSmuggling(t *testing.T) {
	for _, c := range corpus {
		for _, step := range []int{len(c.stream), 1} {
			served, answer := serve(t, c.stream, step)
			if len(served) != c.served {
				t.Errorf("%s, %d bytes at a time: served %q, want %d", c.name, step, served, c.served)
			}
			refused := strings.Contains(answer, " 400 Bad Request") || strings.Contains(answer, " 501 Not Implemented")
			// A body that breaks off is the handler's to refuse; no more is served.
			if c.bad && !refused && !strings.Contains(answer, "body: ") {
				t.Errorf("%s, %d bytes at a time: not refused: %q", c.name, step, answer)
			}
			if !c.bad && refused {
				t.Errorf("%s, %d bytes at a time: refused: %q", c.name, step, answer)
			}
		}
	}
}

// serve returns the targets that a server answered and all it wrote.
func serve(t *testing.T, stream string, step int) (served []string, answer string) {
	t.Helper()
	client, server := net.Pipe()
	done := make(chan struct{})
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			served = append(served, r.RequestURI)
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				w.Header().Set("Connection", "close")
				http.Error(w, "body: "+err.Error(), http.StatusUnprocessableEntity)
			}
		}),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed {
				close(done)
			}
		},
	}
	go srv.Serve(&oneConn{conn: NewConn(server, clock.System(), time.Second), done: done})
	go func() {
		for p := []byte(stream); len(p) > 0; {
			n, err := client.Write(p[:min(step, len(p))])
			if err != nil {
				return // refused before its end
			}
			p = p[n:]
		}
		// What follows ends the conversation: a last request that asks for it.
		_, _ = io.WriteString(client, "GET /bye HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	}()
	_ = client.SetReadDeadline(clock.System().Now().Add(10 * time.Second))
	all, err := io.ReadAll(client)
	if err != nil {
		t.Errorf("read: %v after %q", err, all)
	}
	client.Close()
	<-done
	srv.Close()
	if n := len(served); n > 0 && served[n-1] == "/bye" {
		served = served[:n-1]
	}
	return served, string(all)
}

type oneConn struct {
	conn net.Conn
	done chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// TestPassThrough lets HTTP/2 and hijacked connections alone.
func TestPassThrough(t *testing.T) {
	for _, stream := range []string{preface + "\n\n\x00bare", preface[:10]} {
		var f framer
		for i := range stream {
			if f.feed([]byte(stream[i:i+1])) != 1 {
				t.Fatalf("%q: refused at %d", stream, i)
			}
		}
	}
	client, server := net.Pipe()
	c := NewConn(server, clock.System(), 0)
	c.Release()
	go client.Write([]byte("\n\n"))
	if n, err := c.Read(make([]byte, 2)); n != 2 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	client.Close()
	server.Close()
}

// TestWriteStall writes to a client that does not read.
func TestWriteStall(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	c := NewConn(server, clock.System(), time.Millisecond)
	var timeout net.Error
	if _, err := c.Write([]byte("x")); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("write: %v", err)
	}
	// A handler's own deadline holds instead, until it is taken away.
	if err := c.SetWriteDeadline(clock.System().Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	go io.ReadFull(client, make([]byte, 1))
	if _, err := c.Write([]byte("x")); err != nil {
		t.Errorf("write under an own deadline: %v", err)
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); !errors.As(err, &timeout) {
		t.Errorf("write after that: %v", err)
	}
}

// FuzzFramer compares the framer with net/http's own reading of a stream. Where
// the framer lets bytes pass, both must find the same messages; and how the
// bytes arrive makes no difference.
func FuzzFramer(f *testing.F) {
	for _, c := range corpus {
		f.Add([]byte(c.stream), 7)
	}
	f.Fuzz(func(t *testing.T, stream []byte, split int) {
		var whole framer
		passed := whole.feed(stream)
		var parts framer
		got := 0
		for rest := stream; len(rest) > 0; {
			n := min(len(rest), max(1, split%64))
			ok := parts.feed(rest[:n])
			got += ok
			if ok < n {
				break
			}
			rest = rest[n:]
		}
		if got != passed {
			t.Fatalf("%d bytes in parts, %d at once", got, passed)
		}
		if whole.state == opaque {
			return
		}
		// Count the messages that end within what passed.
		mine := 0
		var again framer
		for i := range passed {
			before := again.state
			again.feed(stream[i : i+1])
			if again.state == inRequestLine && before != inRequestLine && before != inPreface {
				mine++
			}
		}
		r := bufio.NewReader(bytes.NewReader(stream[:passed]))
		theirs := 0
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				break
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				break
			}
			theirs++
		}
		if theirs > mine {
			t.Fatalf("net/http finds %d messages, the framer %d in %q", theirs, mine, stream[:passed])
		}
	})
}

func BenchmarkFeed(b *testing.B) {
	msg := []byte("POST / HTTP/1.1\r\nHost: localhost:4566\r\nUser-Agent: aws-sdk-go-v2/1.47.7\r\nContent-Length: 1024\r\n" +
		"Amz-Sdk-Invocation-Id: 7c1c7a3e-9a4f-4d8e-8a3c-1f6f1d8f6f10\r\nAmz-Sdk-Request: attempt=1; max=3\r\n" +
		"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/kinesis/aws4_request, SignedHeaders=host;x-amz-date, Signature=" +
		strings.Repeat("a", 64) + "\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Date: 20261123T052000Z\r\n" +
		"X-Amz-Target: Kinesis_20131202.PutRecord\r\n\r\n" + strings.Repeat("x", 1024))
	var f framer
	b.ReportAllocs()
	for b.Loop() {
		if f.feed(msg) != len(msg) {
			b.Fatal("refused")
		}
	}
}
