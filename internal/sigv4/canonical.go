package sigv4

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// pathMode says how a path becomes canonical.
type pathMode uint8

const (
	pathNormal  pathMode = 0         // dot segments resolved, slashes merged, encoded again
	pathAsIs    pathMode = 1 << iota // neither resolved nor merged
	pathEncOnce                      // decoded first, so that it ends up encoded once
)

func (r *Rules) pathMode() pathMode {
	if r.S3Path {
		return pathAsIs | pathEncOnce
	}
	return pathNormal
}

// pair is one query parameter; its name and value, encoded, stand in scratch.tmp
// as tmp[start:mid] and tmp[mid:end].
type pair struct{ start, mid, end int }

// scratch is the memory that one canonicalisation uses.
type scratch struct {
	buf   []byte // the canonical request, then the string to sign
	tmp   []byte // encoded query parameters
	pairs []pair
}

// canonicalRequest builds the canonical request in s.buf. It fails, with ok
// false, for what no client could have signed: a query or S3 path with a broken
// escape, or a list of signed headers that is out of order or names an absent one.
func (s *scratch) canonicalRequest(r *http.Request, a *Auth, payloadHash []byte, mode pathMode) (ok bool) {
	path, query := target(r)
	b := append(s.buf[:0], r.Method...)
	b = append(b, '\n')
	if b, ok = appendPath(b, path, mode); !ok {
		return false
	}
	b = append(b, '\n')
	if query != "" {
		if b, ok = s.appendQuery(b, query, a.Presigned); !ok {
			return false
		}
	}
	b = append(b, '\n')
	if b, ok = appendHeaders(b, r, a.SignedHeaders); !ok {
		return false
	}
	b = append(b, '\n')
	b = append(b, a.SignedHeaders...)
	b = append(b, '\n')
	s.buf = append(b, payloadHash...)
	return true
}

func appendPath(b []byte, path string, mode pathMode) ([]byte, bool) {
	if path == "" || path == "/" {
		return append(b, '/'), true
	}
	if mode&pathEncOnce != 0 {
		return appendReencoded(b, path, true, false)
	}
	if mode&pathAsIs != 0 {
		return appendEncoded(b, path, true), true
	}
	base := len(b)
	for rest := path; rest != ""; {
		var segment string
		segment, rest, _ = strings.Cut(rest, "/")
		switch segment {
		case "", ".":
		case "..":
			b = b[:base+max(0, bytes.LastIndexByte(b[base:], '/'))]
		default:
			b = append(b, '/')
			b = appendEncoded(b, segment, false)
		}
	}
	if len(b) == base || path[len(path)-1] == '/' {
		b = append(b, '/')
	}
	return b, true
}

// appendQuery appends the parameters in the order of their encoded forms. The
// signature of a presigned request is not part of what was signed.
func (s *scratch) appendQuery(b []byte, query string, presigned bool) ([]byte, bool) {
	s.tmp, s.pairs = s.tmp[:0], s.pairs[:0]
	for key, value := range params(query) {
		p := pair{start: len(s.tmp)}
		var ok bool
		if s.tmp, ok = appendReencoded(s.tmp, key, false, true); !ok {
			return b, false
		}
		p.mid = len(s.tmp)
		if presigned && string(s.tmp[p.start:p.mid]) == "X-Amz-Signature" {
			s.tmp = s.tmp[:p.start]
			continue
		}
		if s.tmp, ok = appendReencoded(s.tmp, value, false, true); !ok {
			return b, false
		}
		p.end = len(s.tmp)
		s.pairs = append(s.pairs, p)
	}
	tmp := s.tmp
	slices.SortFunc(s.pairs, func(x, y pair) int {
		if c := bytes.Compare(tmp[x.start:x.mid], tmp[y.start:y.mid]); c != 0 {
			return c
		}
		return bytes.Compare(tmp[x.mid:x.end], tmp[y.mid:y.end])
	})
	for i, p := range s.pairs {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, tmp[p.start:p.mid]...)
		b = append(b, '=')
		b = append(b, tmp[p.mid:p.end]...)
	}
	return b, true
}

// appendHeaders appends one "name:value" line for each signed header. The names
// must be in lower case, rising, and there.
func appendHeaders(b []byte, r *http.Request, signed string) ([]byte, bool) {
	last := ""
	for rest, more := signed, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, ";")
		if name <= last || !lowerName(name) {
			return b, false
		}
		last = name
		b = append(b, name...)
		b = append(b, ':')
		switch name {
		case "host", ":authority":
			b = appendCollapsed(b, host(r))
		case "transfer-encoding":
			if len(r.TransferEncoding) == 0 {
				return b, false
			}
			for i, v := range r.TransferEncoding {
				if i > 0 {
					b = append(b, ',')
				}
				b = append(b, v...)
			}
		default:
			values, ok := headerValues(r.Header, name)
			if !ok {
				if name != "content-length" || r.ContentLength < 0 {
					return b, false
				}
				b = strconv.AppendInt(b, r.ContentLength, 10)
			}
			for i, v := range values {
				if i > 0 {
					b = append(b, ',')
				}
				b = appendCollapsed(b, v)
			}
		}
		b = append(b, '\n')
	}
	return b, true
}

// host returns the Host header or the :authority of a request, or where a
// client's request goes.
func host(r *http.Request) string {
	if r.Host != "" || r.URL == nil {
		return r.Host
	}
	return r.URL.Host
}

// lowerName reports whether name can be a header's name in lower case.
func lowerName(name string) bool {
	if name == ":authority" {
		return true
	}
	for i := range len(name) {
		c := name[i]
		if c <= ' ' || c >= 0x7f || c == ':' || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return name != ""
}

// headerValues looks up a lower-case name without making its canonical string.
func headerValues(h http.Header, name string) ([]string, bool) {
	var stack [64]byte
	key := append(stack[:0], name...)
	upper := true
	for i, c := range key {
		if upper && 'a' <= c && c <= 'z' {
			key[i] = c - ('a' - 'A')
		}
		upper = c == '-'
	}
	values, ok := h[string(key)]
	return values, ok
}

// appendCollapsed appends a header value without the white space around it and
// with one space for each run of them.
func appendCollapsed(b []byte, v string) []byte {
	v = strings.Trim(v, " \t")
	for {
		i := strings.Index(v, "  ")
		if i < 0 {
			return append(b, v...)
		}
		b = append(b, v[:i+1]...)
		v = strings.TrimLeft(v[i:], " ")
	}
}

const upperHex = "0123456789ABCDEF"

// unreserved tells the bytes that stand for themselves (RFC 3986 section 2.3).
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '~'
}

func appendByte(b []byte, c byte, slash bool) []byte {
	if unreserved(c) || slash && c == '/' {
		return append(b, c)
	}
	return append(b, '%', upperHex[c>>4], upperHex[c&15])
}

func appendEncoded(b []byte, s string, slash bool) []byte {
	for i := range len(s) {
		b = appendByte(b, s[i], slash)
	}
	return b
}

// appendReencoded takes the escapes out of s and encodes the result; false when
// an escape is broken. With plus, a plus sign is a space, as in a query.
func appendReencoded(b []byte, s string, slash, plus bool) ([]byte, bool) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%':
			if i+2 >= len(s) {
				return b, false
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi > 15 || lo > 15 {
				return b, false
			}
			c = hi<<4 | lo
			i += 2
		case c == '+' && plus:
			c = ' '
		}
		b = appendByte(b, c, slash)
	}
	return b, true
}

// unhex returns the value of a hexadecimal digit, 255 for any other byte.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
