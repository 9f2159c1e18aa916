package kafka

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

func offsetOf(t *testing.T, seq string) int64 {
	t.Helper()
	offset, err := sdk.OffsetOf(seq)
	if err != nil {
		t.Fatal(err)
	}
	return offset
}

// TestOneStreamTwoDoors: a stream made and put to through Kinesis is a topic, a
// topic made and produced to through Kafka is a stream, and a record has one
// offset and one sequence number whichever way it came.
func TestOneStreamTwoDoors(t *testing.T) {
	server := harness.ForTest(t, harness.Options{})
	kin := sdk.Client(server.URL(), sdk.NoRetry)
	kaf := newClient(t, server)

	if _, err := sdk.CreateStream(t.Context(), kin, "made-by-kinesis", 2); err != nil {
		t.Fatal(err)
	}
	createTopic(t, kaf, "made-by-kafka", 2)
	for _, name := range []string{"made-by-kinesis", "made-by-kafka"} {
		t.Run(name, func(t *testing.T) { throughBoth(t, server, kin, kaf, name) })
	}
}

func throughBoth(t *testing.T, server *harness.Server, kin *kinesis.Client, kaf *kgo.Client, name string) {
	const each = 40
	type place struct {
		partition int32
		offset    int64
	}
	want := map[place]string{}
	for i := range each {
		data := fmt.Sprintf("from kinesis %d", i)
		out, err := kin.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: &name, PartitionKey: aws.String(fmt.Sprint("key", i)), Data: []byte(data)})
		if err != nil {
			t.Fatal(err)
		}
		var shard int32
		if _, err := fmt.Sscanf(*out.ShardId, "shardId-%d", &shard); err != nil {
			t.Fatal(err)
		}
		want[place{shard, offsetOf(t, *out.SequenceNumber)}] = data
		data = fmt.Sprintf("from kafka %d", i)
		r := &kgo.Record{Topic: name, Partition: int32(i % 2), Key: []byte(fmt.Sprint("key", i)), Value: []byte(data)}
		if err := kaf.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
		want[place{r.Partition, r.Offset}] = data
	}
	if len(want) != 2*each {
		t.Fatalf("%d places for %d records", len(want), 2*each)
	}
	read := drain(t, server, name, 2)
	if n := len(read[0]) + len(read[1]); n != 2*each {
		t.Fatalf("Kafka reads %d records of %d", n, 2*each)
	}
	for p, list := range read {
		for _, r := range list {
			if want[place{p, r.Offset}] != string(r.Value) {
				t.Fatalf("Kafka, partition %d, offset %d: %q, want %q", p, r.Offset, r.Value, want[place{p, r.Offset}])
			}
		}
	}
	shards, err := kin.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &name})
	if err != nil || len(shards.Shards) != 2 {
		t.Fatalf("%v, %d shards", err, len(shards.Shards))
	}
	n := 0
	for p, sh := range shards.Shards {
		for _, r := range drainShard(t, kin, name, *sh.ShardId) {
			offset := offsetOf(t, *r.SequenceNumber)
			if want[place{int32(p), offset}] != string(r.Data) {
				t.Fatalf("Kinesis, shard %d, offset %d: %q, want %q", p, offset, r.Data, want[place{int32(p), offset}])
			}
			n++
		}
	}
	if n != 2*each {
		t.Fatalf("Kinesis reads %d records of %d", n, 2*each)
	}
}

func drainShard(t *testing.T, kin *kinesis.Client, name, shard string) []types.Record {
	t.Helper()
	it, err := kin.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: &name, ShardId: &shard,
		ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		t.Fatal(err)
	}
	var out []types.Record
	for next := it.ShardIterator; ; {
		page, err := kin.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: next})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, page.Records...)
		if len(page.Records) == 0 && *page.MillisBehindLatest == 0 {
			return out
		}
		next = page.NextShardIterator
	}
}

