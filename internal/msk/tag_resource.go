package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
	"thalweg/internal/opt"
)

// TagResource
//
// Adds tags to a cluster, or gives those it has other values; 50 at most.
//
// Errors: NotFound; BadRequest for tags that AWS does not take, and for what can have
// none.
// https://docs.aws.amazon.com/msk/1.0/apireference/tags-resourcearn.html
//
// Status: partial: clusters only
func (d *Door) TagResource(ctx context.Context, in *model.TagResourceInput) (*model.TagResourceOutput, error) {
	r, err := d.tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.clusters.Tag(ctx, r, in.Tags))
}

// tagged is what an ARN names that can have tags.
func (d *Door) tagged(text opt.V[string]) (*catalog.Resource, error) {
	return d.clusterIn(text.V, "resourceArn")
}
