package msk

import (
	"context"
	"slices"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// GetCompatibleKafkaVersions
//
// Tells to which versions a cluster, or one of each version, can be updated: to all
// that are newer.
//
// Errors: NotFound, for a cluster.
// https://docs.aws.amazon.com/msk/1.0/apireference/compatible-kafka-versions.html
//
// Status: done
func (d *Door) GetCompatibleKafkaVersions(_ context.Context, in *model.GetCompatibleKafkaVersionsInput) (*model.GetCompatibleKafkaVersionsOutput, error) {
	from := versions()
	if in.ClusterArn.Set {
		r, err := d.cluster(in.ClusterArn)
		if err != nil {
			return nil, err
		}
		from = []string{software(r.Cluster).KafkaVersion.V}
	}
	out := &model.GetCompatibleKafkaVersionsOutput{CompatibleKafkaVersions: []model.CompatibleKafkaVersion{}}
	for _, v := range from {
		out.CompatibleKafkaVersions = append(out.CompatibleKafkaVersions, model.CompatibleKafkaVersion{
			SourceVersion: opt.Of(v), TargetVersions: newer(v)})
	}
	return out, nil
}

// newer are the versions that one can be updated to.
func newer(v string) []string {
	all := versions()
	return append([]string{}, all[slices.Index(all, v)+1:]...)
}
