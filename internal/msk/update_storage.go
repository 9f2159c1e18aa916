package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
)

// UpdateStorage
//
// Changes the size of the volumes that brokers are told to have, and where records
// are told to be kept. It is kept, and changes nothing: see UpdateBrokerStorage. There
// is no second tier of storage.
//
// Errors: NotFound; BadRequest for another version, while the cluster is not ACTIVE,
// and for the default cluster, for
// tiered storage, and for a smaller size.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-storage.html
//
// Status: partial: the size is told, and changes nothing; no tiered storage
func (d *Door) UpdateStorage(ctx context.Context, in *model.UpdateStorageInput) (*model.UpdateStorageOutput, error) {
	cluster, operation, err := d.update(ctx, change{cluster: in.ClusterArn, version: in.CurrentVersion, kind: "UPDATE_STORAGE",
		do: func(_ *catalog.Tx, r *catalog.Resource, p *model.Provisioned, source, target *model.MutableClusterInfo) error {
			if err := ofTheServer(r); err != nil {
				return err
			}
			if in.StorageMode.Set && in.StorageMode.V != model.StorageModeLocal {
				return invalid("storageMode", "There is no tiered storage.")
			}
			source.StorageMode, target.StorageMode = p.StorageMode, in.StorageMode
			return resize(p, in.VolumeSizeGB, in.ProvisionedThroughput, source, target)
		}})
	if err != nil {
		return nil, err
	}
	return &model.UpdateStorageOutput{ClusterArn: cluster, ClusterOperationArn: operation}, nil
}
