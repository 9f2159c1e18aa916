package badinput

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"thalweg/tests/lean"
)

var (
	serialization = []string{"SerializationException"}
	validation    = []string{"ValidationException"}
	argument      = []string{"InvalidArgumentException"}
)

// bad is a probe that is refused with 400 on a connection that stays.
func bad(name string, request []byte, code []string, message string) probe {
	return probe{name: name, request: request, status: []int{400}, code: code, message: message}
}

// jsonProbes are bodies that are no JSON, or not the JSON of an operation.
func jsonProbes(s *lean.Signer) []probe {
	put := func(name, body string) probe {
		return bad(name, s.Request("PutRecord", []byte(body)), serialization, "")
	}
	valid := `{"StreamName":"bad","PartitionKey":"k","Data":"aGVsbG8="}`
	return []probe{
		put("empty body", ``),
		put("blank body", "  \n\t "),
		put("text", `hello`),
		put("a number", `1`),
		put("a string", `"StreamName"`),
		put("an array", `[`+valid+`]`),
		put("a literal", `true`),
		put("cut in a key", `{"StreamN`),
		put("cut in a value", `{"StreamName":"ba`),
		put("cut before the end", valid[:len(valid)-1]),
		put("a comma too many", `{"StreamName":"bad",}`),
		put("a comma missing", `{"StreamName":"bad" "PartitionKey":"k"}`),
		put("a colon missing", `{"StreamName" "bad"}`),
		put("single quotes", `{'StreamName':'bad'}`),
		put("a comment", `{/* x */"StreamName":"bad"}`),
		put("two values", valid+valid),
		put("text after", valid+`x`),
		put("NUL bytes", "\x00\x00\x00\x00"),
		put("a byte order mark", "\xef\xbb\xbf"+valid),
		put("UTF-16", "{\x00\"\x00"),
		put("a control character in a string", "{\"StreamName\":\"ba\nd\"}"),
		put("a bad escape", `{"StreamName":"\x41"}`),
		put("a cut escape", `{"StreamName":"\u00"}`),
		put("a leading zero", `{"StreamName":"bad","PartitionKey":"k","Data":"","SequenceNumberForOrdering":01}`),
		put("no number", `{"StreamName":"bad","PartitionKey":"k","Data":"","DryRun":NaN}`),
		put("deep arrays", strings.Repeat("[", 100_000)),
		put("deep objects", strings.Repeat(`{"a":`, 100_000)),
		put("deep in an unknown member", `{"Other":`+strings.Repeat("[", 50_000)+strings.Repeat("]", 50_000)+`}`),
		put("name: a number", `{"StreamName":5,"PartitionKey":"k","Data":""}`),
		put("name: an object", `{"StreamName":{},"PartitionKey":"k","Data":""}`),
		put("name: an array", `{"StreamName":["bad"],"PartitionKey":"k","Data":""}`),
		put("name: a boolean", `{"StreamName":true,"PartitionKey":"k","Data":""}`),
		put("data: a number", `{"StreamName":"bad","PartitionKey":"k","Data":12}`),
		put("data: an array", `{"StreamName":"bad","PartitionKey":"k","Data":[1,2]}`),
		put("data: no base64", `{"StreamName":"bad","PartitionKey":"k","Data":"@@@@"}`),
		put("data: cut base64", `{"StreamName":"bad","PartitionKey":"k","Data":"aGVsb"}`),
		put("data: padding within", `{"StreamName":"bad","PartitionKey":"k","Data":"aG=sbG8="}`),
		bad("records: an object", s.Request("PutRecords", []byte(`{"StreamName":"bad","Records":{}}`)), serialization, ""),
		bad("records: a string", s.Request("PutRecords", []byte(`{"StreamName":"bad","Records":"x"}`)), serialization, ""),
		bad("an entry: a string", s.Request("PutRecords", []byte(`{"StreamName":"bad","Records":["x"]}`)), serialization, ""),
		bad("an entry: a number", s.Request("PutRecords", []byte(`{"StreamName":"bad","Records":[7]}`)), serialization, ""),
		bad("a bad last entry", s.Request("PutRecords", []byte(`{"StreamName":"bad","Records":[{"Data":"","PartitionKey":"k"},{"Data":"@","PartitionKey":"k"}]}`)), serialization, ""),
		bad("limit: a string", s.Request("DescribeStream", []byte(`{"StreamName":"bad","Limit":"x"}`)), serialization, ""),
		bad("limit: an object", s.Request("DescribeStream", []byte(`{"StreamName":"bad","Limit":{}}`)), serialization, ""),
		bad("tags: an array", s.Request("AddTagsToStream", []byte(`{"StreamName":"bad","Tags":["a"]}`)), serialization, ""),
		bad("a tag: a number", s.Request("AddTagsToStream", []byte(`{"StreamName":"bad","Tags":{"a":1}}`)), serialization, ""),
		bad("timestamp: a string", s.Request("GetShardIterator", []byte(`{"StreamName":"bad","ShardId":"shardId-000000000000","ShardIteratorType":"AT_TIMESTAMP","Timestamp":"soon"}`)), serialization, ""),
	}
}

