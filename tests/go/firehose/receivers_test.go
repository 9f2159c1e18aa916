package firehose

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"thalweg/tests/events"
)

// patience is how long deliveries to a receiver are tried: longer than any test.
const patience = 7200

// intoErrors is the bucket of another destination's delivery stream.
func intoErrors(stream string) *types.S3DestinationConfiguration {
	return &types.S3DestinationConfiguration{BucketARN: aws.String("arn:aws:s3:::" + bucket), RoleARN: role, Prefix: aws.String("failed/" + stream + "/"),
		BufferingHints: &types.BufferingHints{SizeInMBs: aws.Int32(1), IntervalInSeconds: aws.Int32(0)}}
}

// failure is a line of an error output.
type failure struct {
	ErrorCode, ErrorMessage string
	RawData                 []byte
}

// failures are the lines of a stream's error output.
func (s *suite) failures(t *testing.T, stream, kind string) (all []failure) {
	t.Helper()
	s.each("failed/"+stream+"/", func(key string, body []byte) error {
		if !strings.HasPrefix(key, "failed/"+stream+"/"+kind+"/") {
			return fmt.Errorf("it is not of %s", kind)
		}
		for line := range bytes.Lines(body) {
			var f failure
			if err := json.Unmarshal(line, &f); err != nil {
				return err
			}
			all = append(all, f)
		}
		return nil
	})
	return all
}

// refused adds what is in the error output to the tally, and wants it to be what the
// receiver refused.
func refused(t *testing.T, what string, got []failure, want []string, code, reason string, to *tally) {
	t.Helper()
	var had []string
	to.begin()
	for _, f := range got {
		had = append(had, string(f.RawData))
		if f.ErrorCode != code || !strings.Contains(f.ErrorMessage, reason) {
			t.Errorf("%s: failed with %s, %s", what, f.ErrorCode, f.ErrorMessage)
		}
		id, err := events.Identify(f.RawData)
		if err != nil {
			t.Fatalf("%s: %q: %v", what, f.RawData, err)
		}
		to.seen[id]++
	}
	slices.Sort(had)
	slices.Sort(want)
	if !slices.Equal(had, want) {
		t.Errorf("%s: %d records in the error output, the receiver refused %d", what, len(had), len(want))
	}
}

// httpSink is an HTTP endpoint.
func (s *suite) httpSink(rng *rand.Rand) *sink {
	to := newFaulty(s.t, rng, early, down, slow, busy, away, broken, tooLarge, redirect, lost, half, lying)
	streams := receipts{}
	to.serve = func(w http.ResponseWriter, r *http.Request, body []byte, f fault) {
		var in struct {
			RequestID string
			Records   []struct{ Data []byte }
		}
		if err := json.Unmarshal(body, &in); err != nil || in.RequestID == "" || in.RequestID != r.Header.Get("X-Amz-Firehose-Request-Id") {
			to.t.Errorf("request %q: %.100s, %v", in.RequestID, body, err)
		}
		var all strings.Builder
		for _, rec := range in.Records {
			all.Write(rec.Data)
		}
		d := streams.of(r.URL.Path[1:])
		if d.refuse(in.RequestID, all.String(), f == tooLarge) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		d.take(in.RequestID, all.String())
		said := in.RequestID
		if f == lying {
			said = "00000000-0000-0000-0000-000000000000"
		}
		if to.answer(w, f, fmt.Sprintf(`{"requestId":%q,"timestamp":1}`, said)) && f != lying {
			d.tell(in.RequestID)
		}
	}
	return &sink{
		name: "http", faulty: to,
		configure: func(in *firehose.CreateDeliveryStreamInput, stream string) {
			in.ExtendedS3DestinationConfiguration = nil
			in.HttpEndpointDestinationConfiguration = &types.HttpEndpointDestinationConfiguration{
				EndpointConfiguration: &types.HttpEndpointConfiguration{Url: aws.String(to.url + "/" + stream)},
				BufferingHints:        &types.HttpEndpointBufferingHints{SizeInMBs: aws.Int32(1), IntervalInSeconds: aws.Int32(0)},
				RetryOptions:          &types.HttpEndpointRetryOptions{DurationInSeconds: aws.Int32(patience)}, S3Configuration: intoErrors(stream), RoleARN: role,
				RequestConfiguration: &types.HttpEndpointRequestConfiguration{ContentEncoding: types.ContentEncodingNone},
			}
		},
		check: func(t *testing.T, stream string, set events.Set, doubtful map[events.ID]bool) {
			to.report(t, stream)
			d := streams.of(stream)
			got := d.tally(t, stream)
			refused(t, stream, s.failures(t, stream, "http-endpoint-failed"), d.refusals(), "HttpEndpoint.DestinationException", "413", got)
			got.check(t, stream, set, doubtful)
		},
	}
}

// receipts are those of delivery streams, by name.
type receipts struct{ m sync.Map }

func (r *receipts) of(stream string) *delivered {
	d, _ := r.m.LoadOrStore(stream, newDelivered())
	return d.(*delivered)
}

