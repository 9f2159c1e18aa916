package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// CreateCluster
//
// Makes a cluster with topics, groups, producers, users and ACLs of its own. It is
// CREATING first, then ACTIVE. Each of its brokers listens on a port for each kind
// of client that is let in: PLAINTEXT and TLS without authentication, or TLS with
// certificates; SCRAM; IAM. The ports are of --kafka-ports, else free ones, and stay
// its own. All brokers are this process and share one log, so that a replication
// factor stores one copy.
// A configuration holds from the first moment on; without one Amazon MSK's defaults
// do: auto.create.topics.enable is false, default.replication.factor 3, or as many as
// there are brokers.
//
// Kept and told, without an effect here: what BrokerNodeGroupInfo says of instances,
// networks, zones and storage, EncryptionAtRest, InCluster, EnhancedMonitoring,
// LoggingInfo, OpenMonitoring (GET /metrics is always there), Rebalancing,
// StorageMode.
//
// Errors: Conflict for a name that is taken; BadRequest for certificates of clients
// (tls) without --kafka-client-ca or beside unauthenticated access, a version that is
// not in ListKafkaVersions, authentication without TLS, a configuration that there is
// not, listeners that the server may not open, and when ports or room for clusters are
// used up; NotFound for a configuration's revision.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters.html
//
// Status: done
// Deviation: certificates of clients are those of --kafka-client-ca's authorities, whatever CertificateAuthorityArnList says
// Deviation: a cluster has as many brokers as are asked for, whatever the number of subnets
// Deviation: the topics of a cluster that was made are no Kinesis data streams
func (d *Door) CreateCluster(ctx context.Context, in *model.CreateClusterInput) (*model.CreateClusterOutput, error) {
	r, err := d.createProvisioned(ctx, in.ClusterName.V, in.Tags, &model.ProvisionedRequest{
		BrokerNodeGroupInfo: in.BrokerNodeGroupInfo, ClientAuthentication: in.ClientAuthentication, ConfigurationInfo: in.ConfigurationInfo,
		EncryptionInfo: in.EncryptionInfo, EnhancedMonitoring: in.EnhancedMonitoring, KafkaVersion: in.KafkaVersion, LoggingInfo: in.LoggingInfo,
		NumberOfBrokerNodes: in.NumberOfBrokerNodes, OpenMonitoring: in.OpenMonitoring, Rebalancing: in.Rebalancing, StorageMode: in.StorageMode,
	})
	if err != nil {
		return nil, err
	}
	return &model.CreateClusterOutput{ClusterArn: opt.Of(r.ARN), ClusterName: opt.Of(r.Name), State: opt.Of(model.ClusterStateCreating)}, nil
}
