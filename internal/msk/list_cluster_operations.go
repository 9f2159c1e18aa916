package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
)

// ListClusterOperations
//
// Lists the operations of a cluster, the newest first: the last 20, at most
// MaxResults an answer.
//
// Errors: NotFound; BadRequest for a token that is none.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-operations.html
//
// Status: done
func (d *Door) ListClusterOperations(ctx context.Context, in *model.ListClusterOperationsInput) (*model.ListClusterOperationsOutput, error) {
	r, err := d.cluster(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	page, token, err := operationsPage(ctx, r, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &model.ListClusterOperationsOutput{NextToken: token, ClusterOperationInfoList: []model.ClusterOperationInfo{}}
	for _, o := range page {
		out.ClusterOperationInfoList = append(out.ClusterOperationInfoList, operationInfo(r, o))
	}
	return out, nil
}
