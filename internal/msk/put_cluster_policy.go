package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/clusters"
	"thalweg/internal/identity/policy"
	"thalweg/internal/opt"
)

// PutClusterPolicy
//
// Attaches a policy to a cluster, in place of the one it has, for requests from then
// on: those of this API about the cluster (kafka:), and those of Kafka clients with
// an access key about it, its topics, groups and transactional ids (kafka-cluster:).
// What a policy may say is in docs/adr/0032; one that says anything else is refused.
// Only the owner's account may do this, and its root user whatever the policy says.
//
// Errors: NotFound; BadRequest for a policy that cannot be read or is beyond 20 KB,
// and for another version of it.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-policy.html
//
// Status: done
// Deviation: a policy with an element, operator or condition key that this server cannot decide by is refused
func (d *Door) PutClusterPolicy(ctx context.Context, in *model.PutClusterPolicyInput) (*model.PutClusterPolicyOutput, error) {
	r, err := d.cluster(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	if _, err := policy.Parse(in.Policy.V); err != nil {
		return nil, wireError(err)
	}
	if err := d.clusters.SetPolicy(ctx, r, in.CurrentVersion.V, in.Policy.V); err != nil {
		return nil, wireError(err)
	}
	if r, err = d.cluster(in.ClusterArn); err != nil {
		return nil, err
	}
	return &model.PutClusterPolicyOutput{CurrentVersion: opt.Of(clusters.PolicyVersion(r))}, nil
}
