package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// DescribeClusterOperation
//
// Tells of an operation: UPDATE_IN_PROGRESS, then UPDATE_COMPLETE, or UPDATE_FAILED
// when the cluster cannot listen as it was asked to. The last 20 of a cluster are
// remembered.
//
// Errors: NotFound.
// https://docs.aws.amazon.com/msk/1.0/apireference/operations-clusteroperationarn.html
//
// Status: done
func (d *Door) DescribeClusterOperation(_ context.Context, in *model.DescribeClusterOperationInput) (*model.DescribeClusterOperationOutput, error) {
	r, o, err := d.operation(in.ClusterOperationArn)
	if err != nil {
		return nil, err
	}
	info := operationInfo(r, o)
	return &model.DescribeClusterOperationOutput{ClusterOperationInfo: &info}, nil
}

// operationV2 is an operation in the newer shape.
func operationV2(in model.ClusterOperationInfo, kind model.ClusterType) *model.ClusterOperationV2 {
	return &model.ClusterOperationV2{
		ClusterArn: in.ClusterArn, ClusterType: opt.Of(kind), EndTime: in.EndTime, ErrorInfo: in.ErrorInfo, OperationArn: in.OperationArn,
		OperationState: in.OperationState, OperationType: in.OperationType, StartTime: in.CreationTime,
		Provisioned: &model.ClusterOperationV2Provisioned{OperationSteps: in.OperationSteps, SourceClusterInfo: in.SourceClusterInfo,
			TargetClusterInfo: in.TargetClusterInfo},
	}
}