// valueProbes are well-formed and wrong.
func valueProbes(s *lean.Signer) []probe {
	probes := []probe{
		bad("nothing given", s.Request("PutRecord", []byte(`{}`)), []string{"ValidationException", "InvalidArgumentException"}, ""),
		bad("nulls", s.Request("PutRecord", []byte(`{"StreamName":null,"PartitionKey":null,"Data":null}`)), []string{"ValidationException", "InvalidArgumentException"}, ""),
		bad("two violations", s.Request("DescribeStream", []byte(`{"StreamName":"a b","Limit":0}`)), validation, "2 validation errors detected: "),
		bad("name too long", s.Request("DescribeStream", fmt.Appendf(nil, `{"StreamName":"%s"}`, strings.Repeat("a", 129))), validation, "1 validation error detected: "),
		bad("name with NUL", s.Request("DescribeStream", []byte(`{"StreamName":"a\u0000b"}`)), validation, "regular expression"),
		bad("name with a lone surrogate", s.Request("DescribeStream", []byte(`{"StreamName":"\ud800"}`)), []string{"ValidationException", "SerializationException"}, ""),
		bad("name in bytes that are no UTF-8", s.Request("DescribeStream", []byte("{\"StreamName\":\"\xff\xfe\"}")), []string{"ValidationException", "SerializationException"}, ""),
		bad("no such stream", s.Request("DescribeStream", []byte(`{"StreamName":"../../etc/passwd"}`)), validation, ""),
		bad("partition key empty", s.Request("PutRecord", []byte(`{"StreamName":"bad","PartitionKey":"","Data":""}`)), validation, "partitionKey"),
		bad("partition key too long", s.Request("PutRecord", fmt.Appendf(nil, `{"StreamName":"bad","PartitionKey":"%s","Data":""}`, strings.Repeat("k", 257))), validation, "less than or equal to 256"),
		bad("hash key negative", s.Request("PutRecord", []byte(`{"StreamName":"bad","PartitionKey":"k","ExplicitHashKey":"-1","Data":""}`)), []string{"ValidationException", "InvalidArgumentException"}, "xplicitHashKey"),
		bad("hash key too big", s.Request("PutRecord", []byte(`{"StreamName":"bad","PartitionKey":"k","ExplicitHashKey":"340282366920938463463374607431768211456","Data":""}`)), argument, "Invalid ExplicitHashKey"),
		bad("no records", s.Request("PutRecords", []byte(`{"StreamName":"bad","Records":[]}`)), validation, "records"),
		bad("501 records", s.Request("PutRecords", lean.PutRecordsBody("bad", make501())), validation, "less than or equal to 500"),
		bad("one bad entry of many", s.Request("PutRecords", []byte(`{"StreamName":"bad","Records":[{"Data":"","PartitionKey":"k"},{"Data":"","PartitionKey":"k","ExplicitHashKey":"x"}]}`)), validation, "records.2.member.explicitHashKey"),
		bad("iterator type unknown", s.Request("GetShardIterator", []byte(`{"StreamName":"bad","ShardId":"shardId-000000000000","ShardIteratorType":"NOW"}`)), validation, "enum value set"),
		bad("shard unknown", s.Request("GetShardIterator", []byte(`{"StreamName":"bad","ShardId":"shardId-000000000099","ShardIteratorType":"LATEST"}`)), []string{"ResourceNotFoundException"}, "does not exist"),
		bad("sequence number of another kind", s.Request("GetShardIterator", []byte(`{"StreamName":"bad","ShardId":"shardId-000000000000","ShardIteratorType":"AT_SEQUENCE_NUMBER","StartingSequenceNumber":"123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"}`)), argument, ""),
		bad("token garbage", s.Request("ListShards", []byte(`{"NextToken":"AAAA"}`)), []string{"InvalidArgumentException", "ExpiredNextTokenException"}, ""),
		bad("iterator empty", s.Request("GetRecords", []byte(`{"ShardIterator":""}`)), validation, "shardIterator"),
		bad("iterator of 513 characters", s.Request("GetRecords", lean.GetRecordsBody(strings.Repeat("A", 513), 0)), validation, "less than or equal to 512"),
	}
	for _, it := range []string{"A", "AAAA", strings.Repeat("A", 200), strings.Repeat("/", 512), "%00%00", base64.StdEncoding.EncodeToString(make([]byte, 120))} {
		probes = append(probes, bad(fmt.Sprintf("iterator %.12s (%d)", it, len(it)), s.Request("GetRecords", lean.GetRecordsBody(it, 0)), argument, "Invalid ShardIterator."))
	}
	// A number beyond the type may be refused as mistyped or as out of range.
	for _, n := range []string{"-1", "0", "10001", "2147483647", "2147483648", "-2147483649", "9223372036854775807", "9223372036854775808", "1e400", "0.5"} {
		probes = append(probes, bad("limit "+n, s.Request("DescribeStream", fmt.Appendf(nil, `{"StreamName":"bad","Limit":%s}`, n)),
			[]string{"ValidationException", "SerializationException"}, ""))
	}
	for _, n := range []string{"-1", "0", "23", "8761", "99999999999"} {
		probes = append(probes, bad("retention "+n, s.Request("IncreaseStreamRetentionPeriod", fmt.Appendf(nil, `{"StreamName":"bad","RetentionPeriodHours":%s}`, n)),
			[]string{"ValidationException", "SerializationException", "InvalidArgumentException"}, ""))
	}
	for _, n := range []string{"-1", "0", "2147483647", "1e9"} {
		probes = append(probes, bad("shard count "+n, s.Request("CreateStream", fmt.Appendf(nil, `{"StreamName":"other","ShardCount":%s}`, n)),
			[]string{"ValidationException", "SerializationException", "InvalidArgumentException", "LimitExceededException"}, ""))
	}
	return probes
}

