// Package codec is what a generated shape knows of a wire format: a pull
// [Decoder] and a push [Encoder]. Shapes and formats are independent; a new
// format is one new implementation of the two.
//
// Decoding errors stick: after the first one every call answers as at the end
// of the document, and Finish returns the error. A null member is an absent
// member; a null list item or map value is an error. A repeated member replaces
// the earlier one. Unknown members are skipped by the shape with Skip.
//
// The implementations bound depth ([MaxDepth]) and the number of list items and
// map entries of one document ([MaxItems]); the caller bounds its bytes. A
// Decoder or Encoder is used by one goroutine.
package codec

import (
	"slices"
	"time"

	"thalweg/internal/opt"
)

// MaxDepth is how deep lists, maps and structures may nest: DynamoDB's values nest
// 32 deep, and each is two levels, within a few of the request.
const MaxDepth = 80

// MaxItems is how many list items and map entries one document may have. Items
// of a list that the model bounds are not stored beyond the bound.
const MaxItems = 1 << 17

// TimeFormat is how a timestamp is written.
type TimeFormat uint8

const (
	// TimeDefault is the format's own: epoch seconds with a millisecond fraction
	// in JSON, tag 1 with integer epoch milliseconds in AWS's CBOR.
	TimeDefault TimeFormat = iota
	// TimeISO8601 is RFC 3339 text in UTC.
	TimeISO8601
	// TimeHTTPDate is the date of HTTP headers.
	TimeHTTPDate
)

// Decoder reads one document. Values that are absent are null in the document.
type Decoder interface {
	// Null consumes a null and reports whether there was one.
	Null() bool
	// BeginStruct enters a structure; false on null or error.
	BeginStruct() bool
	// NextKey returns the next member's name, valid until the next call, or nil
	// at the structure's end, which it consumes.
	NextKey() []byte
	// BeginMap enters a map; false on null or error.
	BeginMap() bool
	// NextEntry is NextKey for maps; a null value is an error.
	NextEntry() []byte
	// BeginList enters a list; false on null or error.
	BeginList() bool
	// NextItem reports whether another item follows; a null item is an error.
	NextItem() bool

	String() opt.V[string]
	Int() opt.V[int32]
	Long() opt.V[int64]
	Float() opt.V[float64]
	Bool() opt.V[bool]
	Time(TimeFormat) opt.V[time.Time]
	// Blob returns bytes that alias the document, or nil when absent.
	Blob() []byte
	// Skip passes over one value.
	Skip()
}

// Encoder writes one document. Calls nest as the document does: Begin, then Key
// before each member's value, then End.
type Encoder interface {
	BeginStruct()
	// Key writes a member's name, which needs no escaping.
	Key(name string)
	EndStruct()
	BeginMap(n int)
	// MapKey writes an entry's key, whatever its characters.
	MapKey(key string)
	EndMap()
	BeginList(n int)
	EndList()

	String(string)
	Int(int64)
	Float(float64)
	Bool(bool)
	Time(time.Time, TimeFormat)
	Blob([]byte)
}

// Error is a document that could not be read. Msg is AWS's text for a value of
// the wrong type and empty for a document that is not well-formed; Detail says
// what was wrong for a log, never for a client.
type Error struct {
	Msg    string
	Detail string
}

func (e *Error) Error() string {
	if e.Msg != "" {
		return e.Msg
	}
	return e.Detail
}

// Enum reads a string as an enumeration's type.
func Enum[T ~string](d Decoder) opt.V[T] {
	s := d.String()
	return opt.V[T]{V: T(s.V), Set: s.Set}
}

// Struct reads a structure, nil when it is absent.
func Struct[T any, P interface {
	*T
	Decode(Decoder)
}](d Decoder) *T {
	if d.Null() {
		return nil
	}
	v := new(T)
	P(v).Decode(d)
	return v
}

// SortedKeys returns m's keys in order, so that answers are deterministic.
func SortedKeys[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
