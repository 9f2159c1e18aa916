package dest

import (
	"crypto/sha1" // RFC 9562 defines version 5 by it; nothing rests on its strength
	"fmt"
	"strings"
)

// UUID returns the name-based UUID (version 5, RFC 9562) of some parts in the name
// space of a plan's: always the same for the same.
func UUID(plan string, parts ...string) string {
	sum := sha1.Sum([]byte(plan + "\x00" + strings.Join(parts, "\x00")))
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x50, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
