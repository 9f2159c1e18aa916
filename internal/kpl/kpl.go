// Package kpl reads and writes aggregated records: one record of a stream that
// holds many user records, as the Kinesis Producer Library packs them. Taking
// them apart is a consumer's matter; the server stores them as they are.
//
// An aggregate is a magic number, a protocol buffers message, and its MD5 digest:
//
//	F3 89 9A C2 | AggregatedRecord | MD5(AggregatedRecord)
//
//	AggregatedRecord { repeated string partition_key_table = 1;
//	                   repeated string explicit_hash_key_table = 2;
//	                   repeated Record records = 3; }
//	Record           { required uint64 partition_key_index = 1;
//	                   optional uint64 explicit_hash_key_index = 2;
//	                   required bytes data = 3;
//	                   repeated Tag tags = 4; }
//	Tag              { required string key = 1; optional string value = 2; }
//
// Source: awslabs/amazon-kinesis-producer, aggregation-format.md. What counts as
// an aggregate, and what an aggregate in the wrong shard means, follows the Kinesis
// Client Library (see [Parse], [Aggregate.In]). In one point this package is more
// careful: where an index lies beyond its table, or an explicit hash key is no
// number of 128 bits, the library drops the user records from there on; here the
// whole record is a plain one, and nothing is lost.
package kpl

import (
	"bytes"
	"crypto/md5"
	"iter"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"thalweg/internal/ids"
)

const magic = "\xf3\x89\x9a\xc2"

// The fields of an AggregatedRecord, a Record and a Tag.
const (
	fieldPartitionKey    = 1
	fieldExplicitHashKey = 2
	fieldRecord          = 3

	fieldPartitionKeyIndex    = 1
	fieldExplicitHashKeyIndex = 2
	fieldData                 = 3
	fieldTag                  = 4

	fieldTagKey = 1
)

// Record is one user record. Its sub-sequence number is its place in the aggregate.
type Record struct {
	PartitionKey []byte
	// ExplicitHashKey is decimal text; nil if the record has none.
	ExplicitHashKey []byte
	Data            []byte
}

// hash is where the record belongs: by its explicit hash key, else its partition
// key. It reports false for an explicit hash key that is no number of 128 bits.
func (r Record) hash() (ids.Hash, bool) {
	if r.ExplicitHashKey == nil {
		return ids.HashOf(r.PartitionKey), true
	}
	digits := bytes.TrimLeft(r.ExplicitHashKey, "0")
	if len(digits) == 0 {
		digits = r.ExplicitHashKey[max(0, len(r.ExplicitHashKey)-1):]
	}
	return ids.ParseHash(digits)
}

// Aggregate is a record that was found to be one. It shares the bytes it was
// parsed from.
type Aggregate struct {
	message      []byte
	keys, hashes table
	length       int
}

// Parse tells whether data is an aggregate, and finds its tables: the magic
// number and the digest are right, the message is well formed and complete, and
// every index and explicit hash key is good. It holds four bytes for each entry of
// a table, about twice the length of data at most, and nothing for a record.
func Parse(data []byte) (Aggregate, bool) {
	if len(data) <= len(magic)+md5.Size || len(data) > math.MaxInt32 || string(data[:len(magic)]) != magic {
		return Aggregate{}, false
	}
	message, digest := data[len(magic):len(data)-md5.Size], data[len(data)-md5.Size:]
	if sum := md5.Sum(message); !bytes.Equal(sum[:], digest) {
		return Aggregate{}, false
	}
	a := Aggregate{message: message, keys: table{in: message}, hashes: table{in: message}}
	ok := fields(message, func(f field) bool {
		if f.kind != protowire.BytesType {
			return true
		}
		switch f.num {
		case fieldPartitionKey:
			a.keys.add(f.at)
		case fieldExplicitHashKey:
			a.hashes.add(f.at)
		}
		return true
	})
	ok = ok && fields(message, func(f field) bool {
		if f.num != fieldRecord || f.kind != protowire.BytesType {
			return true
		}
		_, ok := a.record(f.bytes)
		a.length++
		return ok
	})
	return a, ok
}

// Len is the number of user records. It can be zero.
func (a Aggregate) Len() int { return a.length }

// Records yields the user records with their sub-sequence numbers, which count from
// zero. Their bytes are those that the aggregate was parsed from.
func (a Aggregate) Records() iter.Seq2[int, Record] {
	return func(yield func(int, Record) bool) {
		n := 0
		fields(a.message, func(f field) bool {
			if f.num != fieldRecord || f.kind != protowire.BytesType {
				return true
			}
			r, ok := a.record(f.bytes)
			n++
			return ok && yield(n-1, r)
		})
	}
}

// In reports whether every user record belongs into a shard of this range. An
// aggregate of which one does not was sent to the wrong shard during a reshard:
// its producer has sent it once more, so its records are not to be delivered.
func (a Aggregate) In(shard ids.Range) bool {
	for _, r := range a.Records() {
		if h, ok := r.hash(); !ok || !shard.Contains(h) {
			return false
		}
	}
	return true
}

// record reads one Record. A field of a type that is not its own is skipped, as
// unknown fields are; of one that comes twice the last counts.
func (a Aggregate) record(message []byte) (r Record, ok bool) {
	keyed, hashed, filled := false, false, false
	var key, hash uint64
	ok = fields(message, func(f field) bool {
		switch {
		case f.num == fieldPartitionKeyIndex && f.kind == protowire.VarintType:
			key, keyed = f.value, true
		case f.num == fieldExplicitHashKeyIndex && f.kind == protowire.VarintType:
			hash, hashed = f.value, true
		case f.num == fieldData && f.kind == protowire.BytesType:
			r.Data, filled = f.bytes, true
		case f.num == fieldTag && f.kind == protowire.BytesType:
			return validTag(f.bytes)
		}
		return true
	})
	if !ok || !keyed || !filled {
		return Record{}, false
	}
	if r.PartitionKey, ok = a.keys.get(key); ok && hashed {
		if r.ExplicitHashKey, ok = a.hashes.get(hash); ok {
			_, ok = r.hash()
		}
	}
	return r, ok
}

func validTag(message []byte) bool {
	keyed := false
	ok := fields(message, func(f field) bool {
		keyed = keyed || f.num == fieldTagKey && f.kind == protowire.BytesType
		return true
	})
	return ok && keyed
}
