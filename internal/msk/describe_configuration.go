package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// DescribeConfiguration
//
// Tells of a configuration and its latest revision.
//
// Errors: BadRequest for one that there is not.
// https://docs.aws.amazon.com/msk/1.0/apireference/configurations-arn.html
//
// Status: done
func (d *Door) DescribeConfiguration(_ context.Context, in *model.DescribeConfigurationInput) (*model.DescribeConfigurationOutput, error) {
	r, err := d.configuration(in.Arn, "arn")
	if err != nil {
		return nil, err
	}
	return &model.DescribeConfigurationOutput{Arn: opt.Of(r.ARN), CreationTime: millis(r.Created), Description: opt.Of(r.Configuration.Description),
		KafkaVersions: kafkaVersions(r), LatestRevision: latest(r), Name: opt.Of(r.Name), State: opt.Of(model.ConfigurationStateActive)}, nil
}
