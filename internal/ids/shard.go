package ids

import (
	"strconv"
	"strings"
)

const shardPrefix = "shardId-"

// Shard is a shard's number in its stream. Numbers start at 0 and are never
// reused.
type Shard uint32

// Append appends the id as AWS writes it, shardId-000000000007.
func (s Shard) Append(dst []byte) []byte {
	dst = append(dst, shardPrefix...)
	return appendGroup(dst, uint64(s), 12)
}

func (s Shard) String() string {
	var buf [len(shardPrefix) + 12]byte
	return string(s.Append(buf[:0]))
}

// ParseShard reads a shard id as leniently as AWS does: the digits after the
// first hyphen, or all of it when there is none; whatever stands before the
// hyphen is not looked at. It reports false for anything else and above 2^31-1.
func ParseShard(id string) (Shard, bool) {
	if _, after, found := strings.Cut(id, "-"); found {
		id, _, _ = strings.Cut(after, "-")
	}
	for i := 0; i < len(id); i++ {
		if id[i] < '0' || id[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(id, 10, 31)
	return Shard(n), err == nil
}
