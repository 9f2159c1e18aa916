package ids

import "math/bits"

// Unsigned decimal arithmetic on a few 64-bit limbs: hash keys have 128 bits and
// sequence numbers 188, and both travel as decimal text.

// pow19 is the largest power of ten in 64 bits: limbs are printed and read in
// groups of 19 digits.
const (
	pow19       = 10_000_000_000_000_000_000
	groupDigits = 19
)

// u192 is an unsigned integer, most significant limb first.
type u192 [3]uint64

// divmod19 divides u by 10^19 and returns the remainder.
func (u *u192) divmod19() (rem uint64) {
	for i := range u {
		u[i], rem = bits.Div64(rem, u[i], pow19)
	}
	return rem
}

// mulAdd sets u to u*m + a and reports whether it still fits.
func (u *u192) mulAdd(m, a uint64) bool {
	carry := a
	for i := len(u) - 1; i >= 0; i-- {
		hi, lo := bits.Mul64(u[i], m)
		var c uint64
		u[i], c = bits.Add64(lo, carry, 0)
		carry = hi + c
	}
	return carry == 0
}

// appendDecimal appends u without leading zeros.
func (u u192) appendDecimal(dst []byte) []byte {
	var groups [4]uint64 // 4*19 digits hold 2^192
	n := 0
	for {
		groups[n] = u.divmod19()
		n++
		if u == (u192{}) {
			break
		}
	}
	var first [groupDigits]byte
	putDigits(first[:], groups[n-1])
	lead := 0
	for lead < groupDigits-1 && first[lead] == '0' {
		lead++
	}
	dst = append(dst, first[lead:]...)
	for i := n - 2; i >= 0; i-- {
		dst = appendGroup(dst, groups[i], groupDigits)
	}
	return dst
}

// parseDecimal reads all of s, which holds digits only and no needless leading
// zero, into u.
func parseDecimal[T string | []byte](s T) (u u192, ok bool) {
	if len(s) == 0 || len(s) > 1 && s[0] == '0' {
		return u, false
	}
	for i := 0; i < len(s); {
		end := min(i+groupDigits, len(s))
		var group, scale uint64 = 0, 1
		for ; i < end; i++ {
			c := s[i] - '0'
			if c > 9 {
				return u, false
			}
			group = group*10 + uint64(c)
			scale *= 10
		}
		if !u.mulAdd(scale, group) {
			return u, false
		}
	}
	return u, true
}

// appendGroup appends v as exactly n digits, n <= 19.
func appendGroup(dst []byte, v uint64, n int) []byte {
	dst = append(dst, zeros[:n]...)
	putDigits(dst[len(dst)-n:], v)
	return dst
}

const zeros = "0000000000000000000"

// pairs holds "00" to "99".
const pairs = "00010203040506070809" + "10111213141516171819" + "20212223242526272829" +
	"30313233343536373839" + "40414243444546474849" + "50515253545556575859" +
	"60616263646566676869" + "70717273747576777879" + "80818283848586878889" + "90919293949596979899"

// putDigits fills p with the last len(p) digits of v.
func putDigits(p []byte, v uint64) {
	i := len(p)
	for i >= 2 {
		q := v / 100
		d := (v - q*100) * 2
		p[i-2], p[i-1] = pairs[d], pairs[d+1]
		v = q
		i -= 2
	}
	if i == 1 {
		p[0] = byte('0' + v%10)
	}
}
