package json

import (
	"bytes"
	"fmt"

	asm "github.com/segmentio/asm/base64"

	"thalweg/internal/awsapi/codec"
)

// decodeBase64 decodes b over itself and returns the size of the result. When b
// is no canonical padded base64 it is left as it was.
func decodeBase64(b []byte) (int, bool) {
	if len(b)%4 != 0 {
		return 0, false
	}
	if len(b) == 0 {
		return 0, true
	}
	// The last group is checked apart: its unused bits must be zero, and a
	// failure must leave b intact for the error's text.
	if !validBase64(b) {
		return 0, false
	}
	n, err := asm.StdEncoding.Decode(b, b)
	return n, err == nil
}

// validBase64 reports whether b, of a length that is a multiple of 4, is
// canonical base64.
func validBase64(b []byte) bool {
	body := b[:len(b)-4]
	var bad byte
	for ; len(body) >= 8; body = body[8:] {
		q := body[:8:8]
		bad |= sextet[q[0]] | sextet[q[1]] | sextet[q[2]] | sextet[q[3]] |
			sextet[q[4]] | sextet[q[5]] | sextet[q[6]] | sextet[q[7]]
	}
	for _, c := range body {
		bad |= sextet[c]
	}
	if bad&0x80 != 0 {
		return false
	}
	last := b[len(b)-4:]
	s := [4]byte{sextet[last[0]], sextet[last[1]], sextet[last[2]], sextet[last[3]]}
	switch {
	case (s[0]|s[1])&0x80 != 0:
		return false
	case last[2] == '=' && last[3] == '=':
		return s[1]&0x0F == 0
	case last[3] == '=':
		return s[2]&0x80 == 0 && s[2]&0x03 == 0
	}
	return (s[2]|s[3])&0x80 == 0
}

// sextet is a base64 character's value, 0x80 for what is none.
var sextet = func() (t [256]byte) {
	for i := range t {
		t[i] = 0x80
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = byte(i)
	}
	return t
}()

// blobError says in AWS's words why b is no base64.
func blobError(b []byte) *codec.Error {
	text := fmt.Sprintf("'%s' can not be converted to a Blob: ", codec.Excerpt(string(b)))
	if len(b)%4 != 0 {
		return &codec.Error{Msg: fmt.Sprintf("%sBase64 encoded length is expected a multiple of 4 bytes but found: %d", text, len(b))}
	}
	pad := bytes.IndexByte(b, '=')
	for i, c := range b {
		padding := c == '=' && i >= len(b)-2 && (i == len(b)-1 || b[i+1] == '=') && pad == i
		if c == '=' && (padding || i == len(b)-1 && pad >= len(b)-2) {
			continue
		}
		if sextet[c] == 0x80 {
			return &codec.Error{Msg: fmt.Sprintf("%sInvalid Base64 character: '%s'", text, printable(c))}
		}
	}
	return &codec.Error{Msg: text + "Invalid last non-pad Base64 character dectected"}
}

// printable shows one byte; a byte of a longer UTF-8 character is shown as a
// question mark.
func printable(c byte) string {
	if c < 0x20 || c > 0x7E {
		return "?"
	}
	return string(rune(c))
}
