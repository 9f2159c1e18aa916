package codec

// Arena makes strings out of document bytes with few allocations: short ones are
// cut from shared blocks of at most 1 KiB, so that keeping one keeps little else.
type Arena struct{ block []byte }

const (
	arenaBlock = 1024
	arenaShort = 128
)

// String returns a copy of b.
func (a *Arena) String(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > arenaShort {
		return string(b)
	}
	if cap(a.block)-len(a.block) < len(b) {
		n := arenaBlock
		if a.block == nil {
			n = 2 * arenaShort // most documents are small
		}
		a.block = make([]byte, 0, n)
	}
	start := len(a.block)
	a.block = append(a.block, b...)
	return unsafeString(a.block[start:len(a.block):len(a.block)])
}
