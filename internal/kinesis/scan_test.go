package kinesis

import (
	"bytes"
	"testing"

	"thalweg/internal/awsapi/codec/json"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/awsapi/validate"
	"thalweg/internal/catalog"
	"thalweg/internal/opt"
)

// usualBodies are documents as SDKs write them; all must take the fast path.
var usualBodies = []string{
	`{"Records":[{"Data":"AAEC","PartitionKey":"a"}],"StreamName":"s"}`,
	"{\"StreamName\":\"s\",\"Records\":[{\"PartitionKey\":\"a\",\"Data\":\"\"},{\"Data\":\"YQ==\",\"PartitionKey\":\"\u00e9\",\"ExplicitHashKey\":\"0\"}]}",
	"{\n  \"StreamARN\" : \"arn:aws:kinesis:us-east-1:000000000000:stream/s\",\r\n\t\"Records\": [ {\"Data\":\"YWI=\",\"PartitionKey\":\"k\" , \"ExplicitHashKey\":\"340282366920938463463374607431768211455\"} ] } ",
}

// unusualBodies are documents that the general path must decide on.
var unusualBodies = []string{
	``, `{}`, `[]`, `{"Records":[]}`, `{"Records":[{}]}`, `{"Records":null}`, `{"Records":[{"Data":"AA==","PartitionKey":"a"}]`,
	`{"Records":[{"Data":"AA==","PartitionKey":"a"}]} x`,
	`{"Records":[{"Data":"AA==","PartitionKey":"a"}],}`,
	`{"Records":[{"Data":"AA==","PartitionKey":"a"},]}`,
	"{\"Records\":[{\"Data\":\"AA==\",\"PartitionKey\":\"a\"}]}\x00",
	`{,"Records":[{"Data":"AA==","PartitionKey":"a"}]}`,
	`{"Records":[{"Data":"AA==","PartitionKey":"a",}]}`,
	`{"Records":[{"Data":"AA==" "PartitionKey":"a"}]}`,
	`{"Records":[{"Data":"AA==","PartitionKey":"a"}],"DryRun":false}`,
	`{"Records":[{"Data":"AA==","PartitionKey":"a"}],"Records":[]}`,
	`{"Records":[{"Data":"AA==","PartitionKey":"a","PartitionKey":"b"}]}`,
	`{"Records":[{"Data":"AA==","PartitionKey":"a\n"}]}`,
	`{"Records":[{"Data":"AA==","PartitionKey":"a\u0000"}]}`,
	`{"Records":[{"Data":"AA==","PartitionKey":null}]}`,
	`{"Records":[{"Data":5,"PartitionKey":"a"}]}`,
	"{\"Records\":[{\"Data\":\"AA==\",\"PartitionKey\":\"\xff\"}]}",
	"{\"Records\":[{\"Data\":\"AA==\",\"PartitionKey\":\"\x01\"}]}",
	`{"Records":[{"Data":"AA==","PartitionKey":"a"}],"StreamName":"s","StreamName":"t"}`,
}

// badBlobs are Data texts that only the general path may judge.
var badBlobs = []string{"A", "AA", "AAA", "AAAA=", "AB==", "AAB=", "A===", "====", "AA=A", "AA\n=", "AAAA\n\n\n\n", "A-_A", "AA==AAAA", "\\u0041AA="}

func TestScanUsual(t *testing.T) {
	for _, body := range usualBodies {
		if !sameAsDecoder(t, []byte(body)) {
			t.Errorf("not taken: %s", body)
		}
	}
	for _, body := range unusualBodies {
		var p putScan
		if p.put([]byte(body)) {
			t.Errorf("taken: %s", body)
		}
	}
	for _, data := range badBlobs {
		for _, pad := range []string{"", "AAAA", string(bytes.Repeat([]byte("AAAA"), 30))} {
			if sameAsDecoder(t, []byte(`{"Records":[{"Data":"`+pad+data+`","PartitionKey":"a"}],"StreamName":"s"}`)) {
				t.Errorf("taken: Data %q", pad+data)
			}
		}
	}
}

