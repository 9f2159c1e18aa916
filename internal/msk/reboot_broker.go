package msk

import (
	"context"
	"strconv"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
)

// RebootBroker
//
// Ends the connections to one broker once the requests under way on them are
// answered; clients find out and come back. The cluster is REBOOTING_BROKER
// meanwhile.
//
// Errors: NotFound; BadRequest while the cluster is not ACTIVE, for a broker that
// there is not, and for more than one.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-reboot-broker.html
//
// Status: partial: the broker listens on meanwhile, and leaders and their epochs stay: an epoch is the whole log's, of all clusters, and what it tells, that another may have written meanwhile, has not happened
func (d *Door) RebootBroker(ctx context.Context, in *model.RebootBrokerInput) (*model.RebootBrokerOutput, error) {
	if len(in.BrokerIds) != 1 {
		return nil, invalid("brokerIds", "Exactly one broker can be rebooted at a time.")
	}
	id, err := strconv.ParseInt(in.BrokerIds[0], 10, 32)
	if err != nil {
		return nil, invalid("brokerIds", "The broker id "+in.BrokerIds[0]+" is not valid.")
	}
	cluster, operation, err := d.update(ctx, change{cluster: in.ClusterArn, kind: "REBOOT_NODE", state: catalog.Rebooting, brokers: []int32{int32(id)},
		do: func(_ *catalog.Tx, r *catalog.Resource, _ *model.Provisioned, _, _ *model.MutableClusterInfo) error {
			if id < 1 || int(id) > r.Cluster.Brokers {
				return invalid("brokerIds", "The broker id "+in.BrokerIds[0]+" is not valid.")
			}
			return nil
		}})
	if err != nil {
		return nil, err
	}
	return &model.RebootBrokerOutput{ClusterArn: cluster, ClusterOperationArn: operation}, nil
}
