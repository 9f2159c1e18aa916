package lean

import (
	"net"
	"strings"
	"testing"
	"time"
)

// The signature was computed with botocore's SigV4Auth over the same request.
func TestSignature(t *testing.T) {
	s := &Signer{
		Host: "127.0.0.1:4566", AccessKey: "AKIDEXAMPLE", SecretKey: "secret", Region: "us-east-1",
		Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	}
	got := string(s.Request("ListStreams", []byte("{}")))
	if want := "Signature=632259376788acd659cf6e821f164d14565ca865037503e15bc59d06b6fea150\r\n"; !strings.Contains(got, want) {
		t.Errorf("no %q in\n%s", want, got)
	}
}

func TestReceive(t *testing.T) {
	for _, c := range []struct {
		name, wire, body string
		status           int
		close, fails     bool
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "{}", 200, false, false},
		{"empty", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "", 200, false, false},
		{"close", "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", "x", 400, true, false},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n", "abc", 200, false, false},
		{"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny", "y", 200, false, false},
		{"to the end", "HTTP/1.0 500 Oops\r\n\r\nall of it", "all of it", 500, true, false},
		{"cut off", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "", 0, false, true},
		{"no HTTP", "SSH-2.0-x\r\n\r\n", "", 0, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			near, far := net.Pipe()
			go func() {
				_, _ = far.Write([]byte(c.wire)) // the reader judges
				_ = far.Close()
			}()
			conn := newConn(near)
			r, err := conn.Receive()
			if (err != nil) != c.fails {
				t.Fatalf("err %v", err)
			}
			if !c.fails && (r.Status != c.status || string(r.Body) != c.body || r.Close != c.close) {
				t.Errorf("got %d %q close %v", r.Status, r.Body, r.Close)
			}
		})
	}
}

func TestScanPage(t *testing.T) {
	p, err := ScanPage([]byte(`{"Records":[{"SequenceNumber":"1"},{"SequenceNumber":"2"}],"NextShardIterator":"abc==","MillisBehindLatest":0}`))
	if err != nil || string(p.Next) != "abc==" || p.Records != 2 || !p.AtTip {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := ScanPage([]byte(`{"Records":[]}`)); err == nil {
		t.Error("a page without an iterator passed")
	}
}
