package partition

import (
	"encoding/binary"
	"math/big"
	"time"
	"unicode/utf8"

	"thalweg/internal/lake/single"
)

// transform makes a partition's value of one that is not nil.
type transform func(v any, operand int64) any

// transforms give the transform for a type, nil if there is none.
var transforms = map[string]func(kind string) transform{
	"identity": func(kind string) transform {
		if kind == "" {
			return nil
		}
		return func(v any, _ int64) any { return v }
	},
	"void": func(kind string) transform {
		if kind == "" {
			return nil
		}
		return func(any, int64) any { return nil }
	},
	"bucket": func(kind string) transform {
		switch kind {
		case "int", "long", "decimal", "date", "time", "timestamp", "timestamptz", "string", "uuid", "fixed", "binary":
			return func(v any, n int64) any { return int32(int64(hash(v)&0x7fffffff) % n) }
		}
		return nil
	},
	"truncate": func(kind string) transform {
		switch kind {
		case "int", "long", "decimal", "string", "binary":
			return truncate
		}
		return nil
	},
	"year":  func(kind string) transform { return ofTime(kind, false, years) },
	"month": func(kind string) transform { return ofTime(kind, false, months) },
	"day": func(kind string) transform {
		return ofTime(kind, false, func(micros int64) int64 { return floor(micros, dayMicros) })
	},
	"hour": func(kind string) transform {
		return ofTime(kind, true, func(micros int64) int64 { return floor(micros, hourMicros) })
	},
}

const (
	hourMicros = 3600_000_000
	dayMicros  = 24 * hourMicros
)

// ofTime is a transform of dates, unless withTime, and times.
func ofTime(kind string, withTime bool, of func(micros int64) int64) transform {
	switch {
	case kind == "timestamp" || kind == "timestamptz":
		return func(v any, _ int64) any {
			micros, _ := v.(int64)
			return int32(of(micros))
		}
	case kind == "date" && !withTime:
		return func(v any, _ int64) any {
			days, _ := v.(int32)
			return int32(of(int64(days) * dayMicros))
		}
	}
	return nil
}

func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func years(micros int64) int64 { return int64(time.UnixMicro(micros).UTC().Year()) - 1970 }

func months(micros int64) int64 {
	t := time.UnixMicro(micros).UTC()
	return (int64(t.Year())-1970)*12 + int64(t.Month()) - 1
}

func truncate(v any, w int64) any {
	switch v := v.(type) {
	case int32:
		return int32(floor(int64(v), w) * w)
	case int64:
		return floor(v, w) * w
	case *big.Int:
		m := new(big.Int).Mod(v, big.NewInt(w)) // Euclidean: never below zero
		return m.Sub(v, m)
	case string:
		n := 0
		for range w {
			if n == len(v) {
				break
			}
			_, size := utf8.DecodeRuneInString(v[n:])
			n += size
		}
		return v[:n]
	case []byte:
		return v[:min(int64(len(v)), w)]
	}
	return nil
}

// hash is the hash of appendix B.
func hash(v any) uint32 {
	switch v := v.(type) {
	case int32:
		return murmur3(binary.LittleEndian.AppendUint64(nil, uint64(v)))
	case int64:
		return murmur3(binary.LittleEndian.AppendUint64(nil, uint64(v)))
	}
	return murmur3(single.Bytes(v))
}

// murmur3 is the 32-bit hash of that name, for x86, with seed 0 (Austin Appleby, public
// domain).
func murmur3(b []byte) uint32 {
	const c1, c2 = 0xcc9e2d51, 0x1b873593
	rotl := func(x uint32, r uint) uint32 { return x<<r | x>>(32-r) }
	var h uint32
	n := len(b)
	for ; len(b) >= 4; b = b[4:] {
		k := binary.LittleEndian.Uint32(b) * c1
		k = rotl(k, 15) * c2
		h ^= k
		h = rotl(h, 13)*5 + 0xe6546b64
	}
	var k uint32
	for i := len(b) - 1; i >= 0; i-- {
		k = k<<8 | uint32(b[i])
	}
	if len(b) > 0 {
		h ^= rotl(k*c1, 15) * c2
	}
	h ^= uint32(n)
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	return h ^ h>>16
}