// splunkSink is an event collector.
func (s *suite) splunkSink(rng *rand.Rand) *sink {
	to := newFaulty(s.t, rng, early, down, slow, busy, away, broken, tooLarge, redirect, lost, half, lying)
	to.late = func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/ack") }
	streams := receipts{}
	to.serve = func(w http.ResponseWriter, r *http.Request, body []byte, f fault) {
		stream, path, _ := strings.Cut(r.URL.Path[1:], "/")
		channel := r.URL.Query().Get("channel")
		d := streams.of(stream)
		switch path {
		case "services/collector/ack":
			// A collector that has only begun to index says so.
			if to.answer(w, f, fmt.Sprintf(`{"acks":{"7":%v}}`, f != lying && f != tooLarge)) && f != lying && f != tooLarge {
				d.tell(channel)
			}
		case "services/collector/raw":
			if d.refuse(channel, string(body), f == tooLarge) {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				return
			}
			d.take(channel, string(body))
			text := `{"text":"Success","code":0,"ackId":7}`
			if f == lying {
				text = `{"text":"Success","code":0}`
			}
			to.answer(w, f, text)
		default:
			to.t.Errorf("request to %s", r.URL)
		}
	}
	return &sink{
		name: "splunk", faulty: to,
		configure: func(in *firehose.CreateDeliveryStreamInput, stream string) {
			in.ExtendedS3DestinationConfiguration = nil
			in.SplunkDestinationConfiguration = &types.SplunkDestinationConfiguration{
				HECEndpoint: aws.String(to.url + "/" + stream), HECEndpointType: types.HECEndpointTypeRaw, HECToken: aws.String("51D4DA16-C61B-4F5F-8EC7-ED4301342A4A"),
				BufferingHints: &types.SplunkBufferingHints{SizeInMBs: aws.Int32(5), IntervalInSeconds: aws.Int32(0)},
				RetryOptions:   &types.SplunkRetryOptions{DurationInSeconds: aws.Int32(patience)}, S3Configuration: intoErrors(stream),
			}
		},
		check: func(t *testing.T, stream string, set events.Set, doubtful map[events.ID]bool) {
			to.report(t, stream)
			d := streams.of(stream)
			got := d.tally(t, stream)
			refused(t, stream, s.failures(t, stream, "splunk-failed"), d.refusals(), "Splunk.RequestTooLarge", "413", got)
			got.check(t, stream, set, doubtful)
		},
	}
}

// documents are what an index has.
type documents struct {
	mu      sync.Mutex
	taken   map[string]string // by id
	refused map[string]string
	changed []string
}

// searchSink is a cluster that speaks OpenSearch's bulk API. It refuses one document of
// a thousand for good.
func (s *suite) searchSink(rng *rand.Rand) *sink {
	to := newFaulty(s.t, rng, early, down, slow, busy, away, broken, tooLarge, redirect, lost, half, lying, partly)
	var indices sync.Map
	of := func(stream string) *documents {
		d, _ := indices.LoadOrStore(stream, &documents{taken: map[string]string{}, refused: map[string]string{}})
		return d.(*documents)
	}
	to.serve = func(w http.ResponseWriter, r *http.Request, body []byte, f fault) {
		lines := slices.Collect(strings.Lines(string(body)))
		if f == tooLarge && len(lines) > 2 {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		var items []string
		for i := 0; i+1 < len(lines); i += 2 {
			var action struct {
				Index struct {
					Index string `json:"_index"`
					ID    string `json:"_id"`
				}
			}
			if err := json.Unmarshal([]byte(lines[i]), &action); err != nil || action.Index.ID == "" {
				to.t.Errorf("%q: %v", lines[i], err)
			}
			items = append(items, of(action.Index.Index).index(action.Index.ID, lines[i+1], f == partly && i%4 == 2))
		}
		if f == lying {
			items = items[1:]
		}
		to.answer(w, f, `{"items":[`+strings.Join(items, ",")+`]}`)
	}
	return &sink{
		name: "search", faulty: to,
		configure: func(in *firehose.CreateDeliveryStreamInput, stream string) {
			in.ExtendedS3DestinationConfiguration = nil
			in.AmazonopensearchserviceDestinationConfiguration = &types.AmazonopensearchserviceDestinationConfiguration{
				ClusterEndpoint: &to.url, IndexName: &stream, RoleARN: role, IndexRotationPeriod: types.AmazonopensearchserviceIndexRotationPeriodNoRotation,
				BufferingHints: &types.AmazonopensearchserviceBufferingHints{SizeInMBs: aws.Int32(1), IntervalInSeconds: aws.Int32(0)},
				RetryOptions:   &types.AmazonopensearchserviceRetryOptions{DurationInSeconds: aws.Int32(patience)}, S3Configuration: intoErrors(stream),
			}
		},
		check: func(t *testing.T, stream string, set events.Set, doubtful map[events.ID]bool) {
			to.report(t, stream)
			d := of(stream)
			got := newTally()
			for _, doc := range d.taken {
				got.begin() // ids have no order
				if err := got.lines([]byte(doc)); err != nil {
					t.Error(err)
				}
			}
			if len(d.changed) > 0 {
				t.Errorf("%s: other documents came by the ids %q", stream, d.changed)
			}
			var want []string
			for _, doc := range d.refused {
				want = append(want, doc)
			}
			refused(t, stream, s.failures(t, stream, "AmazonOpenSearchService-failed"), want, "400", "mapper_parsing_exception", got)
			got.check(t, stream, set, doubtful)
		},
	}
}

// index writes a document, and answers what _bulk says of it.
func (d *documents) index(id, doc string, notNow bool) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch was, ok := d.taken[id]; {
	case crc32.ChecksumIEEE([]byte(doc))%1000 == 0:
		d.refused[id] = doc
		return `{"index":{"status":400,"error":{"type":"mapper_parsing_exception"}}}`
	case notNow:
		return `{"index":{"status":429,"error":{"type":"es_rejected_execution_exception"}}}`
	case ok && was != doc:
		d.changed = append(d.changed, id)
	}
	d.taken[id] = doc
	return `{"index":{"status":201}}`
}
