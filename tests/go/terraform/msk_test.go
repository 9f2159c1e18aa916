package terraform

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kafka"
	"github.com/aws/aws-sdk-go-v2/service/kafka/types"
	"github.com/google/go-cmp/cmp"

	"thalweg/tests/harness"
)

// cluster is the state of an aws_msk_cluster.
type cluster struct {
	Name, Version      string
	Brokers            int32
	Instance           string
	Subnets            []string
	Volume             int32
	ClientBroker       types.ClientBroker
	Scram, IAM, Open   bool
	Monitoring         types.EnhancedMonitoring
	Configuration      string
	Revision           int64
	Plain, TLS         int // brokers in the bootstrap strings
	SaslScram, SaslIAM int
	Tags               map[string]string
}

// mskProvider makes the calls for Amazon MSK.
type mskProvider struct {
	t *testing.T
	*kafka.Client
}

func newMSKProvider(t *testing.T) *mskProvider {
	s := harness.ForTest(t, harness.Options{})
	return &mskProvider{t, kafka.New(kafka.Options{Region: "us-east-1", BaseEndpoint: aws.String(s.URL()), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})}
}

func (p *mskProvider) must(what string, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

// wait asks again until it is done.
func (p *mskProvider) wait(what string, done func(context.Context) (bool, error)) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	for {
		ok, err := done(ctx)
		p.must(what, err)
		if ok {
			return
		}
	}
}

func (p *mskProvider) authentication(c cluster) *types.ClientAuthentication {
	return &types.ClientAuthentication{Sasl: &types.Sasl{Scram: &types.Scram{Enabled: &c.Scram}, Iam: &types.Iam{Enabled: &c.IAM}},
		Unauthenticated: &types.Unauthenticated{Enabled: &c.Open}}
}

func (p *mskProvider) encryption(c cluster) *types.EncryptionInfo {
	return &types.EncryptionInfo{EncryptionInTransit: &types.EncryptionInTransit{ClientBroker: c.ClientBroker, InCluster: aws.Bool(true)}}
}

func (p *mskProvider) configuration(c cluster) *types.ConfigurationInfo {
	return &types.ConfigurationInfo{Arn: &c.Configuration, Revision: &c.Revision}
}

// create is resourceClusterCreate.
func (p *mskProvider) create(c cluster) (arn *string) {
	p.t.Helper()
	out, err := p.CreateCluster(p.t.Context(), &kafka.CreateClusterInput{
		ClusterName: &c.Name, KafkaVersion: &c.Version, NumberOfBrokerNodes: &c.Brokers, Tags: c.Tags, EnhancedMonitoring: c.Monitoring,
		BrokerNodeGroupInfo: &types.BrokerNodeGroupInfo{ClientSubnets: c.Subnets, InstanceType: &c.Instance, SecurityGroups: []string{"sg-1"},
			StorageInfo: &types.StorageInfo{EbsStorageInfo: &types.EBSStorageInfo{VolumeSize: &c.Volume}}},
		ClientAuthentication: p.authentication(c), EncryptionInfo: p.encryption(c), ConfigurationInfo: p.configuration(c),
	})
	p.must("create", err)
	p.wait("await", func(ctx context.Context) (bool, error) {
		out, err := p.DescribeCluster(ctx, &kafka.DescribeClusterInput{ClusterArn: out.ClusterArn})
		return err == nil && out.ClusterInfo.State == types.ClusterStateActive, err
	})
	return out.ClusterArn
}

// version is the cluster's, which the next update must name.
func (p *mskProvider) version(arn *string) *string {
	p.t.Helper()
	out, err := p.DescribeCluster(p.t.Context(), &kafka.DescribeClusterInput{ClusterArn: arn})
	p.must("describe", err)
	return out.ClusterInfo.CurrentVersion
}

// operated waits for an operation, as every part of an update does.
func (p *mskProvider) operated(what string, operation *string, err error) {
	p.t.Helper()
	p.must(what, err)
	p.wait(what, func(ctx context.Context) (bool, error) {
		out, err := p.DescribeClusterOperation(ctx, &kafka.DescribeClusterOperationInput{ClusterOperationArn: operation})
		if err != nil {
			return false, err
		}
		switch *out.ClusterOperationInfo.OperationState {
		case "PENDING", "UPDATE_IN_PROGRESS":
			return false, nil
		case "UPDATE_COMPLETE":
			return true, nil
		}
		return false, errors.New(*out.ClusterOperationInfo.OperationState)
	})
}

