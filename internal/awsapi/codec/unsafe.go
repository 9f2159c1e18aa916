package codec

import "unsafe"

// unsafeString views b as a string; b is never written again.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
