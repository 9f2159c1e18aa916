package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
)

// DescribeClusterV2
//
// Tells of a cluster of either type.
//
// Errors: NotFound.
// https://docs.aws.amazon.com/MSK/2.0/APIReference/v2-clusters-clusterarn.html
//
// Status: done
func (d *Door) DescribeClusterV2(_ context.Context, in *model.DescribeClusterV2Input) (*model.DescribeClusterV2Output, error) {
	r, err := d.cluster(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	c := d.clusterV2(r)
	return &model.DescribeClusterV2Output{ClusterInfo: &c}, nil
}