// TestOwners: each door refuses to change what the other made, and says whose it
// is; what only Kafka can show is not shown as a stream.
func TestOwners(t *testing.T) {
	server := harness.ForTest(t, harness.Options{Ephemeral: true})
	kin := sdk.Client(server.URL(), sdk.NoRetry)
	kaf := newClient(t, server)
	if _, err := sdk.CreateStream(t.Context(), kin, "stream", 2); err != nil {
		t.Fatal(err)
	}
	createTopic(t, kaf, "topic", 2)
	name := "stream"

	del := kmsg.NewPtrDeleteTopicsRequest()
	dt := kmsg.NewDeleteTopicsRequestTopic()
	dt.Topic = &name
	del.Topics, del.TopicNames, del.TimeoutMillis = append(del.Topics, dt), []string{name}, 1000
	if resp, err := del.RequestWith(t.Context(), kaf); err != nil || resp.Topics[0].ErrorCode != 44 {
		t.Errorf("DeleteTopics of a stream: %v, %+v", err, resp)
	}
	grow := kmsg.NewPtrCreatePartitionsRequest()
	gt := kmsg.NewCreatePartitionsRequestTopic()
	gt.Topic, gt.Count = name, 5
	grow.Topics, grow.TimeoutMillis = append(grow.Topics, gt), 1000
	if resp, err := grow.RequestWith(t.Context(), kaf); err != nil || resp.Topics[0].ErrorCode != 44 {
		t.Errorf("CreatePartitions of a stream: %v, %+v", err, resp)
	}
	name = "topic"
	if _, err := kin.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: &name}); err == nil {
		t.Error("DeleteStream removed a topic")
	}
	if _, err := kin.IncreaseStreamRetentionPeriod(t.Context(), &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: &name,
		RetentionPeriodHours: aws.Int32(300)}); err == nil {
		t.Error("IncreaseStreamRetentionPeriod changed a topic")
	}
	gt.Topic, gt.Count = name, 4
	grow.Topics[0] = gt
	if resp, err := grow.RequestWith(t.Context(), kaf); err != nil || resp.Topics[0].ErrorCode != 0 {
		t.Errorf("CreatePartitions of a topic: %v, %+v", err, resp)
	}
	shards, err := kin.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &name})
	if err != nil || len(shards.Shards) != 4 {
		t.Errorf("after CreatePartitions: %v, %+v", err, shards)
	}

	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = "table", 1, 1
	rc := kmsg.NewCreateTopicsRequestTopicConfig()
	rc.Name, rc.Value = "cleanup.policy", aws.String("compact")
	rt.Configs, req.TimeoutMillis = append(rt.Configs, rc), 1000
	req.Topics = append(req.Topics, rt)
	if resp, err := req.RequestWith(t.Context(), kaf); err != nil || resp.Topics[0].ErrorCode != 0 {
		t.Errorf("create a compacted topic: %v, %+v", err, resp)
	}
	list, err := kin.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
	if err != nil || fmt.Sprint(list.StreamNames) != "[stream topic]" {
		t.Errorf("ListStreams: %v, %v", list.StreamNames, err)
	}
}

// TestForeignRecords: a reader of streams can take whatever a Kafka producer
// wrote.
func TestForeignRecords(t *testing.T) {
	server := harness.ForTest(t, harness.Options{Ephemeral: true})
	kin := sdk.Client(server.URL(), sdk.NoRetry)
	kaf := newClient(t, server, kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	createTopic(t, kaf, "topic", 1)
	long := make([]byte, 2000)
	for _, r := range []*kgo.Record{
		{Topic: "topic", Value: []byte("no key"), Timestamp: time.Unix(1000, 0)},
		{Topic: "topic", Key: []byte{0xff, 0xfe}, Value: []byte("not UTF-8")},
		{Topic: "topic", Key: long, Value: []byte("long key")},
		{Topic: "topic", Key: []byte("tombstone")},
		{Topic: "topic", Key: []byte("plain"), Value: []byte("plain"), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}},
	} {
		if err := kaf.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	got := ""
	for _, r := range drainShard(t, kin, "topic", "shardId-000000000000") {
		got += fmt.Sprintf("%s=%s\n", *r.PartitionKey, r.Data)
	}
	digest := func(key []byte) string {
		sum := sha256.Sum256(key)
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	want := "-=no key\n" + digest([]byte{0xff, 0xfe}) + "=not UTF-8\n" + digest(long) + "=long key\ntombstone=\nplain=plain\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestTransactionsThroughKinesis: readers of the stream see what was committed, not
// what was aborted, and nothing of what is still open.
func TestTransactionsThroughKinesis(t *testing.T) {
	server := harness.ForTest(t, harness.Options{Ephemeral: true})
	kin := sdk.Client(server.URL(), sdk.NoRetry)
	kaf := newClient(t, server, kgo.TransactionalID("teller"), kgo.DefaultProduceTopic("topic"))
	createTopic(t, kaf, "topic", 1)
	seenOf := func(stream string) (out string) {
		for _, r := range drainShard(t, kin, stream, "shardId-000000000000") {
			out += string(r.Data) + " "
		}
		return out
	}
	seen := func() string { return seenOf("topic") }
	want := ""
	for _, step := range []struct {
		value string
		end   kgo.TransactionEndTry
	}{{"kept", kgo.TryCommit}, {"dropped", kgo.TryAbort}, {"kept-too", kgo.TryCommit}} {
		if err := kaf.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := kaf.ProduceSync(t.Context(), &kgo.Record{Value: []byte(step.value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if got := seen(); got != want {
			t.Errorf("while %s is open: %q, want %q", step.value, got, want)
		}
		if err := kaf.EndTransaction(t.Context(), step.end); err != nil {
			t.Fatal(err)
		}
		if step.end == kgo.TryCommit {
			want += step.value + " "
		}
		if got := seen(); got != want {
			t.Errorf("after %s: %q, want %q", step.value, got, want)
		}
	}
	// A stream takes part as a topic does; a shard closes when no transaction is open in it.
	if _, err := sdk.CreateStream(t.Context(), kin, "stream", 1); err != nil {
		t.Fatal(err)
	}
	if err := kaf.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := kaf.ProduceSync(t.Context(), &kgo.Record{Topic: "stream", Value: []byte("yes")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if got := seenOf("stream"); got != "" {
		t.Errorf("of an open transaction: %q", got)
	}
	split := func() error {
		_, err := kin.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: aws.String("stream"),
			ShardToSplit: aws.String("shardId-000000000000"), NewStartingHashKey: aws.String("1000")})
		return err
	}
	var busy *types.ResourceInUseException
	if err := split(); !errors.As(err, &busy) {
		t.Errorf("split amid a transaction: %v", err)
	}
	if err := kaf.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if got := seenOf("stream"); got != "yes " {
		t.Errorf("committed: %q", got)
	}
	if err := split(); err != nil {
		t.Error(err)
	}
}
