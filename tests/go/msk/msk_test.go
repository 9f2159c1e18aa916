// Package msk makes clusters through Amazon MSK's API and uses them with Kafka
// clients, against the real binary.
package msk

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kafka"
	"github.com/aws/aws-sdk-go-v2/service/kafka/types"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/tests/harness"
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

// user is somebody with an account, at a server.
type user struct {
	t *testing.T
	*kafka.Client
}

func at(t *testing.T, s *harness.Server, account string) user {
	return user{t, kafka.New(kafka.Options{Region: "us-east-1", BaseEndpoint: aws.String(s.URL()), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(account, "test", "")})}
}

func (u user) must(what string, err error) {
	u.t.Helper()
	if err != nil {
		u.t.Fatalf("%s: %v", what, err)
	}
}

// create asks for a cluster with brokers in the clear.
func (u user) create(name string, brokers int32) string {
	u.t.Helper()
	out, err := u.CreateCluster(u.t.Context(), &kafka.CreateClusterInput{
		ClusterName: &name, KafkaVersion: aws.String("3.9.x"), NumberOfBrokerNodes: &brokers,
		BrokerNodeGroupInfo: &types.BrokerNodeGroupInfo{ClientSubnets: []string{"subnet-1"}, InstanceType: aws.String("kafka.m7g.large")},
		EncryptionInfo:      &types.EncryptionInfo{EncryptionInTransit: &types.EncryptionInTransit{ClientBroker: types.ClientBrokerTlsPlaintext}},
	})
	u.must("create "+name, err)
	if out.State != types.ClusterStateCreating {
		u.t.Errorf("a new cluster is %s", out.State)
	}
	return *out.ClusterArn
}

// await describes a cluster until it is ACTIVE.
func (u user) await(arn string) *types.Cluster {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), time.Minute)
	defer cancel()
	for {
		out, err := u.DescribeClusterV2(ctx, &kafka.DescribeClusterV2Input{ClusterArn: &arn})
		u.must("describe", err)
		switch out.ClusterInfo.State {
		case types.ClusterStateActive:
			return out.ClusterInfo
		case types.ClusterStateFailed:
			u.t.Fatalf("%s: %s", arn, *out.ClusterInfo.StateInfo.Message)
		}
	}
}

// gone describes a cluster until there is none.
func (u user) gone(arn string) {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), time.Minute)
	defer cancel()
	for {
		_, err := u.DescribeClusterV2(ctx, &kafka.DescribeClusterV2Input{ClusterArn: &arn})
		var no *types.NotFoundException
		if errors.As(err, &no) {
			return
		}
		u.must("describe", err)
	}
}

// bootstrap is where a cluster's clients go.
func (u user) bootstrap(arn string) []string {
	u.t.Helper()
	out, err := u.GetBootstrapBrokers(u.t.Context(), &kafka.GetBootstrapBrokersInput{ClusterArn: &arn})
	u.must("get bootstrap brokers", err)
	if out.BootstrapBrokerString == nil {
		u.t.Fatalf("no brokers in the clear: %+v", out)
	}
	return strings.Split(*out.BootstrapBrokerString, ",")
}

