package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
)

// ListTagsForResource
//
// Tells the tags of a cluster.
//
// Errors: NotFound; BadRequest for what can have no tags.
// https://docs.aws.amazon.com/msk/1.0/apireference/tags-resourcearn.html
//
// Status: partial: clusters and channels
func (d *Door) ListTagsForResource(_ context.Context, in *model.ListTagsForResourceInput) (*model.ListTagsForResourceOutput, error) {
	r, err := d.tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &model.ListTagsForResourceOutput{Tags: tagsOf(r)}, nil
}