// update is resourceClusterUpdate: one call and one wait for each part.
func (p *mskProvider) update(arn *string, from, to cluster) {
	p.t.Helper()
	ctx := p.t.Context()
	if from.Volume != to.Volume {
		out, err := p.UpdateBrokerStorage(ctx, &kafka.UpdateBrokerStorageInput{ClusterArn: arn, CurrentVersion: p.version(arn),
			TargetBrokerEBSVolumeInfo: []types.BrokerEBSVolumeInfo{{KafkaBrokerNodeId: aws.String("All"), VolumeSizeGB: &to.Volume}}})
		p.must("update storage", err)
		p.operated("update storage", out.ClusterOperationArn, err)
	}
	if from.Instance != to.Instance {
		out, err := p.UpdateBrokerType(ctx, &kafka.UpdateBrokerTypeInput{ClusterArn: arn, CurrentVersion: p.version(arn), TargetInstanceType: &to.Instance})
		p.must("update type", err)
		p.operated("update type", out.ClusterOperationArn, err)
	}
	if from.Brokers != to.Brokers {
		out, err := p.UpdateBrokerCount(ctx, &kafka.UpdateBrokerCountInput{ClusterArn: arn, CurrentVersion: p.version(arn), TargetNumberOfBrokerNodes: &to.Brokers})
		p.must("update count", err)
		p.operated("update count", out.ClusterOperationArn, err)
	}
	if from.Monitoring != to.Monitoring {
		out, err := p.UpdateMonitoring(ctx, &kafka.UpdateMonitoringInput{ClusterArn: arn, CurrentVersion: p.version(arn), EnhancedMonitoring: to.Monitoring})
		p.must("update monitoring", err)
		p.operated("update monitoring", out.ClusterOperationArn, err)
	}
	if from.Version != to.Version {
		out, err := p.UpdateClusterKafkaVersion(ctx, &kafka.UpdateClusterKafkaVersionInput{ClusterArn: arn, CurrentVersion: p.version(arn),
			TargetKafkaVersion: &to.Version, ConfigurationInfo: p.configuration(to)})
		p.must("update version", err)
		p.operated("update version", out.ClusterOperationArn, err)
	} else if from.Configuration != to.Configuration || from.Revision != to.Revision {
		out, err := p.UpdateClusterConfiguration(ctx, &kafka.UpdateClusterConfigurationInput{ClusterArn: arn, CurrentVersion: p.version(arn),
			ConfigurationInfo: p.configuration(to)})
		p.must("update configuration", err)
		p.operated("update configuration", out.ClusterOperationArn, err)
	}
	if from.Scram != to.Scram || from.IAM != to.IAM || from.Open != to.Open || from.ClientBroker != to.ClientBroker {
		out, err := p.UpdateSecurity(ctx, &kafka.UpdateSecurityInput{ClusterArn: arn, CurrentVersion: p.version(arn),
			ClientAuthentication: p.authentication(to), EncryptionInfo: p.encryption(to)})
		p.must("update security", err)
		p.operated("update security", out.ClusterOperationArn, err)
	}
	for k := range from.Tags {
		_, err := p.UntagResource(ctx, &kafka.UntagResourceInput{ResourceArn: arn, TagKeys: []string{k}})
		p.must("untag", err)
	}
	_, err := p.TagResource(ctx, &kafka.TagResourceInput{ResourceArn: arn, Tags: to.Tags})
	p.must("tag", err)
}

// read is resourceClusterRead.
func (p *mskProvider) read(arn *string) cluster {
	p.t.Helper()
	out, err := p.DescribeCluster(p.t.Context(), &kafka.DescribeClusterInput{ClusterArn: arn})
	p.must("describe", err)
	boot, err := p.GetBootstrapBrokers(p.t.Context(), &kafka.GetBootstrapBrokersInput{ClusterArn: arn})
	p.must("get bootstrap brokers", err)
	count := func(s *string) int {
		if s == nil {
			return 0
		}
		return 1 + strings.Count(*s, ",")
	}
	i := out.ClusterInfo
	return cluster{Name: *i.ClusterName, Version: *i.CurrentBrokerSoftwareInfo.KafkaVersion, Brokers: *i.NumberOfBrokerNodes,
		Instance: *i.BrokerNodeGroupInfo.InstanceType, Subnets: i.BrokerNodeGroupInfo.ClientSubnets,
		Volume:       *i.BrokerNodeGroupInfo.StorageInfo.EbsStorageInfo.VolumeSize,
		ClientBroker: i.EncryptionInfo.EncryptionInTransit.ClientBroker, Scram: *i.ClientAuthentication.Sasl.Scram.Enabled,
		IAM: *i.ClientAuthentication.Sasl.Iam.Enabled, Open: *i.ClientAuthentication.Unauthenticated.Enabled, Monitoring: i.EnhancedMonitoring,
		Configuration: *i.CurrentBrokerSoftwareInfo.ConfigurationArn, Revision: *i.CurrentBrokerSoftwareInfo.ConfigurationRevision,
		Plain: count(boot.BootstrapBrokerString), TLS: count(boot.BootstrapBrokerStringTls), SaslScram: count(boot.BootstrapBrokerStringSaslScram),
		SaslIAM: count(boot.BootstrapBrokerStringSaslIam), Tags: i.Tags}
}

