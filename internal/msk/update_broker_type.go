package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
)

// UpdateBrokerType
//
// Has the brokers of a cluster be told as of another instance type. It is kept, and
// changes nothing: brokers share the machine.
//
// Errors: NotFound; BadRequest for another version, while the cluster is not ACTIVE,
// and for the default cluster.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-nodes-type.html
//
// Status: partial: the instance type is told, and changes nothing
func (d *Door) UpdateBrokerType(ctx context.Context, in *model.UpdateBrokerTypeInput) (*model.UpdateBrokerTypeOutput, error) {
	cluster, operation, err := d.update(ctx, change{cluster: in.ClusterArn, version: in.CurrentVersion, kind: "UPDATE_BROKER_TYPE",
		do: func(_ *catalog.Tx, r *catalog.Resource, p *model.Provisioned, source, target *model.MutableClusterInfo) error {
			if err := ofTheServer(r); err != nil {
				return err
			}
			source.InstanceType, target.InstanceType = p.BrokerNodeGroupInfo.InstanceType, in.TargetInstanceType
			p.BrokerNodeGroupInfo.InstanceType = in.TargetInstanceType
			return nil
		}})
	if err != nil {
		return nil, err
	}
	return &model.UpdateBrokerTypeOutput{ClusterArn: cluster, ClusterOperationArn: operation}, nil
}
