package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
	"thalweg/internal/clusters"
	"thalweg/internal/opt"
)

// CreateClusterV2
//
// Makes a cluster as CreateCluster does, or one without brokers that anybody counts
// (serverless): it has one, and lets clients in by IAM only.
//
// Errors: those of CreateCluster; BadRequest for neither or both types, and for a
// serverless cluster without IAM.
// https://docs.aws.amazon.com/MSK/2.0/APIReference/v2-clusters.html
//
// Status: done
// Deviation: a serverless cluster has the limits of the server, not those of MSK Serverless
func (d *Door) CreateClusterV2(ctx context.Context, in *model.CreateClusterV2Input) (*model.CreateClusterV2Output, error) {
	var r *catalog.Resource
	var err error
	switch {
	case (in.Provisioned == nil) == (in.Serverless == nil):
		return nil, model.NewBadRequestException("Exactly one of provisioned and serverless must be given.")
	case in.Serverless != nil:
		r, err = d.createServerless(ctx, in)
	default:
		r, err = d.createProvisioned(ctx, in.ClusterName.V, in.Tags, in.Provisioned)
	}
	if err != nil {
		return nil, err
	}
	return &model.CreateClusterV2Output{ClusterArn: opt.Of(r.ARN), ClusterName: opt.Of(r.Name), ClusterType: opt.Of(typeOf(r)),
		State: opt.Of(model.ClusterStateCreating)}, nil
}

func (d *Door) createProvisioned(ctx context.Context, name string, tags map[string]string, in *model.ProvisionedRequest) (*catalog.Resource, error) {
	if err := checkVersion(in.KafkaVersion.V, "kafkaVersion"); err != nil {
		return nil, err
	}
	kinds, err := kindsOf(in.ClientAuthentication, in.EncryptionInfo)
	if err != nil {
		return nil, err
	}
	kept := &model.Provisioned{
		BrokerNodeGroupInfo: in.BrokerNodeGroupInfo, ClientAuthentication: in.ClientAuthentication, EncryptionInfo: encryption(in.EncryptionInfo),
		EnhancedMonitoring: opt.Of(in.EnhancedMonitoring.Or(model.EnhancedMonitoringDefault)), LoggingInfo: in.LoggingInfo,
		OpenMonitoring: in.OpenMonitoring, Rebalancing: in.Rebalancing, StorageMode: opt.Of(in.StorageMode.Or(model.StorageModeLocal)),
	}
	n := clusters.NewCluster{Scope: caller(ctx), Name: name, Brokers: int(in.NumberOfBrokerNodes.V), Kinds: kinds,
		KafkaVersion: in.KafkaVersion.V, Tags: tags, Shape: shape(kept)}
	if c := in.ConfigurationInfo; c != nil {
		if n.Configuration, err = d.configuration(c.Arn, "configurationInfo.arn"); err != nil {
			return nil, err
		}
		n.Revision = c.Revision.V
	}
	r, err := d.clusters.Create(ctx, n)
	return r, wireError(err)
}

func (d *Door) createServerless(ctx context.Context, in *model.CreateClusterV2Input) (*catalog.Resource, error) {
	if a := in.Serverless.ClientAuthentication; a == nil || a.Sasl == nil || a.Sasl.Iam == nil || !a.Sasl.Iam.Enabled.V {
		return nil, invalid("clientAuthentication", "A serverless cluster needs IAM: set sasl.iam.enabled.")
	}
	kept := &model.Serverless{ClientAuthentication: in.Serverless.ClientAuthentication, VpcConfigs: in.Serverless.VpcConfigs}
	r, err := d.clusters.Create(ctx, clusters.NewCluster{Scope: caller(ctx), Name: in.ClusterName.V, Serverless: true, Brokers: 1,
		Kinds: []clusters.Kind{clusters.IAM}, Tags: in.Tags, Shape: shape(kept)})
	return r, wireError(err)
}

// encryption is what was asked for with the defaults filled in.
func encryption(in *model.EncryptionInfo) *model.EncryptionInfo {
	out := &model.EncryptionInfo{}
	if in != nil {
		*out = *in
	}
	between := &model.EncryptionInTransit{ClientBroker: opt.Of(model.ClientBrokerTls), InCluster: opt.Of(true)}
	if t := out.EncryptionInTransit; t != nil {
		between.ClientBroker = opt.Of(t.ClientBroker.Or(model.ClientBrokerTls))
		between.InCluster = opt.Of(t.InCluster.Or(true))
	}
	out.EncryptionInTransit = between
	return out
}