// TestMSK: a configuration and a cluster are applied, changed in all that can be
// changed, and destroyed.
func TestMSK(t *testing.T) {
	p := newMSKProvider(t)
	ctx := t.Context()
	config, err := p.CreateConfiguration(ctx, &kafka.CreateConfigurationInput{Name: aws.String("small"), KafkaVersions: []string{"3.8.x"},
		ServerProperties: []byte("auto.create.topics.enable = true\ndelete.topic.enable = true\n")})
	p.must("create configuration", err)
	first := cluster{Name: "games", Version: "3.8.x", Brokers: 3, Instance: "kafka.m5.large", Subnets: []string{"subnet-1", "subnet-2", "subnet-3"},
		Volume: 100, ClientBroker: types.ClientBrokerTlsPlaintext, Open: true, Monitoring: types.EnhancedMonitoringDefault,
		Configuration: *config.Arn, Revision: 1, Plain: 3, TLS: 3, Tags: map[string]string{"team": "games"}}
	arn := p.create(first)
	if diff := cmp.Diff(first, p.read(arn)); diff != "" {
		t.Errorf("what is read is not what was applied:\n%s", diff)
	}
	revised, err := p.UpdateConfiguration(ctx, &kafka.UpdateConfigurationInput{Arn: config.Arn, Description: aws.String("more partitions"),
		ServerProperties: []byte("num.partitions = 6\n")})
	p.must("update configuration", err)
	second := first
	second.Version, second.Brokers, second.Instance, second.Volume = "3.9.x", 6, "kafka.m7g.large", 200
	second.ClientBroker, second.Scram, second.IAM, second.Open = types.ClientBrokerTls, true, true, false
	second.Monitoring, second.Revision = types.EnhancedMonitoringPerBroker, *revised.LatestRevision.Revision
	second.Plain, second.TLS, second.SaslScram, second.SaslIAM = 0, 0, 6, 6
	second.Tags = map[string]string{"stage": "live"}
	p.update(arn, first, second)
	if diff := cmp.Diff(second, p.read(arn)); diff != "" {
		t.Errorf("what is read is not what was applied:\n%s", diff)
	}
	third := second
	third.Revision = 1
	p.update(arn, second, third)
	if diff := cmp.Diff(third, p.read(arn)); diff != "" {
		t.Errorf("what is read is not what was applied:\n%s", diff)
	}

	_, err = p.DeleteCluster(ctx, &kafka.DeleteClusterInput{ClusterArn: arn})
	p.must("delete", err)
	p.wait("await the end", func(ctx context.Context) (bool, error) {
		_, err := p.DescribeCluster(ctx, &kafka.DescribeClusterInput{ClusterArn: arn})
		var gone *types.NotFoundException
		if errors.As(err, &gone) {
			return true, nil
		}
		return false, err
	})
	_, err = p.DeleteConfiguration(ctx, &kafka.DeleteConfigurationInput{Arn: config.Arn})
	p.must("delete configuration", err)
	_, err = p.DescribeConfiguration(ctx, &kafka.DescribeConfigurationInput{Arn: config.Arn})
	var bad *types.BadRequestException
	if !errors.As(err, &bad) || !strings.Contains(*bad.Message, "Configuration ARN does not exist") {
		t.Errorf("a configuration that is gone: %v", err)
	}
}

// TestMSKPolicy makes the calls of an aws_msk_cluster_policy, for the cluster that is
// there from the start.
func TestMSKPolicy(t *testing.T) {
	p := newMSKProvider(t)
	ctx := t.Context()
	list, err := p.ListClusters(ctx, &kafka.ListClustersInput{})
	p.must("list", err)
	arn := list.ClusterInfoList[0].ClusterArn
	text := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"kafka:DescribeCluster","Resource":"` + *arn + `"}]}`
	_, err = p.PutClusterPolicy(ctx, &kafka.PutClusterPolicyInput{ClusterArn: arn, Policy: &text})
	p.must("put", err)
	got, err := p.GetClusterPolicy(ctx, &kafka.GetClusterPolicyInput{ClusterArn: arn})
	p.must("get", err)
	if *got.Policy != text || *got.CurrentVersion == "" {
		t.Errorf("%s is not what was put", *got.Policy)
	}
	_, err = p.DeleteClusterPolicy(ctx, &kafka.DeleteClusterPolicyInput{ClusterArn: arn})
	p.must("delete", err)
	_, err = p.GetClusterPolicy(ctx, &kafka.GetClusterPolicyInput{ClusterArn: arn})
	var gone *types.NotFoundException
	if !errors.As(err, &gone) {
		t.Errorf("a policy that is gone: %v", err)
	}
}
