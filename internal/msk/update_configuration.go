package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// UpdateConfiguration
//
// Gives a configuration one more revision. Clusters go on with the one that they
// have until UpdateClusterConfiguration.
//
// Errors: BadRequest for a configuration that there is not, and for what
// CreateConfiguration refuses.
// https://docs.aws.amazon.com/msk/1.0/apireference/configurations-arn.html
//
// Status: done
func (d *Door) UpdateConfiguration(ctx context.Context, in *model.UpdateConfigurationInput) (*model.UpdateConfigurationOutput, error) {
	r, err := d.configuration(in.Arn, "arn")
	if err != nil {
		return nil, err
	}
	if r, err = d.clusters.Revise(ctx, r, in.Description.V, string(in.ServerProperties)); err != nil {
		return nil, wireError(err)
	}
	return &model.UpdateConfigurationOutput{Arn: opt.Of(r.ARN), LatestRevision: latest(r)}, nil
}
