package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
)

// UpdateMaxRecordSize
//
// Sets how much data one record of the stream may have, 1024 to 10240 KiB, for
// puts from then on. A smaller bound hides nothing that is stored.
//
// Errors: ResourceNotFound; ResourceInUse while the stream is not ACTIVE;
// Validation out of range; InvalidArgument without StreamARN.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateMaxRecordSize.html
//
// Status: done
func (d *Door) UpdateMaxRecordSize(ctx context.Context, in *model.UpdateMaxRecordSizeInput) (*model.UpdateMaxRecordSizeOutput, error) {
	a, err := resolve(ctx, opt.V[string]{}, in.StreamARN)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.streams.SetMaxRecord(ctx, a.scope, a.name, int(in.MaxRecordSizeInKiB.V)))
}