// sameAsDecoder scans body both ways. It reports whether the fast one took it,
// and fails the test when it saw anything else than the decoder and the model's
// validation did.
func sameAsDecoder(t *testing.T, body []byte) bool {
	t.Helper()
	var p putScan
	before := bytes.Clone(body)
	taken := p.put(body)
	r := &catalog.Resource{Stream: &catalog.Stream{MaxRecordKiB: 1024}}
	var blobs [][]byte
	for i := range p.records {
		if !taken {
			break
		}
		e := &p.records[i]
		size := blobSize(e.data)
		if size < 0 || e.key == nil || len(e.key) == 0 || len(e.key) > maxFastKey || size > r.Stream.MaxRecordKiB<<10 ||
			e.hashKey != nil && !hashKeyForm(e.hashKey) {
			taken = false
			break
		}
		dst := make([]byte, size, size+64)
		for j := range dst[:cap(dst)] {
			dst[:cap(dst)][j] = 0xEE
		}
		taken = decodeBlob(dst, e.data)
		if n := len(bytes.TrimRight(dst[:cap(dst)][size:], "\xEE")); n != 0 {
			t.Fatalf("decoder wrote %d bytes beyond the blob", n)
		}
		blobs = append(blobs, dst)
	}
	if !bytes.Equal(body, before) {
		t.Fatal("the scan changed the document")
	}
	if !taken {
		return false
	}
	name, arn := string(p.name), string(p.arn)
	var in model.PutRecordsInput
	d := json.NewDecoder(before)
	in.Decode(d)
	var c validate.Collector
	in.Validate(&c)
	if err := d.Finish(); err != nil {
		t.Fatalf("the decoder refuses what was taken: %v", err)
	}
	for i := range in.Records {
		if in.Records[i].PartitionKey.Set != (p.records[i].key != nil) {
			t.Fatal("partition key")
		}
	}
	if in.StreamName != optional(p.name, name) || in.StreamARN != optional(p.arn, arn) || len(in.Records) != len(blobs) {
		t.Fatalf("decoder: %+v", in)
	}
	in.StreamName, in.StreamARN = opt.V[string]{}, opt.V[string]{} // the door looks them up
	for i, e := range in.Records {
		s := p.records[i]
		if !bytes.Equal(e.Data, blobs[i]) || e.PartitionKey.V != string(s.key) || e.ExplicitHashKey != optional(s.hashKey, string(s.hashKey)) {
			t.Fatalf("record %d: decoder %+v, scan %q", i, e, s)
		}
	}
	var c2 validate.Collector
	if in.Validate(&c2); c2.Message() != "" {
		t.Fatalf("taken though not valid: %s", c2.Message())
	}
	return true
}

func optional(p []byte, s string) opt.V[string] { return opt.V[string]{V: s, Set: p != nil} }

func FuzzScanPutRecords(f *testing.F) {
	for _, body := range append(append([]string{}, usualBodies...), unusualBodies...) {
		f.Add([]byte(body))
	}
	for _, data := range badBlobs {
		f.Add([]byte(`{"Records":[{"Data":"` + data + `","PartitionKey":"a"}],"StreamName":"s"}`))
	}
	f.Fuzz(func(t *testing.T, body []byte) { sameAsDecoder(t, body) })
}

func FuzzScanGetRecords(f *testing.F) {
	f.Add([]byte(`{"ShardIterator":"AAAA","Limit":10}`))
	f.Add([]byte(`{"Limit":  1 , "StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","ShardIterator":"AAAA"}`))
	f.Add([]byte(`{"ShardIterator":"AAAA","Limit":1e3}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		iterator, arn, limit, ok := scanGet(body)
		if !ok {
			return
		}
		var in model.GetRecordsInput
		d := json.NewDecoder(bytes.Clone(body))
		in.Decode(d)
		if err := d.Finish(); err != nil {
			t.Fatalf("the decoder refuses what was taken: %v", err)
		}
		if in.ShardIterator.V != string(iterator) || in.StreamARN != arn || int(in.Limit.Or(10000)) != limit || in.DryRun.Set {
			t.Fatalf("decoder: %+v, scan %s %v %d", in, iterator, arn, limit)
		}
		in.StreamARN = opt.V[string]{}
		var c validate.Collector
		if in.Validate(&c); c.Message() != "" {
			t.Fatalf("taken though not valid: %s", c.Message())
		}
	})
}

func FuzzScanPutRecord(f *testing.F) {
	f.Add([]byte(`{"StreamName":"s","PartitionKey":"a","Data":"AAAA"}`))
	f.Add([]byte(`{"Data":"AA==","ExplicitHashKey":"0","StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s"}`))
	f.Add([]byte(`{"Data":"AAAA","Data":"AAAA","PartitionKey":"a","SequenceNumberForOrdering":"0"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var p putScan
		if !p.putOne(body) {
			return
		}
		e := p.records[0]
		size := blobSize(e.data)
		if size < 0 {
			return
		}
		data := make([]byte, size)
		if !decodeBlob(data, e.data) {
			return
		}
		var in model.PutRecordInput
		d := json.NewDecoder(bytes.Clone(body))
		in.Decode(d)
		if err := d.Finish(); err != nil {
			t.Fatalf("the decoder refuses what was taken: %v", err)
		}
		if !bytes.Equal(in.Data, data) || in.PartitionKey != optional(e.key, string(e.key)) ||
			in.ExplicitHashKey != optional(e.hashKey, string(e.hashKey)) || in.StreamName != optional(p.name, string(p.name)) ||
			in.StreamARN != optional(p.arn, string(p.arn)) || in.DryRun.Set || in.SequenceNumberForOrdering.Set {
			t.Fatalf("decoder %+v, scan %q", in, e)
		}
	})
}
