package kinesis

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"thalweg/internal/awsapi"
	codeccbor "thalweg/internal/awsapi/codec/cbor"
	"thalweg/internal/awsapi/codec/eventstream"
	codecjson "thalweg/internal/awsapi/codec/json"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// subscriber reads the events of one SubscribeToShard over the wire.
type subscriber struct {
	t    *testing.T
	resp *http.Response
	raw  []byte
	cbor bool
}

func (s *server) subscriber(t *testing.T, url, contentType string, in map[string]any) *subscriber {
	t.Helper()
	body, err := cbor.Marshal(in)
	if contentType != "application/x-amz-cbor-1.1" {
		body, err = json.Marshal(in)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "Kinesis_20131202.SubscribeToShard")
	r.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != eventstream.ContentType {
		refusal, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s %s", resp.Status, refusal)
	}
	return &subscriber{t: t, resp: resp, cbor: contentType == "application/x-amz-cbor-1.1"}
}

// message reads the next message; false at the stream's orderly end.
func (s *subscriber) message() (eventstream.Message, bool) {
	s.t.Helper()
	buf := make([]byte, 4096)
	for {
		if m, n, err := eventstream.Parse(s.raw); err == nil {
			s.raw = s.raw[n:]
			return m, true
		} else if err != eventstream.ErrShort {
			s.t.Fatal(err)
		}
		n, err := s.resp.Body.Read(buf)
		s.raw = append(s.raw, buf[:n]...)
		if err == io.EOF && len(s.raw) == 0 {
			return eventstream.Message{}, false
		}
		if err != nil && n == 0 {
			s.t.Fatal(err)
		}
	}
}

// event reads the next message, which must be an event.
func (s *subscriber) event() model.SubscribeToShardEvent {
	s.t.Helper()
	m, ok := s.message()
	if !ok || m.Header(":message-type") != "event" || m.Header(":event-type") != "SubscribeToShardEvent" {
		s.t.Fatalf("%v %+v %s", ok, m.Headers, m.Payload)
	}
	var e model.SubscribeToShardEvent
	var err error
	if s.cbor {
		d := codeccbor.NewDecoder(m.Payload)
		e.Decode(d)
		err = d.Finish()
	} else {
		d := codecjson.NewDecoder(m.Payload)
		e.Decode(d)
		err = d.Finish()
	}
	if err != nil {
		s.t.Fatalf("%v in %q", err, m.Payload)
	}
	return e
}

