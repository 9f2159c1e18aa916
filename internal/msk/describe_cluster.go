package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
)

// DescribeCluster
//
// Tells of a cluster with brokers. A cluster that cannot listen is FAILED, with
// StateInfo, until it can.
//
// Errors: NotFound; BadRequest for a cluster without brokers, which DescribeClusterV2
// tells of.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn.html
//
// Status: done
// Deviation: ClusterInfo has no ZooKeeper: there is none
func (d *Door) DescribeCluster(_ context.Context, in *model.DescribeClusterInput) (*model.DescribeClusterOutput, error) {
	r, err := d.cluster(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	if r.Cluster.Serverless {
		return nil, invalid("clusterArn", "This operation cannot be performed on serverless clusters.")
	}
	info := d.clusterInfo(r)
	return &model.DescribeClusterOutput{ClusterInfo: &info}, nil
}
