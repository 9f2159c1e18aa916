package kinesis

import (
	"encoding/binary"
	"strconv"
	"time"

	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/codec"
	"thalweg/internal/awsapi/codec/cbor"
	"thalweg/internal/awsapi/codec/eventstream"
	"thalweg/internal/awsapi/codec/json"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/streams"
)

const eventName = "SubscribeToShardEvent"

// newEventEncoding returns the encoding of a subscription's events in the format
// of its request.
func newEventEncoding(events *awsapi.Events) streams.Encoding {
	if events.Codec() == awsapi.CBOR {
		return &cborEvents{events: events}
	}
	return &jsonEvents{events: events}
}

// jsonEvents writes events in JSON.
type jsonEvents struct {
	events *awsapi.Events
}

// Begin implements [streams.Encoding].
func (e *jsonEvents) Begin(dst []byte) []byte {
	return append(e.events.BeginEvent(dst, eventName), `{"Records":[`...)
}

// Record implements [streams.Encoding].
func (e *jsonEvents) Record(dst []byte, r *streams.Record, n int) []byte {
	if n > 0 {
		dst = append(dst, ',')
	}
	return appendRecord(dst, r)
}

// Size implements [streams.Encoding]: base64, and a key of escapes at worst.
func (e *jsonEvents) Size(r *streams.Record) int { return len(r.Data)/3*4 + 6*len(r.Key) + 256 }

// Format implements [streams.Encoding].
func (e *jsonEvents) Format() string { return "json" }

// End implements [streams.Encoding].
func (e *jsonEvents) End(dst []byte, _ int, end *streams.EventEnd) []byte {
	dst = append(dst, `],"MillisBehindLatest":`...)
	dst = strconv.AppendInt(dst, end.MillisBehindLatest, 10)
	if end.Continuation != "" {
		dst = append(append(append(dst, `,"ContinuationSequenceNumber":"`...), end.Continuation...), '"')
	}
	if end.Children != nil {
		dst = append(dst, `,"ChildShards":`...)
		enc := json.NewEncoder(dst)
		encodeChildren(enc, end.Children)
		dst = enc.Bytes()
	}
	return eventstream.End(append(dst, '}'), 0)
}

// cborEvents writes events in CBOR.
type cborEvents struct {
	events *awsapi.Events
	enc    cbor.Encoder
	count  int // where the number of records stands in the event
}

// listHead is a list whose number of items is in the two bytes after it.
const listHead = 0x99

// Begin implements [streams.Encoding].
func (e *cborEvents) Begin(dst []byte) []byte {
	e.enc.Reset(e.events.BeginEvent(dst, eventName))
	e.enc.BeginStruct()
	e.enc.Key("Records")
	dst = append(e.enc.Bytes(), listHead, 0, 0)
	e.count = len(dst) - 2
	return dst
}

// Record implements [streams.Encoding].
func (e *cborEvents) Record(dst []byte, r *streams.Record, _ int) []byte {
	e.enc.Reset(dst)
	e.enc.BeginStruct()
	e.enc.Key("ApproximateArrivalTimestamp")
	e.enc.Time(time.UnixMilli(r.Arrival), codec.TimeDefault)
	e.enc.Key("Data")
	e.enc.Blob(r.Data)
	if r.Encrypted {
		e.enc.Key("EncryptionType")
		e.enc.String(string(model.EncryptionTypeKms))
	}
	if r.Key != nil {
		e.enc.Key("PartitionKey")
		e.enc.String(string(r.Key))
	}
	e.enc.Key("SequenceNumber")
	e.enc.String(r.Sequence.String())
	e.enc.EndStruct()
	return e.enc.Bytes()
}

// Size implements [streams.Encoding].
func (e *cborEvents) Size(r *streams.Record) int { return len(r.Data) + len(r.Key) + 256 }

// Format implements [streams.Encoding].
func (e *cborEvents) Format() string { return "cbor" }

// End implements [streams.Encoding].
func (e *cborEvents) End(dst []byte, n int, end *streams.EventEnd) []byte {
	binary.BigEndian.PutUint16(dst[e.count:], uint16(n)) // MaxGetRecords at most
	e.enc.Reset(dst)
	e.enc.Key("MillisBehindLatest")
	e.enc.Int(end.MillisBehindLatest)
	if end.Continuation != "" {
		e.enc.Key("ContinuationSequenceNumber")
		e.enc.String(end.Continuation)
	}
	if end.Children != nil {
		e.enc.Key("ChildShards")
		encodeChildren(&e.enc, end.Children)
	}
	e.enc.EndStruct()
	return eventstream.End(e.enc.Bytes(), 0)
}

// encodeChildren writes the shards that follow a closed one.
func encodeChildren(enc codec.Encoder, children []*catalog.Shard) {
	enc.BeginList(len(children))
	for _, child := range childShapes(children) {
		child.Encode(enc)
	}
	enc.EndList()
}
