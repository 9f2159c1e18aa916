package kinesis

import (
	"bytes"
	"unicode/utf8"

	"github.com/segmentio/asm/base64"

	"thalweg/internal/streams"
)

// scanner walks a JSON document of the usual form: objects and arrays of plain
// strings and integers. Whatever it does not know (escapes, control characters,
// nulls, other members, anything out of place) makes it give up: ok turns false
// and the general decoder takes over. It never changes the document.
type scanner struct {
	b  []byte
	i  int
	ok bool
}

func newScanner(b []byte) scanner { return scanner{b: b, ok: true} }

// next returns the next significant byte and consumes it; 0 at the end.
func (s *scanner) next() byte {
	for s.i < len(s.b) {
		c := s.b[s.i]
		s.i++
		switch c {
		case ' ', '\n', '\r', '\t':
			continue
		}
		return c
	}
	return 0
}

// want consumes the next significant byte, which must be c.
func (s *scanner) want(c byte) {
	if s.next() != c {
		s.ok = false
	}
}

// member consumes what stands before the next member of an object and its name
// with the colon. It reports false at the object's end or when the scan is off.
func (s *scanner) member(first bool) (name []byte, more bool) {
	c := s.next()
	switch {
	case c == '}':
		return nil, false
	case c == ',' && !first:
		c = s.next()
	case !first:
		s.ok = false
	}
	if !s.ok || c != '"' {
		s.ok = false
		return nil, false
	}
	name = s.rest()
	s.want(':')
	return name, s.ok
}

// text reads a string of plain characters.
func (s *scanner) text() []byte {
	s.want('"')
	t := s.rest()
	if !s.ok || !plainText(t) {
		s.ok = false
		return nil
	}
	return t
}

// blob reads a string and leaves its characters unchecked: decodeBlob will see.
func (s *scanner) blob() []byte {
	s.want('"')
	return s.rest()
}

// rest reads to the closing quote of a string that has begun.
func (s *scanner) rest() []byte {
	if !s.ok {
		return nil
	}
	n := bytes.IndexByte(s.b[s.i:], '"')
	if n < 0 {
		s.ok = false
		return nil
	}
	t := s.b[s.i : s.i+n : s.i+n]
	s.i += n + 1
	return t
}

// end reports whether nothing but white space is left.
func (s *scanner) end() bool { return s.ok && len(bytes.TrimRight(s.b[s.i:], " \n\r\t")) == 0 }

// plainText reports whether t needs no unescaping and is UTF-8.
func plainText(t []byte) bool {
	ascii := true
	for _, c := range t {
		if c < 0x20 || c == '\\' {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.Valid(t)
}

// blobSize is the decoded size of padded base64 text, -1 when it cannot be any.
func blobSize(t []byte) int {
	n := len(t)
	switch {
	case n%4 != 0:
		return -1
	case n == 0:
		return 0
	case t[n-2] == '=':
		return n/4*3 - 2
	case t[n-1] == '=':
		return n/4*3 - 1
	}
	return n / 4 * 3
}

// decodeBlob decodes t into dst, whose length is blobSize(t). It reports false
// for what is no canonical base64; dst is then spoilt.
func decodeBlob(dst, t []byte) bool {
	if len(t) == 0 {
		return true
	}
	// The unused bits of the last group must be zero; the decoder does not look.
	last := t[len(t)-4:]
	switch {
	case last[2] == '=' && bytes.IndexByte([]byte("AQgw"), last[1]) < 0,
		last[2] != '=' && last[3] == '=' && bytes.IndexByte([]byte("AEIMQUYcgkosw048"), last[2]) < 0:
		return false
	}
	n, err := base64.StdEncoding.Decode(dst, t)
	return err == nil && n == len(dst)
}

// putScan is a PutRecord or PutRecords request, as spans of its document.
type putScan struct {
	name, arn []byte
	records   []putEntry
}

// putEntry is one record; absent members are nil.
type putEntry struct{ data, key, hashKey []byte }

func (p *putScan) reset() {
	clear(p.records)
	p.name, p.arn, p.records = nil, nil, p.records[:0]
}

// put scans a PutRecords document.
func (p *putScan) put(b []byte) bool {
	s := newScanner(b)
	s.want('{')
	seen := false
	for first := true; s.ok; first = false {
		name, more := s.member(first)
		if !more {
			break
		}
		switch {
		case string(name) == "Records" && !seen:
			seen = true
			p.list(&s)
		default:
			p.stream(&s, name)
		}
	}
	return s.end() && seen && len(p.records) > 0
}

// putOne scans a PutRecord document.
func (p *putScan) putOne(b []byte) bool {
	s := newScanner(b)
	s.want('{')
	var e putEntry
	for first := true; s.ok; first = false {
		name, more := s.member(first)
		if !more {
			break
		}
		if !e.member(&s, name) {
			p.stream(&s, name)
		}
	}
	p.records = append(p.records, e)
	return s.end() && e.data != nil
}

// stream reads a member that names the stream; any other ends the scan.
func (p *putScan) stream(s *scanner, name []byte) {
	switch {
	case string(name) == "StreamName" && p.name == nil:
		p.name = s.text()
	case string(name) == "StreamARN" && p.arn == nil:
		p.arn = s.text()
	default:
		s.ok = false
	}
}

// list reads the array of records.
func (p *putScan) list(s *scanner) {
	s.want('[')
	for s.ok {
		s.want('{')
		var e putEntry
		for first := true; s.ok; first = false {
			name, more := s.member(first)
			if !more {
				break
			}
			if !e.member(s, name) {
				s.ok = false
			}
		}
		if e.data == nil || len(p.records) == streams.MaxPutRecords {
			s.ok = false
			return
		}
		p.records = append(p.records, e)
		switch s.next() {
		case ',':
		case ']':
			return
		default:
			s.ok = false
		}
	}
}

// member reads a member of a record, once each, and reports whether it is one.
func (e *putEntry) member(s *scanner, name []byte) bool {
	switch {
	case string(name) == "Data" && e.data == nil:
		e.data = s.blob()
	case string(name) == "PartitionKey" && e.key == nil:
		e.key = s.text()
	case string(name) == "ExplicitHashKey" && e.hashKey == nil:
		e.hashKey = s.text()
	default:
		return false
	}
	return true
}
