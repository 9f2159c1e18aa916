package firehose

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/kafka"
	"github.com/twmb/franz-go/pkg/kgo"

	"thalweg/tests/sdk"
)

// TestTopic delivers a topic of the default cluster: what was produced before too,
// since the delivery stream reads from the earliest record, and of a transaction what
// was committed.
func TestTopic(t *testing.T) {
	s := newSuite(t)
	api := kafka.New(kafka.Options{BaseEndpoint: aws.String(s.server.URL()), Region: sdk.Region,
		Credentials: credentials.NewStaticCredentialsProvider(sdk.AccessKey, sdk.SecretKey, "")})
	list, err := api.ListClusters(t.Context(), &kafka.ListClustersInput{})
	if err != nil || len(list.ClusterInfoList) != 1 {
		t.Fatalf("clusters %+v, %v", list, err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(s.server.Ready().Kafka), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("arena"),
		kgo.TransactionalID("delivered"), kgo.TransactionTimeout(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	produce := func(from, to int, end kgo.TransactionEndTry) {
		t.Helper()
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for i := from; i < to; i++ {
			if err := client.ProduceSync(t.Context(), &kgo.Record{Value: fmt.Appendf(nil, "record %03d\n", i)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	produce(0, 10, kgo.TryCommit)
	s.create("topic", "topic/", func(in *firehose.CreateDeliveryStreamInput) {
		in.DeliveryStreamType = types.DeliveryStreamTypeMSKAsSource
		in.MSKSourceConfiguration = &types.MSKSourceConfiguration{
			MSKClusterARN: list.ClusterInfoList[0].ClusterArn, TopicName: aws.String("arena"), ReadFromTimestamp: aws.Time(time.Unix(0, 0)),
			AuthenticationConfiguration: &types.AuthenticationConfiguration{Connectivity: types.ConnectivityPrivate,
				RoleARN: aws.String("arn:aws:iam::000000000000:role/firehose")},
		}
	})
	produce(10, 20, kgo.TryAbort)
	produce(20, 30, kgo.TryCommit)
	s.flush("topic")
	var got, want []string
	for _, body := range s.objects("topic/") {
		for line := range bytes.Lines(body) {
			got = append(got, string(line))
		}
	}
	for i := range 30 {
		if i < 10 || i >= 20 {
			want = append(want, fmt.Sprintf("record %03d\n", i))
		}
	}
	slices.Sort(got) // of several partitions
	if !slices.Equal(got, want) {
		t.Errorf("delivered %q, want %q", got, want)
	}
}
