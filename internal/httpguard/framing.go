package httpguard

import (
	"bytes"
	"errors"
	"strings"
)

// ErrFraming is what reading a guarded connection gives when its requests are
// not clearly divided from each other. net/http answers 400 to it and closes.
var ErrFraming = errors.New("ambiguous HTTP framing")

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" // RFC 9113 section 3.4

// maxLine bounds how much of a line is kept. Longer lines are followed to their
// end; none of those that matter here is longer.
const maxLine = 256

type framerState uint8

const (
	inPreface     framerState = iota // at the connection's first bytes
	inRequestLine                    // at the start of a message
	inHeaders
	inBody      // left bytes of body to go, then the next message
	inChunkSize // at a chunk's size line
	inChunk     // left bytes of chunk to go
	inChunkEnd  // at the line end after a chunk
	inTrailers
	opaque // not HTTP/1: nothing is checked
)

// framer follows the message framing of the requests on one HTTP/1 connection
// (RFC 9112 sections 2.2, 5.2, 6 and 7.1). It refuses what servers and proxies
// are known to read in different ways and net/http lets pass: lines that end in
// a bare LF, folded headers, Content-Length together with Transfer-Encoding or
// more than once, Transfer-Encoding in HTTP/1.0 or more than once, and a request
// target that names another host than Host does.
type framer struct {
	state framerState
	left  int64

	line []byte   // the line so far, at most maxLine bytes
	size int      // its whole length
	tail [10]byte // its last bytes

	http10   bool
	lengths  int // Content-Length headers
	codings  int // Transfer-Encoding headers
	length   int64
	absolute string // host in the request target
	host     string
}

// feed follows p and returns how many of its bytes may be passed on. When that
// is not all of them, the next byte would complete something ambiguous.
func (f *framer) feed(p []byte) int {
	for i := 0; i < len(p); {
		switch f.state {
		case opaque:
			return len(p)
		case inPreface:
			n := min(len(p)-i, len(preface)-f.size)
			if string(p[i:i+n]) != preface[f.size:f.size+n] {
				// Not HTTP/2: what has matched so far begins a request line.
				matched := f.size
				f.size = 0
				f.keep([]byte(preface[:matched]))
				f.state = inRequestLine
				if j := bytes.IndexByte(f.line, '\n'); j >= 0 {
					return i // a request for the target "*" of HTTP/2.0
				}
				continue
			}
			i += n
			if f.size += n; f.size == len(preface) {
				f.state = opaque
			}
		case inBody, inChunk:
			n := min(int64(len(p)-i), f.left)
			i += int(n)
			if f.left -= n; f.left > 0 {
				continue
			}
			if f.state == inChunk {
				f.state = inChunkEnd
			} else {
				f.next()
			}
		default:
			j := bytes.IndexByte(p[i:], '\n')
			if j < 0 {
				f.keep(p[i:])
				return len(p)
			}
			f.keep(p[i : i+j])
			if f.size == 0 || f.tail[len(f.tail)-1] != '\r' || !f.endLine() {
				return i + j
			}
			f.line, f.size = f.line[:0], 0
			i += j + 1
		}
	}
	return len(p)
}

// next stands at the start of another message.
func (f *framer) next() {
	*f = framer{state: inRequestLine, line: f.line[:0]}
}

func (f *framer) keep(p []byte) {
	f.size += len(p)
	f.line = append(f.line, p[:min(len(p), max(0, maxLine-len(f.line)))]...)
	n := min(len(p), len(f.tail))
	copy(f.tail[:], f.tail[n:])
	copy(f.tail[len(f.tail)-n:], p[len(p)-n:])
}

// endLine takes one whole line and reports whether it is clear.
func (f *framer) endLine() bool {
	whole := f.size <= maxLine
	line := f.line
	if whole {
		line = line[:f.size-1]
	}
	switch f.state {
	case inRequestLine:
		f.requestLine(line)
		f.state = inHeaders
		return true
	case inHeaders:
		if len(line) == 0 {
			return f.endHeaders()
		}
		return f.header(line, whole)
	case inTrailers:
		if len(line) == 0 {
			f.next()
			return true
		}
		return line[0] != ' ' && line[0] != '\t'
	case inChunkSize:
		return whole && f.chunkSize(line)
	default: // inChunkEnd
		f.state = inChunkSize
		return len(line) == 0
	}
}

// requestLine notes what decides about framing. A line that is not one is
// net/http's to refuse.
func (f *framer) requestLine(line []byte) {
	f.http10 = string(f.tail[:]) == " HTTP/1.0\r"
	_, target, _ := bytes.Cut(line, []byte(" "))
	scheme, rest, ok := bytes.Cut(target, []byte("://"))
	if !ok || bytes.ContainsAny(scheme, "/? ") {
		return
	}
	if i := bytes.IndexAny(rest, "/? "); i >= 0 {
		rest = rest[:i]
	}
	f.absolute = string(rest)
}

// header takes one header line.
func (f *framer) header(line []byte, whole bool) bool {
	if line[0] == ' ' || line[0] == '\t' {
		return false
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) > len("transfer-encoding") {
		return true
	}
	// A switch on a folded copy would allocate for every header.
	switch len(name) {
	case len("host"):
		if strings.EqualFold(string(name), "host") {
			if f.absolute != "" {
				f.host = string(bytes.Trim(value, " \t"))
			}
			return whole
		}
	case len("content-length"):
		if strings.EqualFold(string(name), "content-length") {
			f.lengths++
			f.length, ok = decimal(bytes.Trim(value, " \t"))
			return whole && ok && f.lengths == 1
		}
	case len("transfer-encoding"):
		if strings.EqualFold(string(name), "transfer-encoding") {
			f.codings++
			return whole && f.codings == 1 && !f.http10 &&
				strings.EqualFold(string(bytes.Trim(value, " \t")), "chunked")
		}
	}
	return true
}

func (f *framer) endHeaders() bool {
	switch {
	case f.lengths > 0 && f.codings > 0:
		return false
	case f.absolute != "" && !strings.EqualFold(f.absolute, f.host):
		return false
	case f.codings > 0:
		f.state = inChunkSize
	case f.length > 0:
		f.state, f.left = inBody, f.length
	default:
		f.next()
	}
	return true
}

// chunkSize takes a chunk's size line. Extensions are allowed, white space
// before them is not.
func (f *framer) chunkSize(line []byte) bool {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	if len(digits) == 0 || len(digits) > 15 {
		return false
	}
	var n int64
	for _, c := range digits {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | int64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | int64(c-'a'+10)
		case 'A' <= c && c <= 'F':
			n = n<<4 | int64(c-'A'+10)
		default:
			return false
		}
	}
	if f.left, f.state = n, inChunk; n == 0 {
		f.state = inTrailers
	}
	return true
}

// decimal reads 1 to 18 digits.
func decimal(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
