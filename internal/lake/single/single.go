// Package single is Iceberg's form of single values, in which bounds and hashes are.
//
// A value is nil, bool, int32 (int, date), int64 (long, time, timestamps), float32,
// float64, string, []byte (binary, fixed, uuid) or *big.Int (the unscaled value of a
// decimal).
//
// Source: iceberg.apache.org/spec, appendix D, "Single-value serialization".
package single

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"math/big"
)

// Bytes is a value's form; nil has none.
func Bytes(v any) []byte {
	switch v := v.(type) {
	case bool:
		if v {
			return []byte{1}
		}
		return []byte{0}
	case int32:
		return binary.LittleEndian.AppendUint32(nil, uint32(v))
	case int64:
		return binary.LittleEndian.AppendUint64(nil, uint64(v))
	case float32:
		return binary.LittleEndian.AppendUint32(nil, math.Float32bits(v))
	case float64:
		return binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))
	case string:
		return []byte(v)
	case []byte:
		return v
	case *big.Int:
		return signed(v)
	}
	return nil
}

// signed is a number in two's complement in as few bytes as it needs, big-endian.
func signed(i *big.Int) []byte {
	if i.Sign() >= 0 {
		b := i.Bytes()
		if len(b) == 0 || b[0]&0x80 != 0 {
			b = append([]byte{0}, b...)
		}
		return b
	}
	n := new(big.Int).Not(i).BitLen()/8 + 1
	return new(big.Int).Add(i, new(big.Int).Lsh(big.NewInt(1), uint(8*n))).FillBytes(make([]byte, n))
}

// Compare compares two values of the same type, neither of them nil.
func Compare(a, b any) int {
	switch a := a.(type) {
	case bool:
		c, _ := b.(bool)
		return bytes.Compare(Bytes(a), Bytes(c))
	case int32:
		c, _ := b.(int32)
		return cmp.Compare(a, c)
	case int64:
		c, _ := b.(int64)
		return cmp.Compare(a, c)
	case float32:
		c, _ := b.(float32)
		return cmp.Compare(a, c)
	case float64:
		c, _ := b.(float64)
		return cmp.Compare(a, c)
	case string:
		c, _ := b.(string)
		return cmp.Compare(a, c)
	case []byte:
		c, _ := b.([]byte)
		return bytes.Compare(a, c)
	case *big.Int:
		c, _ := b.(*big.Int)
		return a.Cmp(c)
	}
	return 0
}
