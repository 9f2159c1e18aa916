package value

import (
	"cmp"
	"math/big"
	"strconv"
	"strings"

	"thalweg/internal/errs"
)

// Bounds of a number: significant digits, and the power of ten of its first
// digit (developer guide, "Data types": 1E-130 to
// 9.9999999999999999999999999999999999999E+125).
const (
	maxDigits   = 38
	maxExponent = 125
	minExponent = -130
)

// Number is an exact decimal of at most 38 significant digits. The zero Number
// is 0. Numbers are equal when == says so.
type Number struct {
	negative bool
	// exponent is the power of ten of the first digit.
	exponent int16
	// digits are the significant ones: neither the first nor the last is 0. ""
	// is the number 0.
	digits string
}

// ParseNumber reads a decimal with or without an exponent. Errors: Invalid, in
// DynamoDB's words.
func ParseNumber(text string) (Number, error) {
	digits, exponent, negative, ok := scanNumber(text)
	if !ok {
		if text == "" {
			return Number{}, errs.New(errs.Invalid, "The parameter cannot be converted to a numeric value")
		}
		return Number{}, errs.New(errs.Invalid, "The parameter cannot be converted to a numeric value: "+text)
	}
	return newNumber(negative, digits, exponent)
}

// scanNumber takes a decimal apart: its digits, and the power of ten of the
// first of them.
func scanNumber(text string) (digits string, exponent int, negative, ok bool) {
	mantissa, power := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		p, err := strconv.ParseInt(text[i+1:], 10, 32)
		if err != nil {
			return "", 0, false, false
		}
		// Beyond this, only the sign of the power matters.
		mantissa, power = text[:i], int(min(max(p, -1_000_000), 1_000_000))
	}
	switch {
	case strings.HasPrefix(mantissa, "-"):
		mantissa, negative = mantissa[1:], true
	case strings.HasPrefix(mantissa, "+"):
		mantissa = mantissa[1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits = whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return "", 0, false, false
	}
	return digits, len(whole) - 1 + power, negative, true
}

// newNumber makes a number of digits, whose first stands for 10^exponent.
func newNumber(negative bool, digits string, exponent int) (Number, error) {
	significant := strings.TrimLeft(digits, "0")
	exponent -= len(digits) - len(significant)
	significant = strings.TrimRight(significant, "0")
	switch {
	case significant == "":
		return Number{}, nil
	case len(significant) > maxDigits:
		return Number{}, errs.New(errs.Invalid, "Attempting to store more than 38 significant digits in a Number")
	case exponent > maxExponent:
		return Number{}, errs.New(errs.Invalid, "Number overflow. Attempting to store a number with magnitude larger than supported range")
	case exponent < minExponent:
		return Number{}, errs.New(errs.Invalid, "Number underflow. Attempting to store a number with magnitude smaller than supported range")
	}
	return Number{negative: negative, exponent: int16(exponent), digits: significant}, nil
}

// String writes the number without an exponent.
func (n Number) String() string {
	if n.digits == "" {
		return "0"
	}
	var b strings.Builder
	if n.negative {
		b.WriteByte('-')
	}
	whole := int(n.exponent) + 1 // digits before the point
	switch {
	case whole <= 0:
		b.WriteString("0." + strings.Repeat("0", -whole) + n.digits)
	case whole >= len(n.digits):
		b.WriteString(n.digits + strings.Repeat("0", whole-len(n.digits)))
	default:
		b.WriteString(n.digits[:whole] + "." + n.digits[whole:])
	}
	return b.String()
}

// Compare is -1, 0 or 1 as n is less than, equal to or greater than o.
func (n Number) Compare(o Number) int {
	switch {
	case n.sign() != o.sign():
		return cmp.Compare(n.sign(), o.sign())
	case n.exponent != o.exponent:
		return n.sign() * cmp.Compare(n.exponent, o.exponent)
	}
	return n.sign() * strings.Compare(n.digits, o.digits)
}

func (n Number) sign() int {
	switch {
	case n.digits == "":
		return 0
	case n.negative:
		return -1
	}
	return 1
}

// Neg returns -n.
func (n Number) Neg() Number {
	n.negative = !n.negative && n.digits != ""
	return n
}

// Add returns n + o. Errors: Invalid when the sum is out of bounds.
func (n Number) Add(o Number) (Number, error) {
	if n.digits == "" {
		return o, nil
	}
	if o.digits == "" {
		return n, nil
	}
	// The powers of ten of the last digits.
	low := min(n.last(), o.last())
	sum := n.scaled(low)
	sum.Add(sum, o.scaled(low))
	if sum.Sign() == 0 {
		return Number{}, nil
	}
	digits := new(big.Int).Abs(sum).String()
	return newNumber(sum.Sign() < 0, digits, low+len(digits)-1)
}

// last is the power of ten of the last digit.
func (n Number) last() int { return int(n.exponent) - len(n.digits) + 1 }

// scaled is n / 10^low, which must be whole.
func (n Number) scaled(low int) *big.Int {
	v, _ := new(big.Int).SetString(n.digits+strings.Repeat("0", n.last()-low), 10)
	if n.negative {
		v.Neg(v)
	}
	return v
}

// appendOrdered appends a form of the number whose bytes sort as numbers do, and
// of which none is the beginning of another.
func (n Number) appendOrdered(b []byte) []byte {
	const exponentBias = 0x4000
	if n.digits == "" {
		return append(b, 1)
	}
	e := uint16(int(n.exponent) + exponentBias)
	if !n.negative {
		b = append(b, 2, byte(e>>8), byte(e))
		return append(append(b, n.digits...), 0)
	}
	b = append(b, 0, ^byte(e>>8), ^byte(e))
	for i := range len(n.digits) {
		b = append(b, ^n.digits[i])
	}
	return append(b, 0xff)
}
