package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/opt"
)

// DeleteCluster
//
// Removes a cluster with all that is in it. It is DELETING first, while its clients
// are sent away and its topics removed, then it is not there any more, and its name
// and ports are free. CurrentVersion, if given, must be the cluster's.
//
// Errors: NotFound; BadRequest for the default cluster, for one that is DELETING or has
// channels, and for another version.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn.html
//
// Status: done
// Deviation: the default cluster is not deleted: it is there as long as the server listens for Kafka clients
func (d *Door) DeleteCluster(ctx context.Context, in *model.DeleteClusterInput) (*model.DeleteClusterOutput, error) {
	r, err := d.cluster(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	if err := d.clusters.Delete(ctx, r, in.CurrentVersion.V); err != nil {
		return nil, wireError(err)
	}
	return &model.DeleteClusterOutput{ClusterArn: opt.Of(r.ARN), State: opt.Of(model.ClusterStateDeleting)}, nil
}
