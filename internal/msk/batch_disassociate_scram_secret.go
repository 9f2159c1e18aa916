package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// BatchDisassociateScramSecret
//
// Forgets the users that were made of secrets. Connections that they have stay until
// they have to prove themselves again (--kafka-max-reauth).
//
// Errors: NotFound; BadRequest for more than 10 secrets. What is wrong with one secret is in UnprocessedScramSecrets; the
// others are done.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-scram-secrets.html
//
// Status: done
func (d *Door) BatchDisassociateScramSecret(ctx context.Context, in *model.BatchDisassociateScramSecretInput) (*model.BatchDisassociateScramSecretOutput, error) {
	r, err := d.cluster(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	if err := checkSecrets(in.SecretArnList); err != nil {
		return nil, err
	}
	out := &model.BatchDisassociateScramSecretOutput{ClusterArn: opt.Of(r.ARN), UnprocessedScramSecrets: []model.UnprocessedScramSecret{}}
	for _, secret := range in.SecretArnList {
		if err := d.clusters.Disassociate(ctx, r, secret); err != nil {
			out.UnprocessedScramSecrets = append(out.UnprocessedScramSecrets, unprocessed(secret, err))
		}
	}
	return out, nil
}
