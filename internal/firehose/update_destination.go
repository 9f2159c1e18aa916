package firehose

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/firehose"
	"thalweg/internal/delivery"
	"thalweg/internal/delivery/dest"
)

// UpdateDestination
//
// Changes the destination: what the input does not say stays as it was, or with
// another type of destination, is its default. Batches that are planned already go
// where they were planned to go, unless nothing of them has arrived there. VersionId
// rises by one, and stands in the names of objects.
//
// Errors: ResourceNotFound; ResourceInUse while it is DELETING; ConcurrentModification
// when CurrentDeliveryStreamVersionId is not the present one; InvalidArgument for a
// configuration that AWS refuses, for another DestinationId, and for a change of type
// to or from HTTP endpoints and OpenSearch.
// https://docs.aws.amazon.com/firehose/latest/APIReference/API_UpdateDestination.html
//
// Status: done
func (d *Door) UpdateDestination(ctx context.Context, in *model.UpdateDestinationInput) (*model.UpdateDestinationOutput, error) {
	kind, patch, err := updated(in)
	if err != nil {
		return nil, wireError(err)
	}
	return nil, wireError(d.delivery.Update(ctx, delivery.Update{
		Scope: scopeOf(awsapi.CallerFrom(ctx)), Name: in.DeliveryStreamName.V, Version: in.CurrentDeliveryStreamVersionId.V,
		DestinationID: in.DestinationId.V, Kind: kind,
		Patch: func(old dest.Config) (dest.Config, error) {
			if old == nil {
				return patch, nil
			}
			return patched(old, patch)
		},
	}))
}
