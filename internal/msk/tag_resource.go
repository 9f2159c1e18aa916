package msk

import (
	"context"
	"strings"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
	"thalweg/internal/clusters"
	"thalweg/internal/opt"
)

// TagResource
//
// Adds tags to a cluster or a channel, or gives those it has other values; 50 at most.
//
// Errors: NotFound; BadRequest for tags that AWS does not take, and for what can have
// none.
// https://docs.aws.amazon.com/msk/1.0/apireference/tags-resourcearn.html
//
// Status: partial: clusters and channels
func (d *Door) TagResource(ctx context.Context, in *model.TagResourceInput) (*model.TagResourceOutput, error) {
	r, err := d.tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	if r.Channel == nil {
		return nil, wireError(d.clusters.Tag(ctx, r, in.Tags))
	}
	if err := clusters.CheckTags(in.Tags); err != nil {
		return nil, wireError(err)
	}
	return nil, wireError(d.channels.TagChannel(ctx, r, in.Tags, nil))
}

// tagged is what an ARN names that can have tags.
func (d *Door) tagged(text opt.V[string]) (*catalog.Resource, error) {
	if !strings.Contains(text.V, ":channel/") {
		return d.clusterIn(text.V, "resourceArn")
	}
	n, err := parseARN(text.V, "resourceArn", "channel")
	if err != nil {
		return nil, err
	}
	return d.channel(opt.Of(strings.Replace(strings.TrimSuffix(text.V, "/"+n.rest), ":channel/", ":cluster/", 1)), text)
}
