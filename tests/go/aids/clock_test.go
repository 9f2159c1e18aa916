package aids

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// An iterator lives five minutes, that of an answer as well.
func TestIteratorsExpire(t *testing.T) {
	s := newSuite(t)
	stream := s.create("s", 1)
	if err := s.put(stream, "one"); err != nil {
		t.Fatal(err)
	}
	get := func(it *string) (*kinesis.GetRecordsOutput, error) {
		return s.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it})
	}
	it := s.iterator(stream)
	s.advance("4m30s")
	out, err := get(it)
	if err != nil || len(out.Records) != 1 {
		t.Fatalf("after 4m30s: %v", err)
	}
	s.advance("31s")
	_, err = get(it)
	s.refused(err, "ExpiredIteratorException", "which is further in the future than the tolerated delay of 300000 milliseconds.")
	if _, err = get(out.NextShardIterator); err != nil {
		t.Errorf("the next iterator, 31 s old: %v", err)
	}
	s.advance("4m31s")
	_, err = get(out.NextShardIterator)
	s.refused(err, "ExpiredIteratorException", "Iterator expired. The iterator was created at time ")
}

// Records go when their retention is over, neither sooner nor later, and a longer
// one keeps what is still there.
func TestRetention(t *testing.T) {
	s := newSuite(t)
	stream := s.create("s", 1)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.put(stream, "one"))
	s.advance("23h")
	must(s.put(stream, "two"))
	if got := s.read(stream); got != "one two" {
		t.Errorf("after 23 hours: %q", got)
	}
	s.advance("1h1s")
	if got := s.read(stream); got != "two" {
		t.Errorf("after 24 hours: %q", got)
	}
	_, err := s.client.IncreaseStreamRetentionPeriod(t.Context(), &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: stream, RetentionPeriodHours: aws.Int32(48)})
	must(err)
	if got := s.read(stream); got != "two" {
		t.Errorf("a longer retention brought back: %q", got)
	}
	s.advance("46h50m")
	if got := s.read(stream); got != "two" {
		t.Errorf("after 47 of 48 hours: %q", got)
	}
	s.advance("1h")
	if got := s.read(stream); got != "" {
		t.Errorf("after 48 hours: %q", got)
	}
	must(s.put(stream, "three"))
	if got := s.read(stream); got != "three" {
		t.Errorf("put afterwards: %q", got)
	}
}

// Page tokens live 300 seconds.
func TestPageTokensExpire(t *testing.T) {
	s := newSuite(t)
	stream := s.create("s", 3)
	for i := range 3 {
		s.create(fmt.Sprintf("more-%d", i), 1)
	}
	first, err := s.client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: stream, MaxResults: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	streams, err := s.client.ListStreams(t.Context(), &kinesis.ListStreamsInput{Limit: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	list := func(token *string) (*kinesis.ListShardsOutput, error) {
		return s.client.ListShards(t.Context(), &kinesis.ListShardsInput{NextToken: token, MaxResults: aws.Int32(1)})
	}
	s.advance("4m30s")
	second, err := list(first.NextToken)
	if err != nil || *second.Shards[0].ShardId != "shardId-000000000001" {
		t.Fatalf("after 4m30s: %v", err)
	}
	if more, err := s.client.ListStreams(t.Context(), &kinesis.ListStreamsInput{NextToken: streams.NextToken}); err != nil || len(more.StreamNames) != 3 {
		t.Fatalf("after 4m30s: %v", err)
	}
	s.advance("31s")
	_, err = list(first.NextToken)
	s.refused(err, "ExpiredNextTokenException", "")
	_, err = s.client.ListStreams(t.Context(), &kinesis.ListStreamsInput{NextToken: streams.NextToken})
	s.refused(err, "ExpiredNextTokenException", "")
	if third, err := list(second.NextToken); err != nil || *third.Shards[0].ShardId != "shardId-000000000002" {
		t.Errorf("the next token, 31 s old: %v", err)
	}
}
