package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/errs"
	"thalweg/internal/opt"
)

// BatchAssociateScramSecret
//
// Makes users of a cluster of secrets, which they prove themselves with by
// SCRAM-SHA-512 from then on. There is no AWS Secrets Manager: a secret is a file in
// the directory of --kafka-secrets, whose name is the secret's (with the six letters
// at the end of its ARN or without them, AmazonMSK_ before), and whose text is
// {"username": "...", "password": "..."}. Another account's than --account are in a
// directory there with the account's name. It is read once, here: associate it again
// after it has changed.
//
// Errors: NotFound; BadRequest for a cluster without brokers, and more than 10 secrets. What is wrong with one
// secret is in UnprocessedScramSecrets; the others are done.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-scram-secrets.html
//
// Status: done
// Deviation: a change of a secret is seen when it is associated again
func (d *Door) BatchAssociateScramSecret(ctx context.Context, in *model.BatchAssociateScramSecretInput) (*model.BatchAssociateScramSecretOutput, error) {
	r, err := d.cluster(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	if r.Cluster.Serverless {
		return nil, invalid("clusterArn", "This operation cannot be performed on serverless clusters.")
	}
	if err := checkSecrets(in.SecretArnList); err != nil {
		return nil, err
	}
	out := &model.BatchAssociateScramSecretOutput{ClusterArn: opt.Of(r.ARN), UnprocessedScramSecrets: []model.UnprocessedScramSecret{}}
	for _, secret := range in.SecretArnList {
		if err := d.clusters.Associate(ctx, r, secret); err != nil {
			out.UnprocessedScramSecrets = append(out.UnprocessedScramSecrets, unprocessed(secret, err))
			continue
		}
		if r, err = d.cluster(in.ClusterArn); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checkSecrets refuses more secrets than one request can be about.
func checkSecrets(list []string) error {
	if len(list) == 0 || len(list) > 10 {
		return invalid("secretArnList", "A request is about 1 to 10 secrets.")
	}
	return nil
}

// unprocessed is a secret that nothing was done with, and why.
func unprocessed(secret string, err error) model.UnprocessedScramSecret {
	code := "InternalError"
	switch errs.KindOf(err) {
	case errs.NotFound:
		code = "NotFound"
	case errs.Invalid, errs.LimitExceeded, errs.InUse:
		code = "BadRequest"
	}
	return model.UnprocessedScramSecret{ErrorCode: opt.Of(code), ErrorMessage: opt.Of(message(err)), SecretArn: opt.Of(secret)}
}
