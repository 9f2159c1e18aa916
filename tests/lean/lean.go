// Package lean is a Kinesis client that costs next to nothing: requests are
// byte slices built (and signed) beforehand, sent over one keep-alive
// connection, and answers are read with the least HTTP/1.1 that servers use.
//
// It measures a server without the weight of an SDK, and, sharing no code with
// the product, checks its wire format and its signatures from outside. A Conn
// belongs to one goroutine. It speaks plain HTTP only.
package lean

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// Conn is one keep-alive connection.
type Conn struct {
	nc   net.Conn
	in   *bufio.Reader
	body []byte
}

// Response is one answer. Body is valid until the connection's next call.
type Response struct {
	Status int
	Body   []byte
	// Close tells that the server closes the connection after this answer.
	Close bool
}

// Dial connects to addr (host:port).
func Dial(addr string) (*Conn, error) {
	nc, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return newConn(nc), nil
}

func newConn(nc net.Conn) *Conn { return &Conn{nc: nc, in: bufio.NewReaderSize(nc, 64<<10)} }

// Close closes the connection.
func (c *Conn) Close() error { return c.nc.Close() }

// Do sends one request and reads its answer. After an error the connection is
// of no more use.
func (c *Conn) Do(request []byte) (Response, error) {
	if err := c.Send(request); err != nil {
		return Response{}, err
	}
	return c.Receive()
}

// Send writes bytes, whatever they are.
func (c *Conn) Send(b []byte) error {
	_, err := c.nc.Write(b)
	return err
}

// CloseWrite ends the sending side only.
func (c *Conn) CloseWrite() error {
	if tcp, ok := c.nc.(*net.TCPConn); ok {
		return tcp.CloseWrite()
	}
	return errors.New("close write: no TCP connection")
}

// SetDeadline bounds every later Send and Receive.
func (c *Conn) SetDeadline(t time.Time) error { return c.nc.SetDeadline(t) }

// Receive reads one answer; interim ones (1xx) are passed over.
func (c *Conn) Receive() (Response, error) {
	for {
		r, err := c.receive()
		if err != nil || r.Status >= 200 {
			return r, err
		}
	}
}

func (c *Conn) receive() (Response, error) {
	line, err := c.line()
	if err != nil {
		return Response{}, err
	}
	// "HTTP/1.1 200 OK"
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return Response{}, fmt.Errorf("read status line: %q", line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return Response{}, fmt.Errorf("read status line: %q", line)
	}
	r := Response{Status: status}
	length, chunked := int64(-1), false
	for {
		line, err := c.line()
		if err != nil {
			return Response{}, err
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return Response{}, fmt.Errorf("read content length: %w", err)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("Connection")):
			r.Close = bytes.EqualFold(value, []byte("close"))
		}
	}
	c.body = c.body[:0]
	switch {
	case status < 200 || status == 204 || status == 304:
	case chunked:
		err = c.readChunks()
	case length >= 0:
		err = c.readBody(length)
	default:
		r.Close = true
		c.body, err = io.ReadAll(c.in)
	}
	r.Body = c.body
	return r, err
}

// line reads up to CRLF, which it cuts off. It is valid until the next read.
func (c *Conn) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

func (c *Conn) readBody(n int64) error {
	start := len(c.body)
	if need := start + int(n); cap(c.body) < need {
		c.body = append(make([]byte, 0, need), c.body...)
	}
	c.body = c.body[:start+int(n)]
	_, err := io.ReadFull(c.in, c.body[start:])
	return err
}

func (c *Conn) readChunks() error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseInt(string(size), 16, 32)
		if err != nil {
			return fmt.Errorf("read chunk size: %w", err)
		}
		if n > 0 {
			if err := c.readBody(n); err != nil {
				return err
			}
		}
		if _, err := c.line(); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
	}
}
