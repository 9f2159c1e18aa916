package json

import (
	"unicode/utf16"
	"unicode/utf8"
)

// text reads the string at the cursor, unescaping it in place; the result
// aliases the document and is never nil.
func (d *Decoder) text() []byte {
	d.pos++
	start := d.pos
	buf := d.buf
	i := start
	for i < len(buf) && plain[buf[i]] {
		i++
	}
	ascii := true
	w := i // what is before w is final
	for i < len(buf) {
		c := buf[i]
		switch {
		case c == '"':
			d.pos = i + 1
			if s := buf[start:w:w]; ascii || utf8.Valid(s) {
				return s
			}
			d.malformed("text is no UTF-8")
			return buf[start:start]
		case c == '\\':
			r, n := unescape(buf[i:])
			if n == 0 {
				d.malformed("bad escape")
				return buf[start:start]
			}
			w = len(utf8.AppendRune(buf[:w], r)) // an escape is longer than its character
			i += n
		case c < 0x20:
			d.malformed("control character in a string")
			return buf[start:start]
		default:
			if c >= utf8.RuneSelf {
				ascii = false
			}
			buf[w] = c
			w++
			i++
		}
	}
	d.malformed("string does not end")
	return buf[start:start]
}

// unescape reads the escape at the start of b: the character, and how many
// bytes it took, 0 when it is none. Half a surrogate pair is none.
func unescape(b []byte) (r rune, n int) {
	if len(b) < 2 {
		return 0, 0
	}
	switch b[1] {
	case '"', '\\', '/':
		return rune(b[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r, ok := hex4(b[2:])
		if !ok {
			return 0, 0
		}
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if len(b) < 8 || b[6] != '\\' || b[7] != 'u' {
			return 0, 0
		}
		low, ok := hex4(b[8:])
		if !ok {
			return 0, 0
		}
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			return 0, 0
		}
		return r, 12
	}
	return 0, 0
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
