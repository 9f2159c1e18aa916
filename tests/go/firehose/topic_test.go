package firehose

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/kafka"
	kafkatypes "github.com/aws/aws-sdk-go-v2/service/kafka/types"
	"github.com/twmb/franz-go/pkg/kgo"

	"thalweg/tests/sdk"
)

// TestTopic delivers a topic of the default cluster, and one of a cluster that was made: what was produced before too,
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
	deliverTopic(t, s, "default", *list.ClusterInfoList[0].ClusterArn, s.server.Ready().Kafka)
	made, err := api.CreateCluster(t.Context(), &kafka.CreateClusterInput{
		ClusterName: aws.String("games"), KafkaVersion: aws.String("3.9.x"), NumberOfBrokerNodes: aws.Int32(1),
		BrokerNodeGroupInfo: &kafkatypes.BrokerNodeGroupInfo{ClientSubnets: []string{"subnet-1"}, InstanceType: aws.String("kafka.m7g.large")},
		EncryptionInfo:      &kafkatypes.EncryptionInfo{EncryptionInTransit: &kafkatypes.EncryptionInTransit{ClientBroker: kafkatypes.ClientBrokerTlsPlaintext}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for state := kafkatypes.ClusterStateCreating; state == kafkatypes.ClusterStateCreating; {
		out, err := api.DescribeCluster(t.Context(), &kafka.DescribeClusterInput{ClusterArn: made.ClusterArn})
		if err != nil {
			t.Fatal(err)
		}
		state = out.ClusterInfo.State
	}
	boot, err := api.GetBootstrapBrokers(t.Context(), &kafka.GetBootstrapBrokersInput{ClusterArn: made.ClusterArn})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.CreateTopic(t.Context(), &kafka.CreateTopicInput{ClusterArn: made.ClusterArn, TopicName: aws.String("arena"),
		PartitionCount: aws.Int32(2), ReplicationFactor: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	deliverTopic(t, s, "games", *made.ClusterArn, *boot.BootstrapBrokerString)
}

// deliverTopic does so with the cluster of an ARN.
func deliverTopic(t *testing.T, s *suite, name, cluster, brokers string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("arena"),
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
	s.create(name, name+"/", func(in *firehose.CreateDeliveryStreamInput) {
		in.DeliveryStreamType = types.DeliveryStreamTypeMSKAsSource
		in.MSKSourceConfiguration = &types.MSKSourceConfiguration{
			MSKClusterARN: &cluster, TopicName: aws.String("arena"), ReadFromTimestamp: aws.Time(time.Unix(0, 0)),
			AuthenticationConfiguration: &types.AuthenticationConfiguration{Connectivity: types.ConnectivityPrivate,
				RoleARN: aws.String("arn:aws:iam::000000000000:role/firehose")},
		}
	})
	produce(10, 20, kgo.TryAbort)
	produce(20, 30, kgo.TryCommit)
	s.flush(name)
	var got, want []string
	for _, body := range s.objects(name + "/") {
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
