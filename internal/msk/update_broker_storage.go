package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
	"thalweg/internal/opt"
)

// UpdateBrokerStorage
//
// Changes the size of the volumes that brokers are told to have, for all of them
// alike. It is kept, and changes nothing: how much there may be is the matter of
// --max-disk and of topics' log.retention.bytes.
//
// Errors: NotFound; BadRequest for another version, while the cluster is not ACTIVE,
// and for the default cluster, for
// several sizes, and for a smaller one.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-nodes-storage.html
//
// Status: partial: the size is told, and changes nothing
func (d *Door) UpdateBrokerStorage(ctx context.Context, in *model.UpdateBrokerStorageInput) (*model.UpdateBrokerStorageOutput, error) {
	cluster, operation, err := d.update(ctx, change{cluster: in.ClusterArn, version: in.CurrentVersion, kind: "INCREASE_BROKER_STORAGE",
		do: func(_ *catalog.Tx, r *catalog.Resource, p *model.Provisioned, source, target *model.MutableClusterInfo) error {
			if err := ofTheServer(r); err != nil {
				return err
			}
			if len(in.TargetBrokerEBSVolumeInfo) != 1 || in.TargetBrokerEBSVolumeInfo[0].KafkaBrokerNodeId.V != "All" {
				return invalid("targetBrokerEBSVolumeInfo", "All brokers must be given the same size: name them All, once.")
			}
			to := &in.TargetBrokerEBSVolumeInfo[0]
			return resize(p, to.VolumeSizeGB, to.ProvisionedThroughput, source, target)
		}})
	if err != nil {
		return nil, err
	}
	return &model.UpdateBrokerStorageOutput{ClusterArn: cluster, ClusterOperationArn: operation}, nil
}

// resize gives all brokers volumes of another size, and another throughput.
func resize(p *model.Provisioned, size opt.V[int32], throughput *model.ProvisionedThroughput, source, target *model.MutableClusterInfo) error {
	g := p.BrokerNodeGroupInfo
	if g.StorageInfo == nil || g.StorageInfo.EbsStorageInfo == nil {
		g.StorageInfo = &model.StorageInfo{EbsStorageInfo: &model.EBSStorageInfo{}}
	}
	disk := g.StorageInfo.EbsStorageInfo
	if size.Set && size.V < disk.VolumeSize.V {
		return invalid("volumeSizeGB", "The size of a volume cannot be decreased.")
	}
	volume := func() []model.BrokerEBSVolumeInfo {
		return []model.BrokerEBSVolumeInfo{{KafkaBrokerNodeId: opt.Of("All"), VolumeSizeGB: disk.VolumeSize, ProvisionedThroughput: disk.ProvisionedThroughput}}
	}
	source.BrokerEBSVolumeInfo = volume()
	if size.Set {
		disk.VolumeSize = size
	}
	if throughput != nil {
		disk.ProvisionedThroughput = throughput
	}
	target.BrokerEBSVolumeInfo = volume()
	return nil
}
