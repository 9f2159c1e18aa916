package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
)

// DescribeClusterOperationV2
//
// Tells of an operation, as DescribeClusterOperation does.
//
// Errors: NotFound.
// https://docs.aws.amazon.com/MSK/2.0/APIReference/v2-operations-clusteroperationarn.html
//
// Status: done
func (d *Door) DescribeClusterOperationV2(_ context.Context, in *model.DescribeClusterOperationV2Input) (*model.DescribeClusterOperationV2Output, error) {
	r, o, err := d.operation(in.ClusterOperationArn)
	if err != nil {
		return nil, err
	}
	return &model.DescribeClusterOperationV2Output{ClusterOperationInfo: operationV2(operationInfo(r, o), typeOf(r))}, nil
}