// TestSubscribeToShard reads the same records in both formats, byte for byte what
// GetRecords gives, and all that an event may have beside them.
func TestSubscribeToShard(t *testing.T) {
	for _, contentType := range []string{"application/x-amz-json-1.1", "application/x-amz-cbor-1.1"} {
		s := newServer(t, false)
		web := httptest.NewServer(s.http)
		t.Cleanup(web.Close)
		ok := func(op, body string) []byte {
			t.Helper()
			code, answer := s.call(op, body, nil)
			if code != 200 {
				t.Fatalf("%s: %d %s", op, code, answer)
			}
			return answer
		}
		ok("CreateStream", `{"StreamName":"s","ShardCount":1}`)
		ok("RegisterStreamConsumer", `{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","ConsumerName":"c"}`)
		ok("PutRecords", `{"StreamName":"s","Records":[{"Data":"AAH/","PartitionKey":"a\"\u00e9"},{"Data":"","PartitionKey":"b"}]}`)
		ok("StartStreamEncryption", `{"StreamName":"s","EncryptionType":"KMS","KeyId":"alias/k"}`)
		ok("PutRecord", `{"StreamName":"s","Data":"`+strings.Repeat("AAAA", 300_000)+`","PartitionKey":"large"}`)
		subscribe := func(at map[string]any) *subscriber {
			sub := s.subscriber(t, web.URL, contentType, map[string]any{
				"ConsumerARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s/consumer/c:1767323045", "ShardId": "shardId-000000000000",
				"StartingPosition": at,
			})
			first, _ := sub.message()
			if first.Header(":event-type") != "initial-response" || first.Header(":content-type") != contentType {
				t.Fatalf("%+v %s", first.Headers, first.Payload)
			}
			return sub
		}
		sub := subscribe(map[string]any{"Type": "TRIM_HORIZON"})
		var got []model.Record
		var last model.SubscribeToShardEvent
		for len(got) < 3 {
			last = sub.event()
			got = append(got, last.Records...)
			if last.ChildShards != nil || !last.ContinuationSequenceNumber.Set || !last.MillisBehindLatest.Set {
				t.Errorf("%+v", last)
			}
		}
		var iterator model.GetShardIteratorOutput
		decodeJSON(t, ok("GetShardIterator", `{"StreamName":"s","ShardId":"0","ShardIteratorType":"TRIM_HORIZON"}`), &iterator)
		var want model.GetRecordsOutput
		decodeJSON(t, ok("GetRecords", `{"ShardIterator":"`+iterator.ShardIterator.V+`"}`), &want)
		if e := want.Records[2].EncryptionType.V; e != model.EncryptionTypeKms || want.Records[0].EncryptionType.Set {
			t.Errorf("encryption types %+v, %q", want.Records[0].EncryptionType, e)
		}
		for i, r := range want.Records {
			if !bytes.Equal(got[i].Data, r.Data) || got[i].Data == nil || got[i].PartitionKey != r.PartitionKey ||
				got[i].SequenceNumber != r.SequenceNumber || !got[i].ApproximateArrivalTimestamp.V.Equal(r.ApproximateArrivalTimestamp.V) ||
				got[i].EncryptionType != r.EncryptionType {
				t.Errorf("%s: record %d: %.100v, want %.100v", contentType, i, got[i], r)
			}
		}

		// Another takes over, is told of the split, and the first of the other.
		s.clock.Advance(streams.SubscriptionPause)
		second := subscribe(map[string]any{"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": last.ContinuationSequenceNumber.V})
		second.event()
		for {
			m, more := sub.message()
			if !more {
				t.Fatal("the first ended without a word")
			}
			if m.Header(":message-type") == "exception" {
				if m.Header(":exception-type") != "ResourceInUseException" || !bytes.Contains(m.Payload, []byte("Another active subscription")) {
					t.Errorf("%+v %q", m.Headers, m.Payload)
				}
				break
			}
		}
		if _, more := sub.message(); more {
			t.Error("something follows an exception")
		}
		ok("SplitShard", `{"StreamName":"s","ShardToSplit":"shardId-000000000000","NewStartingHashKey":"5"}`)
		e := second.event()
		if len(e.ChildShards) != 2 || e.ContinuationSequenceNumber.Set || len(e.ChildShards[1].ParentShards) != 1 ||
			e.ChildShards[1].HashKeyRange.StartingHashKey != opt.Of("5") {
			t.Errorf("%+v", e)
		}
		if m, more := second.message(); more {
			t.Errorf("something follows the end: %+v %q", m.Headers, m.Payload)
		}
	}
}

// TestSubscribeToShardEnds moves the clock past five minutes.
func TestSubscribeToShardEnds(t *testing.T) {
	s := newServer(t, false)
	web := httptest.NewServer(s.http)
	defer web.Close()
	s.call("CreateStream", `{"StreamName":"s","ShardCount":1}`, nil)
	s.call("RegisterStreamConsumer", `{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","ConsumerName":"c"}`, nil)
	sub := s.subscriber(t, web.URL, "application/x-amz-json-1.1", map[string]any{
		"ConsumerARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s/consumer/c:1767323045", "ShardId": "0",
		"StartingPosition": map[string]any{"Type": "LATEST"},
	})
	sub.message()
	sub.event()
	for range 60 {
		s.clock.AwaitTimers(1)
		s.clock.Advance(5 * time.Second)
		if _, more := sub.message(); !more {
			break
		}
	}
	if _, more := sub.message(); more {
		t.Error("it goes on after five minutes")
	}
	if n := s.streams.Subscriptions(); n != 0 {
		t.Errorf("%d subscriptions are left", n)
	}

	// A failure of the server is named as the model names it.
	sub = s.subscriber(t, web.URL, "application/x-amz-json-1.1", map[string]any{
		"ConsumerARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s/consumer/c:1767323045", "ShardId": "0",
		"StartingPosition": map[string]any{"Type": "LATEST"},
	})
	sub.message()
	sub.event()
	if err := s.log.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if m, _ := sub.message(); m.Header(":exception-type") != "InternalFailureException" {
		t.Errorf("%+v %s", m.Headers, m.Payload)
	}
}

func decodeJSON(t *testing.T, b []byte, out awsapi.Output) {
	t.Helper()
	d := codecjson.NewDecoder(b)
	out.Decode(d)
	if err := d.Finish(); err != nil {
		t.Fatal(err)
	}
}
