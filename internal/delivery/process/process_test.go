package process

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/errs"
	"thalweg/internal/kpl"
)

// config makes a description with these processors: TYPE NAME=VALUE;NAME=VALUE.
func config(partitioned bool, processors ...string) dest.Config {
	type parameter struct{ ParameterName, ParameterValue string }
	type spec struct {
		Type       string
		Parameters []parameter
	}
	list := []spec{}
	for _, p := range processors {
		kind, rest, _ := strings.Cut(p, " ")
		s := spec{Type: kind}
		for part := range strings.SplitSeq(rest, ";") {
			if name, value, ok := strings.Cut(part, "="); ok {
				s.Parameters = append(s.Parameters, parameter{name, value})
			}
		}
		list = append(list, s)
	}
	c, _ := json.Marshal(map[string]any{
		"ProcessingConfiguration":          map[string]any{"Enabled": true, "Processors": list},
		"DynamicPartitioningConfiguration": map[string]any{"Enabled": partitioned},
	})
	return c
}

// run takes records r0, r1, ... through the stages and shows what came of them, and
// what failed.
func run(t *testing.T, c dest.Config, e dest.Env, data ...string) string {
	t.Helper()
	stages, err := Open(c, e, nil)
	if err != nil {
		t.Fatal(err)
	}
	var in []dest.Record
	for i, d := range data {
		in = append(in, dest.Record{ID: fmt.Sprintf("r%d", i), PartitionKey: "k", Data: []byte(d)})
	}
	given := in
	var shown []string
	for _, s := range stages {
		out, failed, err := s.Process(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range failed {
			shown = append(shown, fmt.Sprintf("%s %s %s %d: %s", f.Record.ID, f.Type, f.Code, f.Attempts, f.Message))
		}
		in = out
	}
	for i, d := range data {
		if string(given[i].Data) != d || given[i].Sub != 0 || given[i].Keys != nil {
			t.Errorf("record %d was changed in place", i)
		}
	}
	var out []string
	for _, r := range in {
		line := fmt.Sprintf("%s.%d %q", r.ID, r.Sub, r.Data)
		if r.PartitionKey != "k" {
			line += " " + r.PartitionKey
		}
		for _, k := range slices.Sorted(maps.Keys(r.Keys)) {
			line += " " + k + "=" + r.Keys[k]
		}
		out = append(out, line)
	}
	return strings.Join(append(out, shown...), "\n")
}

func zipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

const logs = `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","subscriptionFilters":["f"],` +
	`"logEvents":[{"id":"1","timestamp":1,"message":"{\"a\":1}"},{"id":"2","timestamp":2,"message":"two"}]}`

func TestStages(t *testing.T) {
	kinesis := dest.Env{Stream: dest.Stream{SourceARN: "arn:aws:kinesis:us-east-1:000000000000:stream/s"}}
	aggregate := string(kpl.Append(nil, []kpl.Record{{PartitionKey: []byte("a"), Data: []byte(`{"x":1}{"x":2}`)}, {PartitionKey: []byte("b"), Data: []byte(`{"x":3}`)}}))
	many := strings.Repeat(`{"x":1}`, 501)
	for _, c := range []struct {
		name   string
		config dest.Config
		env    dest.Env
		in     []string
		want   string
	}{
		{"none", config(false), dest.Env{}, []string{"a", ""}, "r0.0 \"a\"\nr1.0 \"\""},
		{"delimiter", config(false, `AppendDelimiterToRecord`), dest.Env{}, []string{"a", "b\n"}, "r0.0 \"a\\n\"\nr1.0 \"b\\n\\n\""},
		{"delimiter of one's own", config(false, `AppendDelimiterToRecord Delimiter=|\t\\`), dest.Env{}, []string{"a"}, `r0.0 "a|\t\\"`},
		{"objects", config(false, "RecordDeAggregation SubRecordType=JSON"), dest.Env{},
			[]string{` {"a":1}{"a":"}{"}` + "\n" + `{"a":{}} `, "", `{"a":1}`},
			"r0.0 \"{\\\"a\\\":1}\"\nr0.1 \"{\\\"a\\\":\\\"}{\\\"}\"\nr0.2 \"{\\\"a\\\":{}}\"\nr2.0 \"{\\\"a\\\":1}\""},
		{"no objects", config(false, "RecordDeAggregation SubRecordType=JSON"), dest.Env{}, []string{`[{"a":1}]`, `{"a":1}x`, `{"a":`},
			"r0 processing-failed RecordDeAggregation.InvalidJson 1: The record is not a sequence of JSON objects.\n" +
				"r1 processing-failed RecordDeAggregation.InvalidJson 1: The record is not a sequence of JSON objects.\n" +
				"r2 processing-failed RecordDeAggregation.InvalidJson 1: The record is not a sequence of JSON objects."},
		{"too many objects", config(false, "RecordDeAggregation SubRecordType=JSON"), dest.Env{}, []string{many}, fmt.Sprintf("r0.0 %q", many)},
		{"delimited", config(false, "RecordDeAggregation SubRecordType=DELIMITED;Delimiter=IyMjIw=="), dest.Env{}, []string{"a####b####", "##"},
			"r0.0 \"a\"\nr0.1 \"b\"\nr1.0 \"##\""},
		{"an aggregate, then its objects", config(false, "RecordDeAggregation SubRecordType=JSON"), kinesis, []string{aggregate, `{"x":4}`},
			"r0.0 \"{\\\"x\\\":1}\" a\nr0.1 \"{\\\"x\\\":2}\" a\nr0.2 \"{\\\"x\\\":3}\" b\nr1.0 \"{\\\"x\\\":4}\""},
		{"no aggregates but of a stream", config(false), dest.Env{}, []string{aggregate}, fmt.Sprintf("r0.0 %q", aggregate)},
		{"decompression", config(false, "Decompression CompressionFormat=GZIP"), dest.Env{}, []string{zipped("hello"), "plain"},
			"r0.0 \"hello\"\nr1 decompression-failed Decompression.Failed 1: The record could not be decompressed: unexpected EOF"},
		{"too large", config(false, "Decompression CompressionFormat=GZIP"), dest.Env{}, []string{zipped(strings.Repeat("x", maxPlain+1))},
			"r0 decompression-failed Decompression.Failed 1: The record could not be decompressed: it is larger than 16 MiB"},
		{"messages", config(false, "CloudWatchLogProcessing DataMessageExtraction=true", "Decompression CompressionFormat=GZIP"), dest.Env{},
			[]string{zipped(logs), zipped(`{"messageType":"CONTROL_MESSAGE","logEvents":[{"message":"CWL CONTROL"}]}`), zipped(`{"a":1}`)},
			"r0.0 \"{\\\"a\\\":1}\\ntwo\\n\"\nr2 processing-failed CloudWatchLogs.InvalidMessage 1: The record is not a message of a CloudWatch Logs subscription."},
		{"whole messages", config(false, "CloudWatchLogProcessing DataMessageExtraction=false", "Decompression CompressionFormat=GZIP"), dest.Env{},
			[]string{zipped(logs)}, fmt.Sprintf("r0.0 %q", logs)},
		{"partition keys, whatever the order", config(true, "AppendDelimiterToRecord", "MetadataExtraction MetadataExtractionQuery={x:.x,y:(.y|tostring)};JsonParsingEngine=JQ-1.6",
			"RecordDeAggregation SubRecordType=JSON"), dest.Env{}, []string{`{"x":1,"y":true}{"x":"a"}{"x":""}`, `{"x":1}1`},
			"r0.0 \"{\\\"x\\\":1,\\\"y\\\":true}\\n\" query:x=1 query:y=true\nr0.1 \"{\\\"x\\\":\\\"a\\\"}\\n\" query:x=a query:y=null\n" +
				"r1 processing-failed RecordDeAggregation.InvalidJson 1: The record is not a sequence of JSON objects.\n" +
				"r0 metadata-extraction-failed DynamicPartitioning.MetadataExtractionFailed 1: partitionKeys values must not be null or empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := run(t, c.config, c.env, c.in...); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		config dest.Config
		want   string
	}{
		{config(false, "Shrink"), "Processor type Shrink is not supported"},
		{config(false, "AppendDelimiterToRecord", "AppendDelimiterToRecord"), "Only one processor of type AppendDelimiterToRecord is allowed"},
		{config(false, "Decompression"), "CompressionFormat must be GZIP"},
		{config(false, "CloudWatchLogProcessing DataMessageExtraction=true"), "CloudWatchLogProcessing needs a Decompression processor"},
		{config(false, "Decompression CompressionFormat=GZIP", "CloudWatchLogProcessing DataMessageExtraction=maybe"), "DataMessageExtraction must be true or false"},
		{config(false, "RecordDeAggregation"), "SubRecordType must be JSON or DELIMITED"},
		{config(false, "RecordDeAggregation SubRecordType=DELIMITED"), "Delimiter must be a base64 encoded string"},
		{config(false, "RecordDeAggregation SubRecordType=DELIMITED;Delimiter=####"), "Delimiter must be a base64 encoded string"},
		{config(false, "RecordDeAggregation SubRecordType=JSON;Delimiter=IyMjIw=="), "Delimiter is for SubRecordType DELIMITED only"},
		{config(false, "MetadataExtraction MetadataExtractionQuery={a:.a};JsonParsingEngine=JQ-1.6"), "MetadataExtraction needs dynamic partitioning to be enabled"},
		{config(true, "MetadataExtraction MetadataExtractionQuery={a:.a};JsonParsingEngine=JQ-1.7"), "JsonParsingEngine must be JQ-1.6"},
		{config(true, "MetadataExtraction MetadataExtractionQuery={a:;JsonParsingEngine=JQ-1.6"), `the query "{a:" is invalid: unexpected EOF`},
		{config(false, "Lambda"), "LambdaArn is required for a Lambda processor"},
		{config(false, "Lambda LambdaArn=f;NumberOfRetries=many"), "NumberOfRetries must be a number"},
		{config(false, "Lambda LambdaArn=f;BufferSizeInMBs=0.1"), "BufferSizeInMBs must be between 0.2 and 3"},
		{config(false, "Lambda LambdaArn=f;BufferSizeInMBs=NaN"), "BufferSizeInMBs must be between 0.2 and 3"},
		{config(false, "Lambda LambdaArn=f;BufferIntervalInSeconds=901"), "BufferIntervalInSeconds must be between 0 and 900"},
		{dest.Config(`{"ProcessingConfiguration":[]}`), "read the processing configuration"},
	} {
		err := Check(c.config)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || errs.KindOf(err) != errs.Invalid {
			t.Errorf("%s:\ngot  %v\nwant %s", c.config, err, c.want)
		}
	}
	for _, c := range []dest.Config{
		config(true, "Lambda LambdaArn=f;NumberOfRetries=2147483647", "MetadataExtraction MetadataExtractionQuery={a:.a};JsonParsingEngine=JQ-1.6"),
		dest.Config(`{}`), dest.Config(`{"ProcessingConfiguration":{"Enabled":false,"Processors":[{"Type":"Shrink"}]}}`),
	} {
		if err := Check(c); err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
}

// Whatever a record is, the parts that are made of it are parts of it, in order.
func FuzzSplit(f *testing.F) {
	f.Add([]byte(`{"a":1} {"b":[{}]}`), "##")
	f.Add([]byte(`a##b####c`), "##")
	f.Fuzz(func(t *testing.T, data []byte, between string) {
		specs := []string{"RecordDeAggregation SubRecordType=JSON"}
		if between != "" {
			specs = append(specs, "RecordDeAggregation SubRecordType=DELIMITED;Delimiter="+base64.StdEncoding.EncodeToString([]byte(between)))
		}
		for _, spec := range specs {
			stages, err := Open(config(false, spec), dest.Env{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			out, failed, err := stages[0].Process(context.Background(), []dest.Record{{ID: "r", Data: data}})
			if err != nil || len(failed) > 1 || len(failed) == 1 && len(out) > 0 || len(out) > MaxParts {
				t.Fatalf("%d parts, %d failed: %v", len(out), len(failed), err)
			}
			rest := data
			for i, r := range out {
				at := bytes.Index(rest, r.Data)
				if at < 0 || r.Sub != i {
					t.Fatalf("%q is no part of %q, or not the %dth", r.Data, rest, r.Sub)
				}
				rest = rest[at+len(r.Data):]
			}
		}
	})
}

func FuzzLogs(f *testing.F) {
	f.Add([]byte(logs))
	f.Add([]byte(zipped(logs)))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, s := range []dest.Processor{decompression{}, extraction{}, aggregates{}} {
			if _, _, err := s.Process(context.Background(), []dest.Record{{ID: "r", Data: data}}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
