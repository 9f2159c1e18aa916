package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
	"thalweg/internal/opt"
)

// UpdateClusterConfiguration
//
// Sets the brokers of a cluster to what a revision of a configuration says, with the
// defaults for what it does not say. It holds at once, for topics that there are
// already too, and no broker is restarted.
//
// Errors: NotFound; BadRequest for another version, while the cluster is not ACTIVE,
// and for a configuration that there is not, or of another account or region.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-configuration.html
//
// Status: done
func (d *Door) UpdateClusterConfiguration(ctx context.Context, in *model.UpdateClusterConfigurationInput) (*model.UpdateClusterConfigurationOutput, error) {
	cluster, operation, err := d.update(ctx, change{cluster: in.ClusterArn, version: in.CurrentVersion, kind: "UPDATE_CLUSTER_CONFIGURATION",
		do: func(tx *catalog.Tx, r *catalog.Resource, _ *model.Provisioned, source, target *model.MutableClusterInfo) error {
			source.ConfigurationInfo = configurationInfo(r.Cluster)
			if err := d.apply(tx, r, in.ConfigurationInfo); err != nil {
				return err
			}
			target.ConfigurationInfo = configurationInfo(r.Cluster)
			return nil
		}})
	if err != nil {
		return nil, err
	}
	return &model.UpdateClusterConfigurationOutput{ClusterArn: cluster, ClusterOperationArn: operation}, nil
}

// configurationInfo is the configuration that a cluster has.
func configurationInfo(c *catalog.Cluster) *model.ConfigurationInfo {
	if c.Configuration == "" {
		return nil
	}
	return &model.ConfigurationInfo{Arn: opt.Of(c.Configuration), Revision: opt.Of(c.ConfigurationRevision)}
}

// apply gives a cluster the configuration that a request names.
func (d *Door) apply(tx *catalog.Tx, r *catalog.Resource, in *model.ConfigurationInfo) error {
	of, err := d.configuration(in.Arn, "configurationInfo.arn")
	if err != nil {
		return err
	}
	return d.clusters.Apply(tx, r, of, in.Revision.V)
}
