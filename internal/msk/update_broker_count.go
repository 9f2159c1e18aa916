package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
	"thalweg/internal/opt"
)

// UpdateBrokerCount
//
// Gives a cluster more brokers, or fewer. The ports of those that it keeps stay. All
// share one log: nothing moves, and what a broker led another leads. The cluster is
// UPDATING meanwhile, and its clients connect anew.
//
// Errors: NotFound; BadRequest for another version, while the cluster is not ACTIVE,
// for the default cluster (--kafka-brokers), a number that it has, and when ports are
// used up.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-nodes-count.html
//
// Status: done
func (d *Door) UpdateBrokerCount(ctx context.Context, in *model.UpdateBrokerCountInput) (*model.UpdateBrokerCountOutput, error) {
	n := in.TargetNumberOfBrokerNodes.V
	kind := "INCREASE_BROKER_COUNT"
	if r, err := d.cluster(in.ClusterArn); err == nil && int(n) < r.Cluster.Brokers {
		kind = "DECREASE_BROKER_COUNT"
	}
	cluster, operation, err := d.update(ctx, change{cluster: in.ClusterArn, version: in.CurrentVersion, kind: kind,
		do: func(_ *catalog.Tx, r *catalog.Resource, p *model.Provisioned, source, target *model.MutableClusterInfo) error {
			if int(n) == r.Cluster.Brokers {
				return unchanged("targetNumberOfBrokerNodes")
			}
			source.NumberOfBrokerNodes, target.NumberOfBrokerNodes = opt.Of(int32(r.Cluster.Brokers)), opt.Of(n)
			p.NumberOfBrokerNodes = opt.Of(n)
			return d.clusters.SetBrokers(r, int(n))
		}})
	if err != nil {
		return nil, err
	}
	return &model.UpdateBrokerCountOutput{ClusterArn: cluster, ClusterOperationArn: operation}, nil
}

// unchanged is the error for an update that asks for what there is.
func unchanged(member string) error {
	return invalid(member, "The request does not include any updates to the cluster. Verify the request, then try again.")
}
