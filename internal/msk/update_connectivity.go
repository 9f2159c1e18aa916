package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
)

// UpdateConnectivity
//
// Changes from which networks of AWS a cluster is told to be reached. It is kept, and
// changes nothing: brokers listen where --listen-kafka says.
//
// Errors: NotFound; BadRequest for another version, while the cluster is not ACTIVE,
// and for the default cluster, and for
// access to ZooKeeper: there is none.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-connectivity.html
//
// Status: partial: what is asked for is told, and changes nothing
func (d *Door) UpdateConnectivity(ctx context.Context, in *model.UpdateConnectivityInput) (*model.UpdateConnectivityOutput, error) {
	cluster, operation, err := d.update(ctx, change{cluster: in.ClusterArn, version: in.CurrentVersion, kind: "UPDATE_CONNECTIVITY",
		do: func(_ *catalog.Tx, r *catalog.Resource, p *model.Provisioned, source, target *model.MutableClusterInfo) error {
			if err := ofTheServer(r); err != nil {
				return err
			}
			if in.ZookeeperAccess != nil {
				return invalid("zookeeperAccess", "The cluster has no ZooKeeper.")
			}
			source.ConnectivityInfo, target.ConnectivityInfo = p.BrokerNodeGroupInfo.ConnectivityInfo, in.ConnectivityInfo
			p.BrokerNodeGroupInfo.ConnectivityInfo = in.ConnectivityInfo
			return nil
		}})
	if err != nil {
		return nil, err
	}
	return &model.UpdateConnectivityOutput{ClusterArn: cluster, ClusterOperationArn: operation}, nil
}
