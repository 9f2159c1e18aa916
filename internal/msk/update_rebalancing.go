package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
)

// UpdateRebalancing
//
// Turns intelligent rebalancing on or off. It is kept, and changes nothing: leaders
// are spread evenly over the brokers in any case.
//
// Errors: NotFound; BadRequest for another version, while the cluster is not ACTIVE,
// and for the default cluster.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-rebalancing.html
//
// Status: partial: it is told, and changes nothing
func (d *Door) UpdateRebalancing(ctx context.Context, in *model.UpdateRebalancingInput) (*model.UpdateRebalancingOutput, error) {
	cluster, operation, err := d.update(ctx, change{cluster: in.ClusterArn, version: in.CurrentVersion, kind: "UPDATE_REBALANCING",
		do: func(_ *catalog.Tx, r *catalog.Resource, p *model.Provisioned, source, target *model.MutableClusterInfo) error {
			if err := ofTheServer(r); err != nil {
				return err
			}
			source.Rebalancing, target.Rebalancing = p.Rebalancing, in.Rebalancing
			p.Rebalancing = in.Rebalancing
			return nil
		}})
	if err != nil {
		return nil, err
	}
	return &model.UpdateRebalancingOutput{ClusterArn: cluster, ClusterOperationArn: operation}, nil
}
