package kafkalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

// TestSource delivers a topic of Apache Kafka while its server is killed: of every
// transaction that was committed each record once, in the order of its partition, of
// those that were aborted none.
func TestSource(t *testing.T) {
	const arn = "arn:aws:kafka:us-east-1:111111111111:cluster/far/11111111-2222-3333-4444-555555555555-1"
	const partitions, transactions, each, kills = 3, 300, 40, 6
	addr, _ := start(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("arena"), kgo.TransactionalID("far"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	create := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "arena", partitions, 1
	create.Topics = append(create.Topics, topic)
	made, err := create.RequestWith(t.Context(), client)
	if err != nil || made.Topics[0].ErrorCode != 0 {
		t.Fatalf("create the topic: %v, %v", err, kerr.ErrorForCode(made.Topics[0].ErrorCode))
	}
	file := filepath.Join(t.TempDir(), "sources.json")
	doc, err := json.Marshal([]map[string]any{{"arn": arn, "accounts": []string{sdk.AccessKey}, "brokers": []string{addr}}})
	if err := errors.Join(err, os.WriteFile(file, doc, 0o600)); err != nil {
		t.Fatal(err)
	}
	server := harness.ForTest(t, harness.Options{Args: []string{"--test-aids", "--listen-kafka", "off", "--kafka-sources", file}})
	who := credentials.NewStaticCredentialsProvider(sdk.AccessKey, sdk.SecretKey, "")
	objects := s3.New(s3.Options{BaseEndpoint: aws.String(server.URL()), Region: sdk.Region, UsePathStyle: true, Credentials: who})
	if _, err := objects.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("bucket")}); err != nil {
		t.Fatal(err)
	}
	role := aws.String("arn:aws:iam::000000000000:role/firehose")
	_, err = firehose.New(firehose.Options{BaseEndpoint: aws.String(server.URL()), Region: sdk.Region, Credentials: who}).CreateDeliveryStream(
		t.Context(), &firehose.CreateDeliveryStreamInput{DeliveryStreamName: aws.String("far"), DeliveryStreamType: types.DeliveryStreamTypeMSKAsSource,
			MSKSourceConfiguration: &types.MSKSourceConfiguration{MSKClusterARN: aws.String(arn), TopicName: aws.String("arena"),
				ReadFromTimestamp:           aws.Time(time.Unix(0, 0)),
				AuthenticationConfiguration: &types.AuthenticationConfiguration{Connectivity: types.ConnectivityPrivate, RoleARN: role}},
			ExtendedS3DestinationConfiguration: &types.ExtendedS3DestinationConfiguration{BucketARN: aws.String("arn:aws:s3:::bucket"), RoleARN: role,
				BufferingHints: &types.BufferingHints{SizeInMBs: aws.Int32(1), IntervalInSeconds: aws.Int32(0)}}})
	if err != nil {
		t.Fatal(err)
	}
	var done atomic.Int64
	want := make([][]string, partitions)
	err = harness.Parallel(t.Context(), 2, func(ctx context.Context, i int) error {
		for n := 0; i == 0 && n < transactions; n++ {
			end := kgo.TransactionEndTry(n%5 != 0)
			if err := transaction(ctx, client, n, each, end, want); err != nil {
				return err
			}
			done.Add(1)
		}
		for k := 0; i == 1 && k < kills; k++ {
			for done.Load() < int64(transactions*(k+1)/(kills+1)) {
				if err := pause(ctx); err != nil {
					return err
				}
			}
			if err := errors.Join(server.Kill(), server.Restart(ctx)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	flush(t, server.URL()+"/_thalweg/firehose/far/flush")
	got := make([][]string, partitions)
	pages := s3.NewListObjectsV2Paginator(objects, &s3.ListObjectsV2Input{Bucket: aws.String("bucket")})
	count := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			count++
			object, err := objects.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: o.Key})
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(object.Body)
			if err := errors.Join(err, object.Body.Close()); err != nil {
				t.Fatal(err)
			}
			var at [partitions]int
			for line := range bytes.Lines(body) {
				p := int(line[0] - '0')
				got[p] = append(got[p], string(line))
				if at[p]++; at[p] > 1 && got[p][len(got[p])-1] <= got[p][len(got[p])-2] {
					t.Errorf("%s: %q stands behind %q", *o.Key, line, got[p][len(got[p])-2])
				}
			}
		}
	}
	for p := range got {
		slices.Sort(got[p]) // objects of one second are in no order
		if !slices.Equal(got[p], want[p]) {
			t.Errorf("partition %d: delivered %d records, committed were %d", p, len(got[p]), len(want[p]))
		}
	}
	t.Logf("%d records of each of %d partitions in %d objects, %d kills", len(want[0]), partitions, count, kills)
}

// transaction puts records to every partition, and notes them where they are committed.
func transaction(ctx context.Context, client *kgo.Client, n, each int, end kgo.TransactionEndTry, want [][]string) error {
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	var records []*kgo.Record
	for p := range want {
		for i := range each {
			line := fmt.Sprintf("%d %06d\n", p, n*each+i)
			records = append(records, &kgo.Record{Partition: int32(p), Value: []byte(line)})
			if end == kgo.TryCommit {
				want[p] = append(want[p], line)
			}
		}
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return err
	}
	return client.EndTransaction(ctx, end)
}

func pause(ctx context.Context) error {
	timer := time.NewTimer(2 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func flush(t *testing.T, url string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("flush: %d %s", resp.StatusCode, body)
	}
}
