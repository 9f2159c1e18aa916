package kpl

import (
	"crypto/md5"

	"google.golang.org/protobuf/encoding/protowire"
)

// Append appends an aggregate of the records to dst. A key that several records
// have stands in its table once.
func Append(dst []byte, records []Record) []byte {
	dst = append(dst, magic...)
	start := len(dst)
	keys, hashes := map[string]uint64{}, map[string]uint64{}
	for _, r := range records {
		dst = appendKey(dst, fieldPartitionKey, keys, r.PartitionKey)
		if r.ExplicitHashKey != nil {
			dst = appendKey(dst, fieldExplicitHashKey, hashes, r.ExplicitHashKey)
		}
	}
	var message []byte
	for _, r := range records {
		message = protowire.AppendTag(message[:0], fieldPartitionKeyIndex, protowire.VarintType)
		message = protowire.AppendVarint(message, keys[string(r.PartitionKey)])
		if r.ExplicitHashKey != nil {
			message = protowire.AppendTag(message, fieldExplicitHashKeyIndex, protowire.VarintType)
			message = protowire.AppendVarint(message, hashes[string(r.ExplicitHashKey)])
		}
		message = protowire.AppendTag(message, fieldData, protowire.BytesType)
		message = protowire.AppendBytes(message, r.Data)
		dst = protowire.AppendTag(dst, fieldRecord, protowire.BytesType)
		dst = protowire.AppendBytes(dst, message)
	}
	sum := md5.Sum(dst[start:])
	return append(dst, sum[:]...)
}

// appendKey appends a key that its table does not hold yet.
func appendKey(dst []byte, num protowire.Number, table map[string]uint64, key []byte) []byte {
	if _, known := table[string(key)]; known {
		return dst
	}
	table[string(key)] = uint64(len(table))
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	return protowire.AppendBytes(dst, key)
}
