package msk

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kafka"
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/tests/harness"
)

// TestVersions: clients of a cluster are shown the protocol of the version of Kafka
// that it was asked to be of, and of another once it was updated.
func TestVersions(t *testing.T) {
	s := harness.ForTest(t, harness.Options{})
	u := at(t, s, "000000000000")
	arn := u.create("games", 2)
	u.await(arn)
	brokers := u.bootstrap(arn)
	produce(t, brokers, "scores", 5)
	const consumerGroupHeartbeat = 68 // since 4.0
	shows := func() bool {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = "test", "1.0"
		resp, err := req.RequestWith(t.Context(), client(t, brokers))
		u.must("ask for versions", err)
		for _, k := range resp.ApiKeys {
			if k.ApiKey == consumerGroupHeartbeat {
				return true
			}
		}
		return false
	}
	if shows() {
		t.Error("a cluster of 3.9 shows what 4.0 has")
	}
	version := u.await(arn).CurrentVersion
	out, err := u.UpdateClusterKafkaVersion(t.Context(), &kafka.UpdateClusterKafkaVersionInput{ClusterArn: &arn, CurrentVersion: version,
		TargetKafkaVersion: aws.String("4.0.x.kraft")})
	u.must("update", err)
	u.operated(out.ClusterOperationArn, err)
	if !shows() {
		t.Error("a cluster that was updated to 4.0 does not show it")
	}
	consume(t, brokers, "scores", 5)
}
