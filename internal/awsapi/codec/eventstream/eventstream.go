// Package eventstream frames the messages of an answer that is a stream of
// events, application/vnd.amazon.eventstream:
//
//	total length 4 | length of headers 4 | CRC of these 8 bytes 4 | headers | payload | CRC of all before it 4
//
// Numbers are big-endian, the CRCs those of IEEE 802.3. A header is the length of
// its name (1), the name, a type (1) and a value; those made here are texts: type
// 7, length 2, bytes.
// https://smithy.io/2.0/aws/amazon-eventstream.html
//
// The functions are pure. What they read they bound as AWS's own clients do.
package eventstream

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// ContentType is the content type of a stream of messages.
const ContentType = "application/vnd.amazon.eventstream"

// Sizes in bytes.
const (
	preludeSize = 12
	crcSize     = 4
	// MaxHeaders and MaxPayload are the most that clients take.
	MaxHeaders = 128 << 10
	MaxPayload = 16 << 20
)

// Errors of Parse.
var (
	// ErrShort is a message whose end has not come yet.
	ErrShort = errors.New("event stream message is not complete")
	// ErrInvalid is bytes that are no message, or a damaged one.
	ErrInvalid = errors.New("event stream message is not valid")
)

// Header is one header with a text for a value.
type Header struct{ Name, Value string }

// Begin appends what stands before a message's payload. The payload is appended
// next, then End completes the message.
func Begin(dst []byte, headers ...Header) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, preludeSize)...)
	for _, h := range headers {
		dst = append(append(dst, byte(len(h.Name))), h.Name...)
		dst = binary.BigEndian.AppendUint16(append(dst, typeText), uint16(len(h.Value)))
		dst = append(dst, h.Value...)
	}
	binary.BigEndian.PutUint32(dst[start+4:], uint32(len(dst)-start-preludeSize))
	return dst
}

// End completes the message that begins at start of dst.
func End(dst []byte, start int) []byte {
	m := dst[start:]
	binary.BigEndian.PutUint32(m, uint32(len(m)+crcSize))
	binary.BigEndian.PutUint32(m[8:], crc32.ChecksumIEEE(m[:8]))
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(m))
}

// Message is one message. Headers are those whose value is a text.
type Message struct {
	Headers []Header
	Payload []byte
}

// Header returns the value of the header of that name, "" without one.
func (m *Message) Header(name string) string {
	for _, h := range m.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// Parse reads the message at the front of b and returns how long it is. The
// payload is part of b. Errors: ErrShort, ErrInvalid.
func Parse(b []byte) (m Message, n int, err error) {
	if len(b) < preludeSize {
		return m, 0, ErrShort
	}
	total, head := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	switch {
	case crc32.ChecksumIEEE(b[:8]) != binary.BigEndian.Uint32(b[8:]):
		return m, 0, ErrInvalid
	case head > MaxHeaders, total > preludeSize+MaxHeaders+MaxPayload+crcSize, total < preludeSize+head+crcSize:
		return m, 0, ErrInvalid
	case uint32(len(b)) < total:
		return m, 0, ErrShort
	}
	body := total - crcSize
	if crc32.ChecksumIEEE(b[:body]) != binary.BigEndian.Uint32(b[body:total]) {
		return m, 0, ErrInvalid
	}
	m.Payload = b[preludeSize+head : body : body]
	for h := b[preludeSize : preludeSize+head]; len(h) > 0; {
		if h, err = m.header(h); err != nil {
			return Message{}, 0, err
		}
	}
	return m, int(total), nil
}

// Types of header values, with the bytes that each takes after the type; those
// that say their length themselves have -1.
const (
	typeText = 7
)

var valueSizes = [...]int{0, 0, 1, 2, 4, 8, -1, -1, 8, 16}

// header reads one header from the front of h, which is not empty, and returns
// what follows it.
func (m *Message) header(h []byte) ([]byte, error) {
	n := int(h[0])
	if n == 0 || len(h) < 1+n+1 {
		return nil, ErrInvalid
	}
	name, kind, rest := string(h[1:1+n]), h[1+n], h[2+n:]
	if int(kind) >= len(valueSizes) {
		return nil, ErrInvalid
	}
	size := valueSizes[kind]
	if size < 0 {
		if len(rest) < 2 {
			return nil, ErrInvalid
		}
		size, rest = int(binary.BigEndian.Uint16(rest)), rest[2:]
	}
	if len(rest) < size {
		return nil, ErrInvalid
	}
	if kind == typeText {
		m.Headers = append(m.Headers, Header{Name: name, Value: string(rest[:size])})
	}
	return rest[size:], nil
}
