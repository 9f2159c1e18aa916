package msk

import (
	"context"
	"fmt"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// DescribeConfigurationRevision
//
// Tells one revision of a configuration, with its properties.
//
// Errors: BadRequest for a configuration that there is not; NotFound for a revision.
// https://docs.aws.amazon.com/msk/1.0/apireference/configurations-arn-revisions-revision.html
//
// Status: done
func (d *Door) DescribeConfigurationRevision(_ context.Context, in *model.DescribeConfigurationRevisionInput) (*model.DescribeConfigurationRevisionOutput, error) {
	r, err := d.configuration(in.Arn, "arn")
	if err != nil {
		return nil, err
	}
	n := in.Revision.V
	if n < 1 || n > int64(len(r.Configuration.Revisions)) {
		return nil, model.NewNotFoundException(fmt.Sprintf("The configuration %s has no revision %d.", r.Name, n))
	}
	v := &r.Configuration.Revisions[n-1]
	return &model.DescribeConfigurationRevisionOutput{Arn: opt.Of(r.ARN), CreationTime: millis(v.Created), Description: opt.Of(v.Description),
		Revision: opt.Of(n), ServerProperties: []byte(v.Properties)}, nil
}
