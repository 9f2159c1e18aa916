package aids

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

const (
	mib       = 1 << 20
	rateError = "ProvisionedThroughputExceededException"
	shardText = "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000."
)

// TestLimits meets AWS's limits as a client does. The server's clock runs on while
// it does, so where a limit is on calls it calls until it is refused.
func TestLimits(t *testing.T) {
	s := newSuite(t, "--limits", "aws")
	stream := s.create("s", 1)

	// A second's worth: of five quarters of a MiB four are stored, in order.
	out, err := s.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: stream, Records: entries(12, mib/4-1)})
	if err != nil {
		t.Fatal(err)
	}
	if *out.FailedRecordCount != 8 || len(out.Records) != 12 {
		t.Errorf("%d of %d records failed, want 8 of 12", *out.FailedRecordCount, len(out.Records))
	}
	for i, r := range out.Records {
		switch stored := r.SequenceNumber != nil; {
		case stored != (i < 4):
			t.Errorf("record %d: stored %v", i, stored)
		case !stored && (*r.ErrorCode != rateError || *r.ErrorMessage != shardText || r.ShardId != nil):
			t.Errorf("record %d: %s: %s", i, *r.ErrorCode, *r.ErrorMessage)
		}
	}
	_, err = s.until(10, func() error { return s.put(stream, strings.Repeat("x", mib-1)) })
	s.refused(err, rateError, shardText)
	s.advance("2s")
	if err := s.put(stream, strings.Repeat("x", mib-1)); err != nil {
		t.Errorf("two seconds later: %v", err)
	}

	it := s.iterator(stream)
	get := func() error {
		_, err := s.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(1)})
		return err
	}
	n, err := s.until(500, get)
	if n < 5 {
		t.Errorf("%d reads, AWS takes five a second", n)
	}
	s.refused(err, rateError, shardText)
	s.advance("10s")
	if err := get(); err != nil {
		t.Errorf("ten seconds later: %v", err)
	}

	// An account's calls.
	describe := func() error {
		_, err := s.client.DescribeLimits(t.Context(), &kinesis.DescribeLimitsInput{})
		return err
	}
	_, err = s.until(100, describe)
	s.refused(err, "LimitExceededException", "Rate exceeded for account 000000000000.")
	s.advance("1s")
	if err := describe(); err != nil {
		t.Errorf("a second later: %v", err)
	}
	n, err = s.until(1000, func() error {
		_, err := s.client.DescribeStream(t.Context(), &kinesis.DescribeStreamInput{StreamName: stream})
		return err
	})
	if n < 10 {
		t.Errorf("%d calls of DescribeStream, AWS takes ten a second", n)
	}
	s.refused(err, "LimitExceededException", "Rate exceeded for stream s under account 000000000000.")

	for _, limit := range []string{"write_bytes", "read_calls", "manage_calls"} {
		if m := s.metric(`thalweg_limits_exceeded_total{limit="` + limit + `",outcome="refused"}`); m == "" {
			t.Errorf("%s is not counted", limit)
		}
	}
	if m := s.metric(`thalweg_limits_exceeded_total`); strings.Contains(m, "passed") {
		t.Errorf("something has passed:\n%s", m)
	}

	// The stream's own tag lifts it.
	if _, err := s.client.AddTagsToStream(t.Context(), &kinesis.AddTagsToStreamInput{StreamName: stream, Tags: map[string]string{"thalweg:limits": "off"}}); err != nil {
		t.Fatal(err)
	}
	if out, err := s.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: stream, Records: entries(12, mib/4-1)}); err != nil || *out.FailedRecordCount != 0 {
		t.Errorf("with its limits off: %v", err)
	}
}

// After an answer of all but 10 MiB a shard is closed to readers for five seconds.
func TestLargeReadsBar(t *testing.T) {
	s := newSuite(t, "--limits", "aws")
	stream := s.create("s", 1)
	for range 11 {
		if err := s.put(stream, strings.Repeat("x", mib-1)); err != nil {
			t.Fatal(err)
		}
		s.advance("1s")
	}
	it := s.iterator(stream)
	get := func() (int, error) {
		out, err := s.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it})
		if err != nil {
			return 0, err
		}
		return len(out.Records), nil
	}
	began := time.Now()
	if n, err := get(); n != 10 || err != nil {
		t.Fatalf("%d records, %v", n, err)
	}
	s.advance("1s")
	_, err := get()
	if took := time.Since(began); took < 3*time.Second {
		s.refused(err, rateError, shardText)
	} else {
		t.Logf("this machine took %v for one read; the refusal was not looked at", took)
	}
	s.advance("4s")
	if n, err := get(); n != 10 || err != nil {
		t.Errorf("five seconds later: %d records, %v", n, err)
	}
}

// Warn lets everything through and counts it.
func TestWarn(t *testing.T) {
	s := newSuite(t, "--limits", "warn")
	stream := s.create("s", 1)
	out, err := s.client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: stream, Records: entries(12, mib/4-1)})
	if err != nil || *out.FailedRecordCount != 0 {
		t.Fatal(err)
	}
	want := `thalweg_limits_exceeded_total{limit="write_bytes",outcome="passed"} 8` + "\n"
	if got := s.metric("thalweg_limits_exceeded_total"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if !strings.Contains(s.server.Output(), "let through what AWS would refuse") {
		t.Errorf("not told:\n%s", s.server.Output())
	}
}