func make501() []lean.Record {
	records := make([]lean.Record, 501)
	for i := range records {
		records[i].Key = "k"
	}
	return records
}

// sizeProbes are too big in one way or another.
func sizeProbes(s *lean.Signer) []probe {
	huge := func(n int) []byte {
		return lean.PutRecordBody("bad", lean.Record{Key: "k", Data: make([]byte, n)})
	}
	tooLarge := func(name string, request []byte) probe {
		return probe{name: name, request: request, status: []int{400, 413}, closes: true}
	}
	eleven := make([]lean.Record, 11)
	for i := range eleven {
		eleven[i] = lean.Record{Key: "k", Data: make([]byte, 1<<20)}
	}
	return []probe{
		bad("a record above the stream's maximum", s.Request("PutRecord", huge(1<<20+1)), []string{"ValidationException", "InvalidArgumentException"}, ""),
		tooLarge("a record above 10 MiB", s.Request("PutRecord", huge(10<<20+1))),
		tooLarge("records above 10 MiB together", s.Request("PutRecords", lean.PutRecordsBody("bad", eleven))),
		tooLarge("64 MiB of spaces", s.Request("PutRecord", bytes.Repeat([]byte(" "), 64<<20))),
		tooLarge("a name of 16 MiB", s.Request("DescribeStream", fmt.Appendf(nil, `{"StreamName":"%s"}`, strings.Repeat("a", 16<<20)))),
		tooLarge("a million tags", s.Request("AddTagsToStream", manyTags(1_000_000))),
		bad("3,000 tags", s.Request("AddTagsToStream", manyTags(3000)), validation, "tags"),
		{name: "1 MiB of a member that is not known", status: []int{400}, code: []string{"ResourceNotFoundException"},
			request: s.Request("DescribeStream", fmt.Appendf(nil, `{"Other":"%s","StreamName":"absent"}`, strings.Repeat("z", 1<<20)))},
	}
}

