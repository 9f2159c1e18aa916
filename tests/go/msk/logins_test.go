package msk

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kafka"
	"github.com/aws/aws-sdk-go-v2/service/kafka/types"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	awsiam "github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"thalweg/tests/harness"
)

// owner is a key of an account, at a server that verifies signatures.
func owner(t *testing.T, s *harness.Server, account, region string) (user, harness.Key) {
	t.Helper()
	key, err := s.CreateKey(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	return user{t, kafka.New(kafka.Options{Region: region, BaseEndpoint: aws.String(s.URL()), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKey, key.SecretKey, "")})}, key
}

// encrypted is a client that trusts the server's authority alone.
func encrypted(t *testing.T, s *harness.Server, brokers []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(s.DataDir(), "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("no authority")
	}
	return client(t, brokers, append(opts, kgo.DialTLSConfig(&tls.Config{RootCAs: pool}), kgo.RequestRetries(0))...)
}

// createTopic makes a topic as a Kafka client.
func createTopic(t *testing.T, cl *kgo.Client, name string) error {
	t.Helper()
	nt := kmsg.NewCreateTopicsRequestTopic()
	nt.Topic, nt.NumPartitions, nt.ReplicationFactor = name, 1, -1
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = append(req.Topics, nt)
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

// TestLogins: a cluster of another account and region than the server's own lets
// in its account's keys by IAM, users that were made of secrets by SCRAM, and
// other accounts where its policy says so.
func TestLogins(t *testing.T) {
	const region = "eu-central-1"
	t.Setenv("AWS_REGION", region)
	secrets := t.TempDir()
	own := filepath.Join(secrets, "111111111111") // the account's
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(own, "AmazonMSK_ada"), []byte(`{"username":"ada","password":"engine"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := harness.ForTest(t, harness.Options{Args: []string{"--auth", "strict", "--kafka-secrets", secrets}})
	u, key := owner(t, s, "111111111111", region)
	other, otherKey := owner(t, s, "222222222222", region)
	created, err := u.CreateCluster(t.Context(), &kafka.CreateClusterInput{
		ClusterName: aws.String("games"), KafkaVersion: aws.String("3.9.x"), NumberOfBrokerNodes: aws.Int32(2),
		BrokerNodeGroupInfo:  &types.BrokerNodeGroupInfo{ClientSubnets: []string{"subnet-1"}, InstanceType: aws.String("kafka.m7g.large")},
		ClientAuthentication: &types.ClientAuthentication{Sasl: &types.Sasl{Scram: &types.Scram{Enabled: aws.Bool(true)}, Iam: &types.Iam{Enabled: aws.Bool(true)}}},
	})
	u.must("create", err)
	arn := *created.ClusterArn
	u.await(arn)
	boot, err := u.GetBootstrapBrokers(t.Context(), &kafka.GetBootstrapBrokersInput{ClusterArn: &arn})
	u.must("get bootstrap brokers", err)
	if boot.BootstrapBrokerString != nil || boot.BootstrapBrokerStringTls != nil {
		t.Errorf("strangers are let in: %+v", boot)
	}
	byIAM := func(k harness.Key) *kgo.Client {
		return encrypted(t, s, strings.Split(*boot.BootstrapBrokerStringSaslIam, ","),
			kgo.SASL(awsiam.Auth{AccessKey: k.AccessKey, SecretKey: k.SecretKey}.AsManagedStreamingIAMMechanism()))
	}
	byScram := func(m func(scram.Auth) sasl.Mechanism) *kgo.Client {
		return encrypted(t, s, strings.Split(*boot.BootstrapBrokerStringSaslScram, ","), kgo.SASL(m(scram.Auth{User: "ada", Pass: "engine"})))
	}
	sha512 := func(a scram.Auth) sasl.Mechanism { return a.AsSha512Mechanism() }

	// Keys of the account may everything, others nothing that no policy allows.
	u.must("create a topic with a key", createTopic(t, byIAM(key), "scores"))
	if err := createTopic(t, byIAM(otherKey), "theirs"); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("another account: %v", err)
	}
	if _, err := other.DescribeCluster(t.Context(), &kafka.DescribeClusterInput{ClusterArn: &arn}); err == nil {
		t.Error("another account is told of the cluster")
	}
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":["kafka:DescribeCluster","kafka-cluster:Connect"],"Resource":%q},
		{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"kafka-cluster:CreateTopic","Resource":%q}]}`,
		arn, strings.Replace(arn, ":cluster/", ":topic/", 1)+"/their-*")
	_, err = u.PutClusterPolicy(t.Context(), &kafka.PutClusterPolicyInput{ClusterArn: &arn, Policy: &policy})
	u.must("put policy", err)
	if _, err := other.DescribeCluster(t.Context(), &kafka.DescribeClusterInput{ClusterArn: &arn}); err != nil {
		t.Errorf("a policy does not let another account in: %v", err)
	}
	if _, err := other.PutClusterPolicy(t.Context(), &kafka.PutClusterPolicyInput{ClusterArn: &arn, Policy: &policy}); err == nil {
		t.Error("another account changed the policy")
	}
	theirs := byIAM(otherKey)
	if err := createTopic(t, theirs, "their-scores"); err != nil {
		t.Errorf("a policy allows it: %v", err)
	}
	if err := createTopic(t, theirs, "scores-2"); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("no policy allows it: %v", err)
	}

	// A user is made of a secret, and unmade.
	if err := createTopic(t, byScram(sha512), "x"); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("before there is a user: %v", err)
	}
	const secret = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:AmazonMSK_ada-AbCdEf"
	associated, err := u.BatchAssociateScramSecret(t.Context(), &kafka.BatchAssociateScramSecretInput{ClusterArn: &arn, SecretArnList: []string{secret}})
	u.must("associate", err)
	if len(associated.UnprocessedScramSecrets) != 0 {
		t.Errorf("%+v", associated.UnprocessedScramSecrets)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	u.must("restart", s.Restart(t.Context()))
	u.await(arn)
	if err := createTopic(t, byScram(sha512), "x"); !errors.Is(err, kerr.TopicAuthorizationFailed) && !errors.Is(err, kerr.ClusterAuthorizationFailed) {
		t.Errorf("a user without ACLs: %v", err)
	}
	if err := createTopic(t, encrypted(t, s, strings.Split(*boot.BootstrapBrokerStringSaslScram, ","),
		kgo.SASL(awsiam.Auth{AccessKey: key.AccessKey, SecretKey: key.SecretKey}.AsManagedStreamingIAMMechanism())), "x"); err == nil {
		t.Error("a key is let in where users are")
	}
	_, err = u.BatchDisassociateScramSecret(t.Context(), &kafka.BatchDisassociateScramSecretInput{ClusterArn: &arn, SecretArnList: []string{secret}})
	u.must("disassociate", err)
	if err := createTopic(t, byScram(sha512), "x"); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("after the user is gone: %v", err)
	}
}
