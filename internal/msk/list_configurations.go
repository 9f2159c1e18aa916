package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// ListConfigurations
//
// Lists the caller's configurations by name, at most 100 an answer (MaxResults).
//
// Errors: BadRequest for a token that is none.
// https://docs.aws.amazon.com/msk/1.0/apireference/configurations.html
//
// Status: done
func (d *Door) ListConfigurations(ctx context.Context, in *model.ListConfigurationsInput) (*model.ListConfigurationsOutput, error) {
	after, err := afterToken(in.NextToken)
	if err != nil {
		return nil, err
	}
	page, more := d.clusters.Configurations(caller(ctx), after, limitOf(in.MaxResults))
	out := &model.ListConfigurationsOutput{Configurations: []model.Configuration{}}
	for _, r := range page {
		out.Configurations = append(out.Configurations, model.Configuration{Arn: opt.Of(r.ARN), CreationTime: millis(r.Created),
			Description: opt.Of(r.Configuration.Description), KafkaVersions: kafkaVersions(r), LatestRevision: latest(r), Name: opt.Of(r.Name),
			State: opt.Of(model.ConfigurationStateActive)})
		out.NextToken = tokenOf(r.Name, more)
	}
	return out, nil
}
