package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// DecreaseStreamRetentionPeriod
//
// Lowers how long records can be read, at once: older records are out of sight
// when the call returns.
//
// Errors: ResourceNotFound; ResourceInUse while the stream is not ACTIVE;
// InvalidArgument outside 24 to 8760 hours, or in the other direction (the
// present value is taken).
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DecreaseStreamRetentionPeriod.html
//
// Status: done
func (d *Door) DecreaseStreamRetentionPeriod(ctx context.Context, in *model.DecreaseStreamRetentionPeriodInput) (*model.DecreaseStreamRetentionPeriodOutput, error) {
	a, err := resolve(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.streams.SetRetention(ctx, a.scope, a.name, int(in.RetentionPeriodHours.V), false))
}
