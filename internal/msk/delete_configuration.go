package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// DeleteConfiguration
//
// Removes a configuration with all its revisions, at once.
//
// Errors: BadRequest for one that there is not, or that a cluster has.
// https://docs.aws.amazon.com/msk/1.0/apireference/configurations-arn.html
//
// Status: done
func (d *Door) DeleteConfiguration(ctx context.Context, in *model.DeleteConfigurationInput) (*model.DeleteConfigurationOutput, error) {
	r, err := d.configuration(in.Arn, "arn")
	if err != nil {
		return nil, err
	}
	if err := d.clusters.DeleteConfiguration(ctx, r); err != nil {
		return nil, wireError(err)
	}
	return &model.DeleteConfigurationOutput{Arn: opt.Of(r.ARN), State: opt.Of(model.ConfigurationStateDeleting)}, nil
}
