package single

import (
	"fmt"
	"math/big"
	"testing"
)

func TestBytes(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{nil, ""}, {true, "01"}, {false, "00"}, {int32(1), "01000000"}, {int64(-1), "ffffffffffffffff"}, {float32(1), "0000803f"},
		{1.0, "000000000000f03f"}, {"\u00e9", "c3a9"}, {[]byte{7}, "07"},
		{big.NewInt(0), "00"}, {big.NewInt(127), "7f"}, {big.NewInt(128), "0080"}, {big.NewInt(-1), "ff"}, {big.NewInt(-128), "80"},
		{big.NewInt(-129), "ff7f"}, {big.NewInt(1420), "058c"},
	} {
		if got := fmt.Sprintf("%x", Bytes(c.v)); got != c.want {
			t.Errorf("%v: %s, want %s", c.v, got, c.want)
		}
	}
}

func TestCompare(t *testing.T) {
	for _, c := range [][2]any{
		{false, true}, {int32(-1), int32(1)}, {int64(-1), int64(1)}, {float32(-1), float32(1)}, {-1.0, 1.0}, {"a", "b"}, {[]byte{1}, []byte{0xff}},
		{big.NewInt(-1), big.NewInt(1)},
	} {
		if Compare(c[0], c[1]) != -1 || Compare(c[1], c[0]) != 1 || Compare(c[0], c[0]) != 0 {
			t.Errorf("%v and %v", c[0], c[1])
		}
	}
}
