// Package records puts what is at the edges through the real binary: the
// largest records there are, and requests that only ask whether they would do.
package records

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
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

const maxBytes = 10 << 20

// random is size bytes that do not compress.
func random(size int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(size)))
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

func code(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorCode()
	}
	return ""
}

// TestLargest puts records of 10 MiB with both calls, and has them back after a
// kill -9, each on a page of its own, pulled and pushed.
func TestLargest(t *testing.T) {
	server := harness.ForTest(t, harness.Options{})
	client := sdk.Client(server.URL(), sdk.NoRetry)
	const name = "large"
	if _, err := sdk.CreateStream(t.Context(), client, name, 1); err != nil {
		t.Fatal(err)
	}
	summary, err := client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(name)})
	if err != nil {
		t.Fatal(err)
	}
	streamARN := summary.StreamDescriptionSummary.StreamARN
	one, two := random(maxBytes), random(maxBytes-1)
	put := func(data []byte) error {
		_, err := client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamARN: streamARN, PartitionKey: aws.String("k"), Data: data})
		return err
	}
	if err := put(one); code(err) != "ValidationException" {
		t.Fatalf("10 MiB into a stream of 1 MiB records: %v", err)
	}
	resize := func(kib int32) error {
		_, err := client.UpdateMaxRecordSize(t.Context(), &kinesis.UpdateMaxRecordSizeInput{StreamARN: streamARN, MaxRecordSizeInKiB: aws.Int32(kib)})
		return err
	}
	for _, kib := range []int32{1023, 10241} {
		if err := resize(kib); code(err) != "ValidationException" {
			t.Errorf("%d KiB: %v", kib, err)
		}
	}
	if err := resize(10240); err != nil {
		t.Fatal(err)
	}
	if err := put(one); err != nil {
		t.Fatal(err)
	}
	if err := put(append(bytes.Clone(one), 0)); code(err) != "ValidationException" {
		t.Errorf("10 MiB and a byte: %v", err)
	}
	out, err := client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamARN: streamARN, Records: []types.PutRecordsRequestEntry{
		{PartitionKey: aws.String("k"), Data: two},
	}})
	if err != nil || aws.ToInt32(out.FailedRecordCount) != 0 {
		t.Fatalf("%+v %v", out, err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	it, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
		StreamARN: streamARN, ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		t.Fatal(err)
	}
	iterator := it.ShardIterator
	for _, want := range [][]byte{one, two} {
		page, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: iterator})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Records) != 1 || !bytes.Equal(page.Records[0].Data, want) {
			t.Fatalf("want a page of one record of %d bytes, got %d records", len(want), len(page.Records))
		}
		iterator = page.NextShardIterator
	}
	pushed(t, client, *streamARN, one, two)
}

// pushed has a consumer of the stream get the records, each in an event.
func pushed(t *testing.T, client *kinesis.Client, streamARN string, wanted ...[]byte) {
	t.Helper()
	made, err := client.RegisterStreamConsumer(t.Context(), &kinesis.RegisterStreamConsumerInput{StreamARN: &streamARN, ConsumerName: aws.String("c")})
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.SubscribeToShard(t.Context(), &kinesis.SubscribeToShardInput{
		ConsumerARN: made.Consumer.ConsumerARN, ShardId: aws.String("shardId-000000000000"),
		StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer out.GetStream().Close()
	for len(wanted) > 0 {
		event, ok := <-out.GetStream().Events()
		if !ok {
			t.Fatalf("the stream ended with %d records to come: %v", len(wanted), out.GetStream().Err())
		}
		for _, r := range event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value.Records {
			if len(wanted) == 0 || !bytes.Equal(r.Data, wanted[0]) {
				t.Fatalf("got a record of %d bytes with %d to come", len(r.Data), len(wanted))
			}
			wanted = wanted[1:]
		}
	}
}

// TestDryRun asks each call that knows DryRun: it is refused as it would be, or
// with the one error that says it would succeed, and nothing is written.
func TestDryRun(t *testing.T) {
	server := harness.ForTest(t, harness.Options{})
	client := sdk.Client(server.URL(), sdk.NoRetry)
	const name = "dry"
	if _, err := sdk.CreateStream(t.Context(), client, name, 1); err != nil {
		t.Fatal(err)
	}
	yes, key, shard := aws.Bool(true), aws.String("k"), aws.String("shardId-000000000000")
	it, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
		StreamName: aws.String(name), ShardId: shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		t.Fatal(err)
	}
	puts := func(name string, hashKey *string) func() error {
		return func() error {
			_, err := client.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String(name), DryRun: yes, Records: []types.PutRecordsRequestEntry{
				{PartitionKey: key, Data: []byte("1")}, {PartitionKey: key, Data: []byte("2"), ExplicitHashKey: hashKey},
			}})
			return err
		}
	}
	put := func(name, key string, size int) func() error {
		return func() error {
			_, err := client.PutRecord(t.Context(), &kinesis.PutRecordInput{
				StreamName: aws.String(name), PartitionKey: aws.String(key), Data: make([]byte, size), DryRun: yes,
			})
			return err
		}
	}
	iterator := func(name, shard string) func() error {
		return func() error {
			_, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
				StreamName: aws.String(name), ShardId: aws.String(shard), ShardIteratorType: types.ShardIteratorTypeLatest, DryRun: yes,
			})
			return err
		}
	}
	get := func(iterator *string) func() error {
		return func() error {
			_, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: iterator, DryRun: yes})
			return err
		}
	}
	for _, c := range []struct {
		name, code string
		call       func() error
	}{
		{"PutRecord", "DryRunOperationException", put(name, "k", 5)},
		{"PutRecord to no stream", "ResourceNotFoundException", put("none", "k", 5)},
		{"PutRecord too large", "ValidationException", put(name, "k", 1<<20+1)},
		{"PutRecords", "DryRunOperationException", puts(name, nil)},
		{"PutRecords to no stream", "ResourceNotFoundException", puts("none", nil)},
		{"PutRecords with a bad hash key", "InvalidArgumentException", puts(name, aws.String("340282366920938463463374607431768211456"))},
		{"GetShardIterator", "DryRunOperationException", iterator(name, *shard)},
		{"GetShardIterator of no shard", "ResourceNotFoundException", iterator(name, "shardId-000000000009")},
		{"GetRecords", "DryRunOperationException", get(it.ShardIterator)},
		{"GetRecords of no iterator", "InvalidArgumentException", get(aws.String("AAAA"))},
	} {
		if err := c.call(); code(err) != c.code {
			t.Errorf("%s: got %v, want %s", c.name, err, c.code)
		}
	}
	page, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
	if err != nil || len(page.Records) != 0 {
		t.Errorf("after dry runs there are %d records, %v", len(page.Records), err)
	}
}
