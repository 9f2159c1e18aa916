package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
)

// UpdateMonitoring
//
// Changes what a cluster is told to be monitored by. It is kept, and changes nothing:
// GET /metrics of the server is always there, and logs are the server's own.
//
// Errors: NotFound; BadRequest for another version, while the cluster is not ACTIVE,
// and for the default cluster.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-monitoring.html
//
// Status: partial: what is asked for is told, and changes nothing
func (d *Door) UpdateMonitoring(ctx context.Context, in *model.UpdateMonitoringInput) (*model.UpdateMonitoringOutput, error) {
	cluster, operation, err := d.update(ctx, change{cluster: in.ClusterArn, version: in.CurrentVersion, kind: "UPDATE_MONITORING",
		do: func(_ *catalog.Tx, r *catalog.Resource, p *model.Provisioned, source, target *model.MutableClusterInfo) error {
			if err := ofTheServer(r); err != nil {
				return err
			}
			source.EnhancedMonitoring, source.LoggingInfo, source.OpenMonitoring = p.EnhancedMonitoring, p.LoggingInfo, openMonitoring(p.OpenMonitoring)
			if in.EnhancedMonitoring.Set {
				p.EnhancedMonitoring = in.EnhancedMonitoring
			}
			if in.LoggingInfo != nil {
				p.LoggingInfo = in.LoggingInfo
			}
			if in.OpenMonitoring != nil {
				p.OpenMonitoring = in.OpenMonitoring
			}
			target.EnhancedMonitoring, target.LoggingInfo, target.OpenMonitoring = p.EnhancedMonitoring, p.LoggingInfo, openMonitoring(p.OpenMonitoring)
			return nil
		}})
	if err != nil {
		return nil, err
	}
	return &model.UpdateMonitoringOutput{ClusterArn: cluster, ClusterOperationArn: operation}, nil
}
