package model_test

import (
	"strconv"
	"testing"

	"thalweg/internal/awsapi/codec/cbor"
	"thalweg/internal/awsapi/codec/json"
	"thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/awsapi/validate"
	"thalweg/internal/opt"
)

const (
	benchRecords = 500
	benchSize    = 1024
)

func putRecords() *kinesis.PutRecordsInput {
	in := &kinesis.PutRecordsInput{StreamName: opt.Of("player-events")}
	data := make([]byte, benchSize)
	for i := range data {
		data[i] = byte(i * 7)
	}
	for i := range benchRecords {
		in.Records = append(in.Records, kinesis.PutRecordsRequestEntry{Data: data, PartitionKey: opt.Of("player-" + strconv.Itoa(i))})
	}
	return in
}

func benchDecode(b *testing.B, doc []byte, decode func(in *kinesis.PutRecordsInput, doc []byte) error) {
	work := make([]byte, len(doc))
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		copy(work, doc) // decoding overwrites
		var in kinesis.PutRecordsInput
		if err := decode(&in, work); err != nil || len(in.Records) != benchRecords {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodePutRecordsJSON(b *testing.B) {
	benchDecode(b, toJSON(putRecords()), func(in *kinesis.PutRecordsInput, doc []byte) error {
		d := json.NewDecoder(doc)
		in.Decode(d)
		return d.Finish()
	})
}

func BenchmarkDecodePutRecordsCBOR(b *testing.B) {
	benchDecode(b, toCBOR(putRecords()), func(in *kinesis.PutRecordsInput, doc []byte) error {
		d := cbor.NewDecoder(doc)
		in.Decode(d)
		return d.Finish()
	})
}

func BenchmarkValidatePutRecords(b *testing.B) {
	in := putRecords()
	b.ReportAllocs()
	for b.Loop() {
		var c validate.Collector
		if in.Validate(&c); c.Message() != "" {
			b.Fatal(c.Message())
		}
	}
}

func getRecords() *kinesis.GetRecordsOutput {
	out := &kinesis.GetRecordsOutput{MillisBehindLatest: opt.Of(int64(0)), NextShardIterator: opt.Of("iterator")}
	for _, r := range putRecords().Records {
		out.Records = append(out.Records, kinesis.Record{
			Data: r.Data, PartitionKey: r.PartitionKey, SequenceNumber: opt.Of("49671246667567228643283430150187087032206582658"),
		})
	}
	return out
}

func BenchmarkEncodeGetRecordsJSON(b *testing.B) {
	out, buf := getRecords(), make([]byte, 0, 1<<20)
	e := json.NewEncoder(nil)
	b.SetBytes(int64(len(toJSON(out))))
	b.ReportAllocs()
	for b.Loop() {
		e.Reset(buf)
		out.Encode(e)
	}
}

func BenchmarkEncodeGetRecordsCBOR(b *testing.B) {
	out, buf := getRecords(), make([]byte, 0, 1<<20)
	e := cbor.NewEncoder(nil)
	b.SetBytes(int64(len(toCBOR(out))))
	b.ReportAllocs()
	for b.Loop() {
		e.Reset(buf)
		out.Encode(e)
	}
}

func BenchmarkEncodePutRecordsOutputJSON(b *testing.B) {
	out, buf := &kinesis.PutRecordsOutput{FailedRecordCount: opt.Of(int32(0))}, make([]byte, 0, 1<<20)
	for range benchRecords {
		out.Records = append(out.Records, kinesis.PutRecordsResultEntry{
			ShardId: opt.Of("shardId-000000000000"), SequenceNumber: opt.Of("49671246667567228643283430150187087032206582658"),
		})
	}
	e := json.NewEncoder(nil)
	b.SetBytes(int64(len(toJSON(out))))
	b.ReportAllocs()
	for b.Loop() {
		e.Reset(buf)
		out.Encode(e)
	}
}
