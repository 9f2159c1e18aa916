package msk

import (
	"context"
	"strings"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
)

// ListClustersV2
//
// Lists the caller's clusters of both types by name, those whose names begin with
// ClusterNameFilter and whose type is ClusterTypeFilter, at most 100 an answer
// (MaxResults).
//
// Errors: BadRequest for a token that is none, and a type that there is not.
// https://docs.aws.amazon.com/MSK/2.0/APIReference/v2-clusters.html
//
// Status: done
func (d *Door) ListClustersV2(ctx context.Context, in *model.ListClustersV2Input) (*model.ListClustersV2Output, error) {
	after, err := afterToken(in.NextToken)
	if err != nil {
		return nil, err
	}
	want := model.ClusterType(strings.ToUpper(in.ClusterTypeFilter.V))
	switch want {
	case "", model.ClusterTypeProvisioned, model.ClusterTypeServerless:
	default:
		return nil, invalid("clusterTypeFilter", "The cluster type "+in.ClusterTypeFilter.V+" is not valid. Valid values: [PROVISIONED, SERVERLESS]")
	}
	page, more := d.clusters.List(caller(ctx), in.ClusterNameFilter.V, after, limitOf(in.MaxResults), func(r *catalog.Resource) bool {
		return want == "" || typeOf(r) == want
	})
	if err := room(ctx, page...); err != nil {
		return nil, err
	}
	out := &model.ListClustersV2Output{ClusterInfoList: []model.Cluster{}}
	for _, r := range page {
		out.ClusterInfoList = append(out.ClusterInfoList, d.clusterV2(r))
		out.NextToken = tokenOf(r.Name, more)
	}
	return out, nil
}