func client(t *testing.T, brokers []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(brokers...)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// produce puts n records into a topic, which is made with two partitions if there
// is none.
func produce(t *testing.T, brokers []string, topic string, n int) {
	t.Helper()
	cl := client(t, brokers, kgo.DefaultProduceTopic(topic))
	nt := kmsg.NewCreateTopicsRequestTopic()
	nt.Topic, nt.NumPartitions, nt.ReplicationFactor = topic, 2, -1
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = append(req.Topics, nt)
	const topicExists = 36
	if resp, err := req.RequestWith(t.Context(), cl); err != nil || resp.Topics[0].ErrorCode != 0 && resp.Topics[0].ErrorCode != topicExists {
		t.Fatalf("%+v, %v", resp, err)
	}
	for i := range n {
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint(i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// consume reads n records in a group.
func consume(t *testing.T, brokers []string, topic string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cl := client(t, brokers, kgo.ConsumeTopics(topic), kgo.ConsumerGroup("g"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for n > 0 {
		f := cl.PollFetches(ctx)
		if err := f.Err0(); err != nil {
			t.Fatal(err)
		}
		n -= f.NumRecords()
	}
	if err := cl.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
}

// committed is how many records a group has read.
func committed(resp *kmsg.OffsetFetchResponse) (n int64) {
	for _, g := range resp.Groups {
		for _, topic := range g.Topics {
			for _, p := range topic.Partitions {
				n += p.Offset
			}
		}
	}
	return n
}

// TestClusters: a cluster made through the API, on a server that is killed before it
// is there, has topics and groups of its own, on ports that stay, until it is
// deleted.
func TestClusters(t *testing.T) {
	s := harness.ForTest(t, harness.Options{})
	u := at(t, s, "000000000000")
	arn := u.create("games", 3)
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	u = at(t, s, "000000000000")
	c := u.await(arn)
	if *c.Provisioned.NumberOfBrokerNodes != 3 || *c.Provisioned.CurrentBrokerSoftwareInfo.KafkaVersion != "3.9.x" ||
		*c.Provisioned.BrokerNodeGroupInfo.InstanceType != "kafka.m7g.large" {
		t.Errorf("%+v", c.Provisioned)
	}
	brokers := u.bootstrap(arn)
	if len(brokers) != 3 {
		t.Fatalf("brokers %v", brokers)
	}
	produce(t, brokers, "scores", 10)
	produce(t, []string{s.Ready().Kafka}, "scores", 3)
	consume(t, brokers, "scores", 10)
	consume(t, []string{s.Ready().Kafka}, "scores", 3)

	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	u = at(t, s, "000000000000")
	u.await(arn)
	if again := u.bootstrap(arn); strings.Join(again, " ") != strings.Join(brokers, " ") {
		t.Errorf("after a kill the brokers are at %v, before at %v", again, brokers)
	}
	cl := client(t, brokers)
	meta, err := kmsg.NewPtrMetadataRequest().RequestWith(t.Context(), cl)
	u.must("metadata", err)
	if len(meta.Brokers) != 3 {
		t.Errorf("%+v", meta)
	}
	fetch := kmsg.NewPtrOffsetFetchRequest()
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group, fetch.Group = "g", "g"
	fetch.Groups = append(fetch.Groups, group)
	offsets, err := fetch.RequestWith(t.Context(), cl)
	u.must("fetch offsets", err)
	if total := committed(offsets); total != 10 {
		t.Errorf("the group has read %d records", total)
	}

	_, err = u.DeleteCluster(t.Context(), &kafka.DeleteClusterInput{ClusterArn: &arn})
	u.must("delete", err)
	u.gone(arn)
	u.await(u.create("games", 1))
	produce(t, []string{s.Ready().Kafka}, "scores", 1)
}

// TestPortsRunOut: a cluster for which there are no ports left is refused, and
// nothing of it is there.
func TestPortsRunOut(t *testing.T) {
	s := harness.ForTest(t, harness.Options{Args: []string{"--kafka-ports", "29317-29318"}})
	u := at(t, s, "000000000000")
	_, err := u.CreateCluster(t.Context(), &kafka.CreateClusterInput{
		ClusterName: aws.String("big"), KafkaVersion: aws.String("3.9.x"), NumberOfBrokerNodes: aws.Int32(3),
		BrokerNodeGroupInfo: &types.BrokerNodeGroupInfo{ClientSubnets: []string{"subnet-1"}, InstanceType: aws.String("kafka.m7g.large")},
	})
	var bad *types.BadRequestException
	if !errors.As(err, &bad) || !strings.Contains(*bad.Message, "29317 to 29318") {
		t.Errorf("%v", err)
	}
	if list, err := u.ListClustersV2(t.Context(), &kafka.ListClustersV2Input{}); err != nil || len(list.ClusterInfoList) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}
