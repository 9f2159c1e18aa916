package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/clusters"
	"thalweg/internal/opt"
)

// GetClusterPolicy
//
// Tells the policy of a cluster as it was given, with its version.
//
// Errors: NotFound, for a cluster without a policy too.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-policy.html
//
// Status: done
func (d *Door) GetClusterPolicy(_ context.Context, in *model.GetClusterPolicyInput) (*model.GetClusterPolicyOutput, error) {
	r, err := d.cluster(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	if r.Policy == "" {
		return nil, wireError(clusters.ErrNoPolicy)
	}
	return &model.GetClusterPolicyOutput{CurrentVersion: opt.Of(clusters.PolicyVersion(r)), Policy: opt.Of(r.Policy)}, nil
}
