package http1

import (
	"bytes"
	"net/http"
	"net/textproto"
)

// verdict is what the bytes of a request head amount to.
type verdict uint8

const (
	incomplete verdict = iota
	plain
	other
	ended
)

// slot is one header line of the last request on the connection, kept because
// clients send the same names in the same order, and mostly the same values.
type slot struct {
	line   string   // as on the wire, without the CRLF
	key    string   // the name, canonical
	values []string // the one value, as it stands in the header map under key
}

// head is a parsed request head. Its strings are copies; its map is used again.
type head struct {
	header http.Header
	host   string
	target string // X-Amz-Target
	length int64
	close  bool

	slots []slot
	used  int // slots of the request at hand
}

var requestLine = []byte("POST / HTTP/1.1\r\n")

// parse reads a head from the front of buf. n is its length when plain.
// It keeps nothing of buf.
func (h *head) parse(buf []byte) (n int, v verdict) {
	if len(buf) < len(requestLine) {
		if bytes.HasPrefix(requestLine, buf) {
			return 0, incomplete
		}
		return 0, other
	}
	if !bytes.HasPrefix(buf, requestLine) {
		return 0, other
	}
	end := bytes.Index(buf, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, incomplete
	}
	h.host, h.target, h.length, h.close = "", "", -1, false
	h.used = 0
	same := true // each line so far has the name of the line before it
	lines := buf[len(requestLine)-2 : end]
	for len(lines) > 0 {
		lines = lines[2:] // the CRLF that ended the line before
		line := lines
		if i := bytes.Index(lines, []byte("\r\n")); i >= 0 {
			line = lines[:i]
		}
		lines = lines[len(line):]
		named, ok := h.put(line)
		if !ok {
			return 0, other
		}
		same = same && named
	}
	if !same || h.used != len(h.slots) {
		if !h.rebuild() {
			return 0, other
		}
	}
	if !h.special() {
		return 0, other
	}
	return end + 4, plain
}

// put stores one line in the next slot. same tells that the slot had this name
// before, ok that the line is well formed.
func (h *head) put(line []byte) (same, ok bool) {
	if h.used == len(h.slots) {
		h.slots = append(h.slots, slot{})
	}
	s := &h.slots[h.used]
	h.used++
	if s.line == string(line) && s.key != "" {
		return true, true
	}
	name, value, ok := splitLine(line)
	if !ok {
		return false, false
	}
	same = s.key != "" && len(s.line) >= len(name) && s.line[:len(name)] == string(name) && s.line[len(name)] == ':'
	s.line = string(line)
	if !same {
		s.key = textproto.CanonicalMIMEHeaderKey(s.line[:len(name)])
		s.values = make([]string, 1)
	}
	// value is a part of line, so its string can share the line's bytes.
	at := len(name) + 1 + bytes.Index(line[len(name)+1:], value)
	s.values[0] = s.line[at : at+len(value)]
	return same, true
}

// rebuild fills the header map from the slots; false when a name comes twice.
// Host stands in the request and not in the map, as net/http has it.
func (h *head) rebuild() bool {
	h.slots = h.slots[:h.used]
	clear(h.header)
	for i := range h.slots {
		s := &h.slots[i]
		if _, twice := h.header[s.key]; twice {
			return false
		}
		h.header[s.key] = s.values
	}
	delete(h.header, "Host")
	return true
}

// special looks at the headers that frame the message and decides whether the
// request is plain.
func (h *head) special() bool {
	if len(h.header["Transfer-Encoding"])+len(h.header["Upgrade"])+len(h.header["Expect"])+
		len(h.header["Trailer"])+len(h.header["Te"]) > 0 {
		return false
	}
	for i := range h.slots {
		s := &h.slots[i]
		switch s.key {
		case "Host":
			h.host = s.values[0]
		case "Content-Length":
			h.length = contentLength(s.values[0])
		case "Connection":
			switch s.values[0] {
			case "keep-alive", "Keep-Alive":
			case "close":
				h.close = true
			default:
				return false
			}
		case "X-Amz-Target":
			h.target = s.values[0]
		}
	}
	return h.host != "" && h.length >= 0
}

// splitLine cuts `name: value`, without the white space around the value, and
// refuses everything that RFC 9110 does not allow in either.
func splitLine(line []byte) (name, value []byte, ok bool) {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return nil, nil, false
	}
	name = line[:i]
	for _, b := range name {
		if !tokenByte[b] {
			return nil, nil, false
		}
	}
	value = bytes.Trim(line[i+1:], " \t")
	for _, b := range value {
		if b < 0x20 && b != '\t' || b >= 0x7f {
			return nil, nil, false
		}
	}
	return name, value, true
}

// contentLength reads 1*DIGIT of at most 18 digits, else -1.
func contentLength(s string) int64 {
	if len(s) == 0 || len(s) > 18 {
		return -1
	}
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n
}

// tokenByte tells the bytes of a header name (RFC 9110 section 5.6.2).
var tokenByte = func() (t [256]bool) {
	for _, b := range []byte("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		t[b] = true
	}
	return t
}()
