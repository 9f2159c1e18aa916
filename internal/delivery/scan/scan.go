// Package scan reads JSON where it stands: a token at a time, without building values
// and without allocation.
//
// It takes what RFC 8259 takes, to the letter, with two bounds: values nest at most
// [MaxDepth] deep, and bytes that are no UTF-8 inside strings are let through as they
// are ([Unquote] replaces them). Every byte of a value that is passed over is checked.
package scan

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deep values may nest; jq 1.6 has the same bound.
const MaxDepth = 256

// ErrSyntax is input that is not JSON.
var ErrSyntax = errors.New("not valid JSON")

// Scanner goes over the values of its input. The zero Scanner has none.
type Scanner struct {
	in []byte
	at int
}

// New returns a scanner at the beginning of in, whose bytes must not change.
func New(in []byte) Scanner { return Scanner{in: in} }

// At is how many bytes have been read.
func (s *Scanner) At() int { return s.at }

// Peek passes space and returns the byte that the next token begins with, 0 at the end.
func (s *Scanner) Peek() byte {
	for s.at < len(s.in) {
		switch c := s.in[s.at]; c {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// Open reads the [ or { that begins an array or object.
func (s *Scanner) Open(c byte) error {
	if s.Peek() != c {
		return ErrSyntax
	}
	s.at++
	return nil
}

// Member goes to the next member of an object that was opened, past a comma unless it
// is the first, and returns its name as it stands between the quotes; its value is
// next. More is false where the object ends.
func (s *Scanner) Member(first bool) (name []byte, more bool, err error) {
	c := s.Peek()
	if c == '}' {
		s.at++
		return nil, false, nil
	}
	if !first {
		if c != ',' {
			return nil, false, ErrSyntax
		}
		s.at++
		c = s.Peek()
	}
	if c != '"' {
		return nil, false, ErrSyntax
	}
	if name, err = s.String(); err != nil {
		return nil, false, err
	}
	if s.Peek() != ':' {
		return nil, false, ErrSyntax
	}
	s.at++
	return name, true, nil
}

// Element goes to the next element of an array that was opened.
func (s *Scanner) Element(first bool) (more bool, err error) {
	c := s.Peek()
	if c == ']' {
		s.at++
		return false, nil
	}
	if first {
		return true, nil
	}
	if c != ',' {
		return false, ErrSyntax
	}
	s.at++
	if s.Peek() == ']' {
		return false, ErrSyntax
	}
	return true, nil
}

// String reads a string and returns what stands between its quotes, escapes and all.
func (s *Scanner) String() ([]byte, error) {
	if s.Peek() != '"' {
		return nil, ErrSyntax
	}
	in, at := s.in, s.at+1
	start := at
	for at < len(in) {
		switch c := in[at]; {
		case c == '"':
			s.at = at + 1
			return in[start:at], nil
		case c < ' ':
			return nil, ErrSyntax
		case c == '\\':
			n := escape(in[at:])
			if n == 0 {
				return nil, ErrSyntax
			}
			at += n
		default:
			at++
		}
	}
	return nil, ErrSyntax
}

// escape is the length of the escape sequence that in begins with, 0 if it is none.
func escape(in []byte) int {
	if len(in) < 2 {
		return 0
	}
	switch in[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(in) < 6 {
			return 0
		}
		for _, c := range in[2:6] {
			if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

// Value reads the next value and returns it as it stands.
func (s *Scanner) Value() ([]byte, error) {
	s.Peek()
	start := s.at
	if err := s.skip(MaxDepth); err != nil {
		return nil, err
	}
	return s.in[start:s.at], nil
}

// End checks that nothing but space follows.
func (s *Scanner) End() error {
	if s.Peek() != 0 || s.at < len(s.in) {
		return ErrSyntax
	}
	return nil
}

// Valid tells whether in is one JSON value.
func Valid(in []byte) bool {
	s := New(in)
	return s.skip(MaxDepth) == nil && s.End() == nil
}

func (s *Scanner) skip(depth int) error {
	switch c := s.Peek(); c {
	case '{':
		if depth == 0 {
			return ErrSyntax
		}
		s.at++
		for first := true; ; first = false {
			_, more, err := s.Member(first)
			if err != nil || !more {
				return err
			}
			if err := s.skip(depth - 1); err != nil {
				return err
			}
		}
	case '[':
		if depth == 0 {
			return ErrSyntax
		}
		s.at++
		for first := true; ; first = false {
			more, err := s.Element(first)
			if err != nil || !more {
				return err
			}
			if err := s.skip(depth - 1); err != nil {
				return err
			}
		}
	case '"':
		_, err := s.String()
		return err
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

func (s *Scanner) word(w string) error {
	if len(s.in)-s.at < len(w) || string(s.in[s.at:s.at+len(w)]) != w {
		return ErrSyntax
	}
	s.at += len(w)
	return nil
}

func (s *Scanner) digits() bool {
	start := s.at
	for s.at < len(s.in) && s.in[s.at]-'0' <= 9 {
		s.at++
	}
	return s.at > start
}

func (s *Scanner) is(c byte) bool { return s.at < len(s.in) && s.in[s.at] == c }

func (s *Scanner) number() error {
	if s.is('-') {
		s.at++
	}
	if s.is('0') {
		s.at++
	} else if !s.digits() {
		return ErrSyntax
	}
	if s.is('.') {
		s.at++
		if !s.digits() {
			return ErrSyntax
		}
	}
	if s.is('e') || s.is('E') {
		s.at++
		if s.is('+') || s.is('-') {
			s.at++
		}
		if !s.digits() {
			return ErrSyntax
		}
	}
	return nil
}

// Unquote appends what a string of [Scanner.String] means. Half a surrogate pair and
// bytes that are no UTF-8 become U+FFFD.
func Unquote(dst, s []byte) []byte {
	for at := 0; at < len(s); {
		c := s[at]
		switch {
		case c == '\\':
			n := escape(s[at:])
			if n == 0 {
				return dst // no string of a Scanner
			}
			if n == 2 {
				dst = append(dst, simple(s[at+1]))
				at += n
				continue
			}
			r := unit(s[at:])
			at += n
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if len(s)-at >= 6 && s[at] == '\\' && s[at+1] == 'u' {
					low = unit(s[at:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					at += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			at++
		default:
			r, n := utf8.DecodeRune(s[at:])
			dst = utf8.AppendRune(dst, r)
			at += n
		}
	}
	return dst
}

func simple(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// unit is the UTF-16 unit of an escape that begins with \u.
func unit(in []byte) rune {
	n, _ := strconv.ParseUint(string(in[2:6]), 16, 16)
	return rune(n)
}
