package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
)

// ListVpcConnections
//
// Lists the caller's VPC connections: none, since CreateVpcConnection is refused.
// https://docs.aws.amazon.com/msk/1.0/apireference/vpc-connections.html
//
// Status: partial: there are none
func (d *Door) ListVpcConnections(_ context.Context, _ *model.ListVpcConnectionsInput) (*model.ListVpcConnectionsOutput, error) {
	return &model.ListVpcConnectionsOutput{VpcConnections: []model.VpcConnection{}}, nil
}
