package kpl

import "google.golang.org/protobuf/encoding/protowire"

// field is one field of a message: value is of a varint, bytes of a string,
// byte sequence or message, which begins at offset at with its length.
type field struct {
	num   protowire.Number
	kind  protowire.Type
	at    int
	value uint64
	bytes []byte
}

// fields calls fn with each field of a message until it returns false. It reports
// whether the message is well formed and fn accepted all of it.
func fields(message []byte, fn func(field) bool) bool {
	for at := 0; at < len(message); {
		num, kind, n := protowire.ConsumeTag(message[at:])
		if n < 0 {
			return false
		}
		at += n
		f := field{num: num, kind: kind, at: at}
		switch kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(message[at:])
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(message[at:])
		default:
			n = protowire.ConsumeFieldValue(num, kind, message[at:])
		}
		if n < 0 || !fn(f) {
			return false
		}
		at += n
	}
	return true
}

// table finds the strings of a message by their index.
type table struct {
	in []byte
	at []uint32
}

func (t *table) add(at int) { t.at = append(t.at, uint32(at)) }

func (t *table) get(i uint64) ([]byte, bool) {
	if i >= uint64(len(t.at)) {
		return nil, false
	}
	b, n := protowire.ConsumeBytes(t.in[t.at[i]:])
	return b, n >= 0
}
