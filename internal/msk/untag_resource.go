package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
)

// UntagResource
//
// Takes tags off a cluster; keys that it does not have are no error.
//
// Errors: NotFound; BadRequest for what can have no tags.
// https://docs.aws.amazon.com/msk/1.0/apireference/tags-resourcearn.html
//
// Status: partial: clusters and channels
func (d *Door) UntagResource(ctx context.Context, in *model.UntagResourceInput) (*model.UntagResourceOutput, error) {
	r, err := d.tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	if r.Channel != nil {
		return nil, wireError(d.channels.TagChannel(ctx, r, nil, in.TagKeys))
	}
	return nil, wireError(d.clusters.Untag(ctx, r, in.TagKeys))
}
