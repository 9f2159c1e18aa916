package delivery

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/log"
)

func sampleFailure() dest.Failure {
	return dest.Failure{
		Record: dest.Record{Partition: log.PartitionID{Stream: 7, Generation: 1, Index: 3}, Offset: 42, Sub: 2, Arrival: 1_700_000_000_000,
			Sequence: "495", ShardID: "shardId-000000000003", PartitionKey: "k", Data: []byte("data"), Keys: map[string]string{"query:a": "1", "query:b": ""}},
		Type: "processing-failed", Code: "Code", Message: "message", Attempts: 4, Fields: map[string]string{"lambdaArn": "arn"},
	}
}

func TestEntryThereAndBack(t *testing.T) {
	f := sampleFailure()
	file := appendEntry(nil, entryRecord, &f.Record, nil)
	file = appendEntry(file, entryFailed, &f.Record, &f)
	in := bufio.NewReader(bytes.NewReader(file))
	for _, want := range []entryKind{entryRecord, entryFailed} {
		raw, err := readEntry(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		kind, got, err := parseEntry(raw)
		if err != nil || kind != want {
			t.Fatalf("kind %d, %v", kind, err)
		}
		expect := dest.Failure{Record: f.Record}
		if want == entryFailed {
			expect = f
		}
		expect.Record.ID = RecordID(f.Record.Partition, f.Record.Offset)
		if !reflect.DeepEqual(got, expect) {
			t.Errorf("got %+v, want %+v", got, expect)
		}
	}
	if _, err := readEntry(in, nil); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// Whatever stands in a file, it is an entry or damage, and an entry is written as it
// was read.
func FuzzEntry(f *testing.F) {
	sample := sampleFailure()
	for _, kind := range []entryKind{entryRecord, entryRaw, entryFailed} {
		b := appendEntry(nil, kind, &sample.Record, &sample)
		f.Add(b[2:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, got, err := parseEntry(b)
		if err != nil {
			return
		}
		again, err := readEntry(bufio.NewReader(bytes.NewReader(appendEntry(nil, kind, &got.Record, &got))), nil)
		if err != nil {
			t.Fatal(err)
		}
		kind2, got2, err := parseEntry(again)
		if err != nil || kind2 != kind || !reflect.DeepEqual(got, got2) {
			t.Errorf("%+v became %+v, %v", got, got2, err)
		}
	})
}

func FuzzRecordID(f *testing.F) {
	f.Add(RecordID(log.PartitionID{Stream: 1, Generation: 2, Index: 3}, 4))
	f.Add("nonsense")
	f.Fuzz(func(t *testing.T, id string) {
		if p, offset, ok := ParseRecordID(id); ok && RecordID(p, offset) != id {
			t.Errorf("%q is %v, %d, which is %q", id, p, offset, RecordID(p, offset))
		}
	})
}
