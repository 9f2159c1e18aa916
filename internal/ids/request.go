package ids

import "math/rand/v2"

const (
	// RequestIDLen is the length of a request id, a UUID in text.
	RequestIDLen = 36
	// id2Len is 72 bytes in base64, as AWS sends.
	id2Len = 96
)

// NewRequest returns a random UUID, the request id, followed by the text of
// x-amz-id-2. They identify and protect nothing, so the runtime's generator is
// enough.
func NewRequest() string {
	var b [RequestIDLen + id2Len]byte
	const hex = "0123456789abcdef"
	var bits uint64
	for i := range RequestIDLen {
		if i%16 == 0 {
			bits = rand.Uint64()
		}
		switch i {
		case 8, 13, 18, 23:
			b[i] = '-'
		case 14:
			b[i] = '4' // version
		case 19:
			b[i] = hex[8|bits&3] // variant
		default:
			b[i] = hex[bits&15]
		}
		bits >>= 4
	}
	const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range id2Len {
		if i%10 == 0 {
			bits = rand.Uint64()
		}
		b[RequestIDLen+i] = base64[bits&63]
		bits >>= 6
	}
	return string(b[:])
}
