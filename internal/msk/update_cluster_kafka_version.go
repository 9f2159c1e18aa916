package msk

import (
	"context"
	"slices"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
)

// UpdateClusterKafkaVersion
//
// Has a cluster be of a newer version of Kafka, and with a configuration have that:
// clients are shown the APIs of that version from then on. The cluster is UPDATING
// meanwhile, and its clients connect anew.
//
// Errors: NotFound; BadRequest for another version of the cluster, while it is not
// ACTIVE, for the default cluster, and a version of Kafka that is not newer or not
// known.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-version.html
//
// Status: done
func (d *Door) UpdateClusterKafkaVersion(ctx context.Context, in *model.UpdateClusterKafkaVersionInput) (*model.UpdateClusterKafkaVersionOutput, error) {
	if err := checkVersion(in.TargetKafkaVersion.V, "targetKafkaVersion"); err != nil {
		return nil, err
	}
	cluster, operation, err := d.update(ctx, change{cluster: in.ClusterArn, version: in.CurrentVersion, kind: "UPDATE_CLUSTER_KAFKA_VERSION",
		do: func(tx *catalog.Tx, r *catalog.Resource, _ *model.Provisioned, source, target *model.MutableClusterInfo) error {
			if err := ofTheServer(r); err != nil {
				return err
			}
			have := software(r.Cluster).KafkaVersion
			if !slices.Contains(newer(have.V), in.TargetKafkaVersion.V) {
				return invalid("targetKafkaVersion", "The cluster cannot be updated from "+have.V+" to "+in.TargetKafkaVersion.V+".")
			}
			source.KafkaVersion, source.ConfigurationInfo = have, configurationInfo(r.Cluster)
			if in.ConfigurationInfo != nil {
				if err := d.apply(tx, r, in.ConfigurationInfo); err != nil {
					return err
				}
			}
			r.Cluster.KafkaVersion = in.TargetKafkaVersion.V
			target.KafkaVersion, target.ConfigurationInfo = in.TargetKafkaVersion, configurationInfo(r.Cluster)
			return nil
		}})
	if err != nil {
		return nil, err
	}
	return &model.UpdateClusterKafkaVersionOutput{ClusterArn: cluster, ClusterOperationArn: operation}, nil
}
