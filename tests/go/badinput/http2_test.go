package badinput

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// Frame types and flags of RFC 9113, section 6.
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameReset        = 0x3
	frameSettings     = 0x4
	framePing         = 0x6
	frameWindow       = 0x8
	frameContinuation = 0x9

	endStream  = 0x1
	endHeaders = 0x4

	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// frame is one HTTP/2 frame as it goes over the wire (RFC 9113, section 4.1).
func frame(length int, kind, flags byte, stream uint32, payload []byte) []byte {
	out := []byte{byte(length >> 16), byte(length >> 8), byte(length), kind, flags}
	out = binary.BigEndian.AppendUint32(out, stream)
	return append(out, payload...)
}

// headerBlock is a request's header in HPACK without Huffman coding (RFC 7541):
// POST, / and http from the static table, the rest spelled out.
func headerBlock(host string) []byte {
	out := []byte{0x83, 0x84, 0x86, 0x01, byte(len(host))}
	out = append(out, host...)
	for _, field := range [][2]string{{"x-amz-target", "Kinesis_20131202.ListStreams"}} {
		out = append(append(out, 0x00, byte(len(field[0]))), field[0]...)
		out = append(append(out, byte(len(field[1]))), field[1]...)
	}
	return out
}

// TestBadHTTP2 speaks HTTP/2 by prior knowledge, badly: the server ends the
// connection where the protocol asks for it, and in any case goes on serving
// others within its memory.
func TestBadHTTP2(t *testing.T) {
	s := newSuite(t)
	header := headerBlock(s.server.Addr())
	settings := frame(0, frameSettings, 0, 0, nil)
	many := func(n int, one func(stream uint32) []byte) []byte {
		var out []byte
		for i := range n {
			out = append(out, one(uint32(2*i+1))...)
		}
		return out
	}
	for _, c := range []struct {
		name string
		sent []byte // after the preface
		ends bool   // the protocol asks for an end of the connection
	}{
		{"no settings", frame(4, framePing, 0, 0, make([]byte, 4)), true},
		{"noise", bytes.Repeat([]byte("noise, and nothing else. "), 100), true},
		{"a frame of 16 MiB", append(bytes.Clone(settings), frame(1<<24-1, frameData, 0, 1, make([]byte, 4096))...), true},
		{"data on stream 0", append(bytes.Clone(settings), frame(4, frameData, 0, 0, []byte("data"))...), true},
		{"data on an idle stream", append(bytes.Clone(settings), frame(4, frameData, 0, 7, []byte("data"))...), true},
		{"headers that are no HPACK", append(bytes.Clone(settings), frame(4, frameHeaders, endHeaders, 1, []byte{0xff, 0xff, 0xff, 0xff})...), true},
		{"an even stream", append(bytes.Clone(settings), frame(len(header), frameHeaders, endHeaders|endStream, 2, header)...), true},
		{"continuation of nothing", append(bytes.Clone(settings), frame(4, frameContinuation, endHeaders, 1, []byte("data"))...), true},
		{"continuations without end", append(append(bytes.Clone(settings), frame(len(header), frameHeaders, 0, 1, header)...),
			many(20_000, func(uint32) []byte { return frame(64, frameContinuation, 0, 1, bytes.Repeat([]byte{0x82}, 64)) })...), true},
		{"a window beyond 2^31", append(bytes.Clone(settings), frame(4, frameWindow, 0, 0, []byte{0x7f, 0xff, 0xff, 0xff})...), true},
		{"20,000 streams opened and reset", append(bytes.Clone(settings), many(20_000, func(stream uint32) []byte {
			open := frame(len(header), frameHeaders, endHeaders, stream, header)
			return append(open, frame(4, frameReset, 0, stream, make([]byte, 4))...)
		})...), false},
		{"20,000 pings", append(bytes.Clone(settings), many(20_000, func(uint32) []byte {
			return frame(8, framePing, 0, 0, make([]byte, 8))
		})...), false},
		{"5,000 streams left open", append(bytes.Clone(settings), many(5000, func(stream uint32) []byte {
			return frame(len(header), frameHeaders, endHeaders, stream, header)
		})...), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", s.server.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() {
				_, err := io.Copy(io.Discard, conn)
				ended <- err
			}()
			_, sendErr := conn.Write(append([]byte(preface), c.sent...))
			if c.ends {
				if err := <-ended; err != nil && !isEnd(err) {
					t.Errorf("the connection goes on: %v", errors.Join(sendErr, err))
				}
			}
			s.good(t)
		})
	}
	s.empty(t)
	mem := s.rss(t)
	t.Logf("server at %d MB, at most %d MB", mem.RSS/1e6, mem.Peak/1e6)
}
