package msk

import (
	"context"
	"slices"

	model "thalweg/internal/awsapi/model/kafka"
)

// ListScramSecrets
//
// Lists the ARNs of the secrets that users of a cluster were made of, at most 100 an
// answer (MaxResults).
//
// Errors: NotFound; BadRequest for a token that is none.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-scram-secrets.html
//
// Status: done
func (d *Door) ListScramSecrets(_ context.Context, in *model.ListScramSecretsInput) (*model.ListScramSecretsOutput, error) {
	r, err := d.cluster(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	all := []string{}
	for _, s := range r.Cluster.Secrets {
		all = append(all, s.ARN)
	}
	slices.Sort(all)
	page, token, err := pageOf(all, in.NextToken, in.MaxResults, func(arn string) string { return arn })
	if err != nil {
		return nil, err
	}
	return &model.ListScramSecretsOutput{NextToken: token, SecretArnList: page}, nil
}
