package msk

import (
	"context"

	model "thalweg/internal/awsapi/model/kafka"
)

// ListReplicators
//
// Lists the caller's replicators: none, since CreateReplicator is refused.
// https://docs.aws.amazon.com/msk/1.0/apireference/v1-replicators.html
//
// Status: partial: there are none
func (d *Door) ListReplicators(_ context.Context, _ *model.ListReplicatorsInput) (*model.ListReplicatorsOutput, error) {
	return &model.ListReplicatorsOutput{Replicators: []model.ReplicatorSummary{}}, nil
}
