package kinesis

import (
	"bytes"
	"net/http/httptest"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// TestCBOR puts and reads through the other format: blobs are bytes in it.
func TestCBOR(t *testing.T) {
	s := newServer(t, false)
	call := func(op string, in any, out any) {
		t.Helper()
		body, err := cbor.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
		r.Header.Set("X-Amz-Target", "Kinesis_20131202."+op)
		r.Header.Set("Content-Type", "application/x-amz-cbor-1.1")
		w := httptest.NewRecorder()
		s.http.ServeHTTP(w, r)
		if w.Code != 200 {
			t.Fatalf("%s: %d %x", op, w.Code, w.Body.Bytes())
		}
		if out == nil {
			return
		}
		if err := cbor.Unmarshal(w.Body.Bytes(), out); err != nil {
			t.Fatalf("%s: %v", op, err)
		}
	}
	type m = map[string]any
	call("CreateStream", m{"StreamName": "s", "ShardCount": 1, "MaxRecordSizeInKiB": 10240}, nil)
	data := []byte{0, 1, 0xFF, '"'}
	var put struct {
		FailedRecordCount int
		Records           []struct{ SequenceNumber, ShardId string }
	}
	call("PutRecords", m{"StreamName": "s", "Records": []m{{"Data": data, "PartitionKey": "a"}, {"Data": []byte{}, "PartitionKey": "b"}}}, &put)
	var it struct{ ShardIterator string }
	call("GetShardIterator", m{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "TRIM_HORIZON"}, &it)
	var got struct {
		Records []struct {
			Data                         []byte
			PartitionKey, SequenceNumber string
		}
	}
	call("GetRecords", m{"ShardIterator": it.ShardIterator}, &got)
	if len(got.Records) != 2 || !bytes.Equal(got.Records[0].Data, data) || got.Records[1].Data == nil ||
		got.Records[0].SequenceNumber != put.Records[0].SequenceNumber {
		t.Errorf("put %+v, got %+v", put, got)
	}

	large := bytes.Repeat(data, 10<<20/len(data)) // the most there is
	var at struct{ SequenceNumber string }
	call("PutRecord", m{"StreamName": "s", "Data": large, "PartitionKey": "c"}, &at)
	call("GetShardIterator", m{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "AT_SEQUENCE_NUMBER",
		"StartingSequenceNumber": at.SequenceNumber}, &it)
	call("GetRecords", m{"ShardIterator": it.ShardIterator}, &got)
	if len(got.Records) != 1 || !bytes.Equal(got.Records[0].Data, large) {
		t.Errorf("put %d bytes, got %d records", len(large), len(got.Records))
	}
}

// TestNoSpace fills the disk: a put says so in words, and later ones go through
// when there is room.
func TestNoSpace(t *testing.T) {
	s := newServer(t, false)
	s.call("CreateStream", `{"StreamName":"s","ShardCount":1}`, nil)
	body := string(putRecordsBody("s", 4, 1<<20))
	s.fs.SetCapacity(s.fs.Used() + 1)
	var code int
	var answer []byte
	for range 20 {
		if code, answer = s.call("PutRecord", `{"StreamName":"s","PartitionKey":"a","Data":"AAAA"}`, nil); code != 200 {
			break
		}
		s.call("PutRecords", body, nil)
	}
	if code != 500 || !bytes.Contains(answer, []byte(`"__type":"InternalFailureException"`)) || !bytes.Contains(answer, []byte("space")) {
		t.Fatalf("%d %s", code, answer)
	}
	code, answer = s.call("PutRecords", body, nil)
	if code != 200 || bytes.Count(answer, []byte(`{"ErrorCode":"InternalFailure","ErrorMessage":"Internal Service Failure"}`)) != 4 ||
		!bytes.HasPrefix(answer, []byte(`{"FailedRecordCount":4,`)) {
		t.Fatalf("%d %s", code, answer)
	}
	s.fs.SetCapacity(0)
	if err := s.log.Step(); err != nil {
		t.Fatal(err)
	}
	if code, answer = s.call("PutRecords", body, nil); code != 200 || !bytes.HasPrefix(answer, []byte(`{"FailedRecordCount":0,`)) {
		t.Fatalf("after space returned: %d %s", code, answer)
	}
}
