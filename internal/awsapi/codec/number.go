package codec

import "math"

// Truncate cuts f to its whole part and to the range of int64. f is a number.
func Truncate(f float64) int64 {
	switch {
	case f >= 1<<63:
		return math.MaxInt64
	case f < -1<<63:
		return math.MinInt64
	}
	return int64(f)
}
