// Package aids drives the real binary through its test aids with the Go SDK,
// retries off: the clock is moved over every expiry, AWS's limits are met and
// come back, and faults are injected and told from what happened.
package aids

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

// suite is one server with test aids, and a client that never tries again.
type suite struct {
	t      *testing.T
	server *harness.Server
	client *kinesis.Client
}

func newSuite(t *testing.T, args ...string) *suite {
	t.Helper()
	s := &suite{t: t, server: harness.ForTest(t, harness.Options{Args: append([]string{"--test-aids"}, args...)})}
	s.client = sdk.Client(s.server.URL(), sdk.NoRetry)
	return s
}

// create makes a stream and returns its name.
func (s *suite) create(name string, shards int32) *string {
	s.t.Helper()
	if _, err := s.client.CreateStream(s.t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards}); err != nil {
		s.t.Fatal(err)
	}
	return &name
}

// aid calls one of the test aids and returns its answer.
func (s *suite) aid(method, path, body string) string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.server.URL()+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s %s %s: %d %s %v", method, path, body, resp.StatusCode, answer, err)
	}
	return string(answer)
}

func (s *suite) advance(by string) {
	s.t.Helper()
	s.aid("POST", "/_thalweg/clock", `{"advance":"`+by+`"}`)
}

// put puts one record.
func (s *suite) put(stream *string, data string) error {
	_, err := s.client.PutRecord(s.t.Context(), &kinesis.PutRecordInput{StreamName: stream, PartitionKey: aws.String("k"), Data: []byte(data)})
	return err
}

// iterator returns an iterator for the beginning of a stream's first shard.
func (s *suite) iterator(stream *string) *string {
	s.t.Helper()
	out, err := s.client.GetShardIterator(s.t.Context(), &kinesis.GetShardIteratorInput{
		StreamName: stream, ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.ShardIterator
}

// read returns the data of the first shard's records.
func (s *suite) read(stream *string) string {
	s.t.Helper()
	var all []string
	for it := s.iterator(stream); it != nil; {
		out, err := s.client.GetRecords(s.t.Context(), &kinesis.GetRecordsInput{ShardIterator: it})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, r := range out.Records {
			all = append(all, string(r.Data))
		}
		if it = out.NextShardIterator; len(out.Records) == 0 && *out.MillisBehindLatest == 0 {
			break
		}
	}
	return strings.Join(all, " ")
}

// refused wants err to be the service's, of that code and with that in its text.
func (s *suite) refused(err error, code, text string) {
	s.t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), text) {
		s.t.Errorf("got %v, want %s: ...%s...", err, code, text)
	}
}

// until calls f until it fails, and returns how often it succeeded and why it
// failed.
func (s *suite) until(most int, f func() error) (int, error) {
	s.t.Helper()
	for n := range most {
		if err := f(); err != nil {
			return n, err
		}
	}
	s.t.Errorf("%d calls in a row were let through", most)
	return most, nil
}

// metric returns the lines of a metric.
func (s *suite) metric(name string) string {
	s.t.Helper()
	var out strings.Builder
	for line := range strings.Lines(s.aid("GET", "/metrics", "")) {
		if strings.HasPrefix(line, name) && !strings.HasSuffix(line, " 0\n") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// entries makes n records of size bytes, numbered, all of one key.
func entries(n, size int) []types.PutRecordsRequestEntry {
	out := make([]types.PutRecordsRequestEntry, n)
	for i := range out {
		data := append([]byte(fmt.Sprint(i)), bytes.Repeat([]byte("."), size)...)[:max(size, len(fmt.Sprint(i)))]
		out[i] = types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), Data: data}
	}
	return out
}

// rules adds fault rules.
func (s *suite) rules(seed int, rules ...map[string]any) {
	s.t.Helper()
	b, err := json.Marshal(map[string]any{"seed": seed, "rules": rules})
	if err != nil {
		s.t.Fatal(err)
	}
	s.aid("POST", "/_thalweg/faults", string(b))
}

// hits returns how many requests the first rule has hit.
func (s *suite) hits() int {
	s.t.Helper()
	var out struct {
		Rules []struct{ Hit int } `json:"rules"`
	}
	if err := json.Unmarshal([]byte(s.aid("GET", "/_thalweg/faults", "")), &out); err != nil || len(out.Rules) == 0 {
		s.t.Fatal(err, len(out.Rules))
	}
	return out.Rules[0].Hit
}

// inBackground runs a call and returns where its error comes.
func inBackground(ctx context.Context, f func(context.Context) error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	return done
}
