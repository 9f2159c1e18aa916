package app

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kafka"
	"github.com/aws/aws-sdk-go-v2/service/kafka/types"
)

func mskClient(s *Server, account string) *kafka.Client {
	return kafka.New(kafka.Options{Region: "us-east-1", BaseEndpoint: aws.String(s.Addresses().HTTP),
		Credentials: credentials.NewStaticCredentialsProvider(account, "test", "")})
}

// TestDefaultCluster: the cluster that is there from the start shows through
// Amazon MSK's API, to its own account and region.
func TestDefaultCluster(t *testing.T) {
	s := mustStart(t, testConfig(t))
	cl := mskClient(s, "000000000000")
	list, err := cl.ListClustersV2(t.Context(), &kafka.ListClustersV2Input{})
	if err != nil || len(list.ClusterInfoList) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	c := list.ClusterInfoList[0]
	if *c.ClusterName != "default" || c.State != types.ClusterStateActive || c.ClusterType != types.ClusterTypeProvisioned {
		t.Errorf("%+v", c)
	}
	boot, err := cl.GetBootstrapBrokers(t.Context(), &kafka.GetBootstrapBrokersInput{ClusterArn: c.ClusterArn})
	if err != nil || *boot.BootstrapBrokerString != s.Addresses().Kafka || boot.BootstrapBrokerStringTls != nil {
		t.Errorf("%+v, %v", boot, err)
	}
	nodes, err := cl.ListNodes(t.Context(), &kafka.ListNodesInput{ClusterArn: c.ClusterArn})
	if err != nil || len(nodes.NodeInfoList) != 1 || nodes.NodeInfoList[0].BrokerNodeInfo.Endpoints[0] != "127.0.0.1" {
		t.Errorf("%+v, %v", nodes, err)
	}
	if _, err := cl.TagResource(t.Context(), &kafka.TagResourceInput{ResourceArn: c.ClusterArn, Tags: map[string]string{"team": "game"}}); err != nil {
		t.Error(err)
	}
	described, err := cl.DescribeCluster(t.Context(), &kafka.DescribeClusterInput{ClusterArn: c.ClusterArn})
	if err != nil || described.ClusterInfo.Tags["team"] != "game" || *described.ClusterInfo.NumberOfBrokerNodes != 1 {
		t.Errorf("%+v, %v", described, err)
	}
	if list, err := mskClient(s, "111111111111").ListClusters(t.Context(), &kafka.ListClustersInput{}); err != nil || len(list.ClusterInfoList) != 0 {
		t.Errorf("another account is shown %+v, %v", list, err)
	}
	if _, err := mskClient(s, "111111111111").DescribeClusterV2(t.Context(), &kafka.DescribeClusterV2Input{ClusterArn: c.ClusterArn}); err == nil {
		t.Error("another account is told of the cluster")
	}
}

// TestResetRemovesClusters: they are gone when the reset is answered, so that the
// next test can use their names.
func TestResetRemovesClusters(t *testing.T) {
	c := testConfig(t)
	c.TestAids = true
	s := mustStart(t, c)
	cl := mskClient(s, "000000000000")
	for range 2 {
		_, err := cl.CreateCluster(t.Context(), &kafka.CreateClusterInput{ClusterName: aws.String("games"), KafkaVersion: aws.String("3.9.x"),
			NumberOfBrokerNodes: aws.Int32(1), BrokerNodeGroupInfo: &types.BrokerNodeGroupInfo{ClientSubnets: []string{"s"}, InstanceType: aws.String("kafka.m7g.large")},
			EncryptionInfo: &types.EncryptionInfo{EncryptionInTransit: &types.EncryptionInTransit{ClientBroker: types.ClientBrokerPlaintext}}})
		if err != nil {
			t.Fatal(err)
		}
		if status, body := send(t, "POST", s.Addresses().HTTP+"/_thalweg/reset", ""); status != 200 || !strings.Contains(body, `"clusters_removed":1`) {
			t.Fatalf("%d %s", status, body)
		}
	}
	if list, err := cl.ListClusters(t.Context(), &kafka.ListClustersInput{}); err != nil || len(list.ClusterInfoList) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}
