package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// ListClusterOperationsV2
//
// Lists the operations of a cluster, as ListClusterOperations does.
//
// Errors: NotFound; BadRequest for a token that is none.
// https://docs.aws.amazon.com/MSK/2.0/APIReference/v2-clusters-clusterarn-operations.html
//
// Status: done
func (d *Door) ListClusterOperationsV2(ctx context.Context, in *model.ListClusterOperationsV2Input) (*model.ListClusterOperationsV2Output, error) {
	r, err := d.cluster(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	page, token, err := operationsPage(ctx, r, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &model.ListClusterOperationsV2Output{NextToken: token, ClusterOperationInfoList: []model.ClusterOperationV2Summary{}}
	for _, o := range page {
		i := operationInfo(r, o)
		out.ClusterOperationInfoList = append(out.ClusterOperationInfoList, model.ClusterOperationV2Summary{
			ClusterArn: i.ClusterArn, ClusterType: opt.Of(typeOf(r)), EndTime: i.EndTime, OperationArn: i.OperationArn,
			OperationState: i.OperationState, OperationType: i.OperationType, StartTime: i.CreationTime})
	}
	return out, nil
}
