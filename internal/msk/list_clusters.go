package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
)

// ListClusters
//
// Lists the caller's clusters with brokers by name, those whose names begin with
// ClusterNameFilter, at most 100 an answer (MaxResults).
//
// Errors: BadRequest for a token that is none.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters.html
//
// Status: done
// Deviation: ClusterInfo has no ZooKeeper: there is none
func (d *Door) ListClusters(ctx context.Context, in *model.ListClustersInput) (*model.ListClustersOutput, error) {
	after, err := afterToken(in.NextToken)
	if err != nil {
		return nil, err
	}
	page, more := d.clusters.List(caller(ctx), in.ClusterNameFilter.V, after, limitOf(in.MaxResults), func(r *catalog.Resource) bool {
		return !r.Cluster.Serverless
	})
	if err := room(ctx, page...); err != nil {
		return nil, err
	}
	out := &model.ListClustersOutput{ClusterInfoList: []model.ClusterInfo{}}
	for _, r := range page {
		out.ClusterInfoList = append(out.ClusterInfoList, d.clusterInfo(r))
		out.NextToken = tokenOf(r.Name, more)
	}
	return out, nil
}
