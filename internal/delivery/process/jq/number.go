package jq

import (
	"math"
	"math/big"
	"strconv"
)

// float is a number of gojq's as a double.
func float(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f, true
	}
	return 0, false
}

func finite(f float64) float64 {
	return min(max(f, -math.MaxFloat64), math.MaxFloat64)
}

// appendNumber appends a number as jq 1.6 writes it: with as few digits as tell it
// from all others, 17 at most; with an exponent below 1e-4 and where more than 15
// zeros would follow the digits; null for what is no number.
func appendNumber(dst []byte, f float64) []byte {
	if math.IsNaN(f) {
		return append(dst, "null"...)
	}
	f = finite(f)
	if f == 0 {
		if math.Signbit(f) {
			dst = append(dst, '-')
		}
		return append(dst, '0')
	}
	var buf [32]byte
	e := strconv.AppendFloat(buf[:0], f, 'e', -1, 64) // -d.ddde+dd
	if e[0] == '-' {
		dst, e = append(dst, '-'), e[1:]
	}
	at := 0
	for e[at] != 'e' {
		at++
	}
	digits := append([]byte{e[0]}, e[min(2, at):at]...)
	exponent, _ := strconv.Atoi(string(e[at+1:]))
	switch point := exponent + 1; {
	case point <= -4 || point > len(digits)+15:
		dst = append(dst, digits[0])
		if len(digits) > 1 {
			dst = append(append(dst, '.'), digits[1:]...)
		}
		return append(dst, e[at:]...) // as C does: a sign, and two digits at least
	case point <= 0:
		dst = append(dst, "0."...)
		for range -point {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	case point >= len(digits):
		dst = append(dst, digits...)
		for range point - len(digits) {
			dst = append(dst, '0')
		}
		return dst
	default:
		dst = append(dst, digits[:point]...)
		return append(append(dst, '.'), digits[point:]...)
	}
}
