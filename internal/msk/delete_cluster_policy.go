package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
)

// DeleteClusterPolicy
//
// Takes the policy off a cluster.
//
// Errors: NotFound, for a cluster without a policy too.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-policy.html
//
// Status: done
func (d *Door) DeleteClusterPolicy(ctx context.Context, in *model.DeleteClusterPolicyInput) (*model.DeleteClusterPolicyOutput, error) {
	r, err := d.cluster(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.clusters.DeletePolicy(ctx, r))
}
