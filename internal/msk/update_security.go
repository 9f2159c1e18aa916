package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
)

// UpdateSecurity
//
// Changes how clients of a cluster are let in, and whether what is between is
// encrypted: listeners open and close. What the request does not say stays. The
// cluster is UPDATING meanwhile, and its clients connect anew.
//
// Errors: NotFound; BadRequest for another version, while the cluster is not ACTIVE,
// for the default cluster (--listen-kafka), and for what CreateCluster refuses.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-security.html
//
// Status: done
func (d *Door) UpdateSecurity(ctx context.Context, in *model.UpdateSecurityInput) (*model.UpdateSecurityOutput, error) {
	cluster, operation, err := d.update(ctx, change{cluster: in.ClusterArn, version: in.CurrentVersion, kind: "UPDATE_SECURITY",
		do: func(_ *catalog.Tx, r *catalog.Resource, p *model.Provisioned, source, target *model.MutableClusterInfo) error {
			source.ClientAuthentication, source.EncryptionInfo = p.ClientAuthentication, p.EncryptionInfo
			if in.ClientAuthentication != nil {
				p.ClientAuthentication = in.ClientAuthentication
			}
			if in.EncryptionInfo != nil && in.EncryptionInfo.EncryptionInTransit != nil {
				next := encryption(in.EncryptionInfo)
				if p.EncryptionInfo != nil {
					next.EncryptionAtRest = p.EncryptionInfo.EncryptionAtRest
				}
				p.EncryptionInfo = next
			}
			target.ClientAuthentication, target.EncryptionInfo = p.ClientAuthentication, p.EncryptionInfo
			kinds, err := kindsOf(p.ClientAuthentication, p.EncryptionInfo)
			if err != nil {
				return err
			}
			return d.clusters.SetKinds(r, kinds)
		}})
	if err != nil {
		return nil, err
	}
	return &model.UpdateSecurityOutput{ClusterArn: cluster, ClusterOperationArn: operation}, nil
}