func manyTags(n int) []byte {
	out := []byte(`{"StreamName":"bad","Tags":{`)
	for i := range n {
		if i > 0 {
			out = append(out, ',')
		}
		out = fmt.Appendf(out, `"key-%d":""`, i)
	}
	return append(out, "}}"...)
}

// cborProbes are bodies of the other encoding.
func cborProbes(s *lean.Signer) []probe {
	good, err := cbor.Marshal(map[string]any{"StreamName": "bad", "PartitionKey": "k", "Data": []byte("x")})
	if err != nil {
		panic(err) // a constant
	}
	body := func(name string, b []byte, code []string) probe {
		p := bad(name, s.RequestAs("PutRecord", lean.CBOR, b), code, "")
		p.cbor = true
		return p
	}
	typed := func(name string, v any) probe {
		b, err := cbor.Marshal(v)
		if err != nil {
			panic(err) // a constant
		}
		return body(name, b, serialization)
	}
	probes := []probe{
		body("empty", nil, serialization),
		body("JSON", []byte(`{"StreamName":"bad"}`), serialization),
		body("an integer", []byte{0x01}, serialization),
		body("deep arrays", bytes.Repeat([]byte{0x81}, 100_000), serialization),
		body("deep indefinite arrays", bytes.Repeat([]byte{0x9f}, 100_000), serialization),
		body("deep maps", bytes.Repeat([]byte{0xa1, 0x61, 0x61}, 50_000), serialization),
		body("deep tags", bytes.Repeat([]byte{0xc1}, 100_000), serialization),
		body("a string of 2^63 bytes", []byte{0xa1, 0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, serialization),
		body("an array of 2^32 entries", []byte{0xa1, 0x67, 'R', 'e', 'c', 'o', 'r', 'd', 's', 0x9a, 0xff, 0xff, 0xff, 0xff}, serialization),
		body("a map of 2^64-1 entries", []byte{0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, serialization),
		body("an indefinite string of integers", []byte{0xa1, 0x61, 0x61, 0x7f, 0x01, 0xff}, serialization),
		body("a lone break", []byte{0xff}, serialization),
		body("a reserved length", []byte{0xa1, 0x7c}, serialization),
		body("text after", append(bytes.Clone(good), 0x00), serialization),
		typed("name: an integer", map[string]any{"StreamName": 5, "PartitionKey": "k", "Data": []byte{}}),
		typed("data: an integer", map[string]any{"StreamName": "bad", "PartitionKey": "k", "Data": 5}),
		body("nothing given", []byte{0xa0}, []string{"ValidationException", "InvalidArgumentException"}),
	}
	for cut := 1; cut < len(good); cut += 5 {
		probes = append(probes, body(fmt.Sprintf("cut after %d bytes", cut), good[:cut], serialization))
	}
	return probes
}

// protocolProbes are HTTP, but no request of a service.
func protocolProbes(s *lean.Signer) []probe {
	good := string(s.Request("ListStreams", []byte("{}")))
	swap := func(old, with string) []byte {
		if !strings.Contains(good, old) {
			panic("no " + old) // a mistake in this table
		}
		return []byte(strings.Replace(good, old, with, 1))
	}
	unknown := []string{"UnknownOperationException"}
	wide := []string{"UnknownOperationException", "AccessDeniedException", "SerializationException", ""}
	return []probe{
		bad("unknown operation", swap("Kinesis_20131202.ListStreams", "Kinesis_20131202.MakeTea"), unknown, ""),
		bad("operation in lower case", swap("Kinesis_20131202.ListStreams", "Kinesis_20131202.liststreams"), unknown, ""),
		bad("no operation", swap("Kinesis_20131202.ListStreams", "Kinesis_20131202."), unknown, ""),
		{name: "unknown service", request: swap("Kinesis_20131202.ListStreams", "Tea_20131202.ListStreams"), status: []int{400, 403, 404}, code: wide},
		{name: "no target", request: swap("X-Amz-Target: Kinesis_20131202.ListStreams\r\n", ""), status: []int{400, 403, 404}, code: wide},
		{name: "another content type", request: swap("application/x-amz-json-1.1", "text/xml"), status: []int{400, 403, 404, 415}},
		{name: "no content type", request: swap("Content-Type: application/x-amz-json-1.1\r\n", ""), status: []int{400, 403, 404, 415}},
		{name: "PUT", request: swap("POST / ", "PUT / "), status: []int{400, 403, 404, 405}},
		{name: "DELETE", request: swap("POST / ", "DELETE / "), status: []int{400, 403, 404, 405}},
		{name: "a compressed body that is none", request: swap("Content-Type:", "Content-Encoding: gzip\r\nContent-Type:"), status: []int{400, 403, 415}},
	}
}

// httpProbes are no HTTP, or an ambiguous one. The server may close after each.
func httpProbes(host string) []probe {
	raw := func(name, request string, status ...int) probe {
		return probe{name: name, request: []byte(request), status: status, closes: true}
	}
	head := "POST / HTTP/1.1\r\nHost: " + host + "\r\nX-Amz-Target: Kinesis_20131202.ListStreams\r\nContent-Type: application/x-amz-json-1.1\r\n"
	return []probe{
		raw("noise", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
		raw("no version", "POST /\r\n\r\n", 400),
		raw("version 3", "POST / HTTP/3.0\r\nHost: "+host+"\r\n\r\n", 400, 505),
		raw("no host", "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400),
		raw("two hosts", head+"Host: other\r\nContent-Length: 2\r\n\r\n{}", 400),
		raw("two lengths", head+"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", 400),
		raw("length and chunks", head+"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
		raw("length negative", head+"Content-Length: -2\r\n\r\n{}", 400),
		raw("length with a sign", head+"Content-Length: +2\r\n\r\n{}", 400),
		raw("length in hexadecimal", head+"Content-Length: 0x2\r\n\r\n{}", 400),
		raw("length of 2^64", head+"Content-Length: 18446744073709551616\r\n\r\n{}", 400, 413),
		raw("length of 1 TiB", head+"Content-Length: 1099511627776\r\n\r\n{}", 400, 413),
		raw("unknown transfer coding", head+"Transfer-Encoding: tea\r\n\r\n{}", 400, 501),
		raw("chunked twice", head+"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, 501),
		raw("a chunk size that is none", head+"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400),
		raw("a chunk of 2^64", head+"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400, 413),
		raw("a space before the colon", "POST / HTTP/1.1\r\nHost : "+host+"\r\n\r\n", 400),
		raw("a folded header", head+"X-Long: a\r\n b\r\nContent-Length: 2\r\n\r\n{}", 400),
		raw("a header without a colon", head+"Nonsense\r\n\r\n", 400),
		raw("NUL in a header", head+"X-Nul: a\x00b\r\nContent-Length: 2\r\n\r\n{}", 400),
		raw("a header of 2 MiB", head+"X-Long: "+strings.Repeat("a", 2<<20)+"\r\n\r\n", 400, 413, 431),
		raw("100,000 headers", head+strings.Repeat("X-Many: a\r\n", 100_000)+"\r\n", 400, 413, 431),
		raw("a path of 2 MiB", "POST /"+strings.Repeat("a", 2<<20)+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n", 400, 413, 414, 431),
	}
}
