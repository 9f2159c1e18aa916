package msk

import (
	"context"
	"fmt"

	model "thalweg/internal/awsapi/model/kafka"
)

// ListConfigurationRevisions
//
// Lists the revisions of a configuration by number, at most 100 an answer
// (MaxResults).
//
// Errors: BadRequest for a configuration that there is not, and a token that is none.
// https://docs.aws.amazon.com/msk/1.0/apireference/configurations-arn-revisions.html
//
// Status: done
func (d *Door) ListConfigurationRevisions(_ context.Context, in *model.ListConfigurationRevisionsInput) (*model.ListConfigurationRevisionsOutput, error) {
	r, err := d.configuration(in.Arn, "arn")
	if err != nil {
		return nil, err
	}
	var all []int
	for i := range r.Configuration.Revisions {
		all = append(all, i+1)
	}
	page, token, err := pageOf(all, in.NextToken, in.MaxResults, func(n int) string { return fmt.Sprintf("%04d", n) })
	if err != nil {
		return nil, err
	}
	out := &model.ListConfigurationRevisionsOutput{NextToken: token, Revisions: []model.ConfigurationRevision{}}
	for _, n := range page {
		out.Revisions = append(out.Revisions, *revision(r, n))
	}
	return out, nil
}
