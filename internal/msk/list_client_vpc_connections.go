package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
)

// ListClientVpcConnections
//
// Lists the VPC connections to a cluster: none, since CreateVpcConnection is refused.
//
// Errors: NotFound.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-client-vpc-connections.html
//
// Status: partial: there are none
func (d *Door) ListClientVpcConnections(_ context.Context, in *model.ListClientVpcConnectionsInput) (*model.ListClientVpcConnectionsOutput, error) {
	if _, err := d.cluster(in.ClusterArn); err != nil {
		return nil, err
	}
	return &model.ListClientVpcConnectionsOutput{ClientVpcConnections: []model.ClientVpcConnection{}}, nil
}
