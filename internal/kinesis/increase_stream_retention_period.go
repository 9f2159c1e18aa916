package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// IncreaseStreamRetentionPeriod
//
// Raises how long records can be read. Records that were past the old period stay
// out of sight.
//
// Errors: ResourceNotFound; ResourceInUse while the stream is not ACTIVE;
// InvalidArgument outside 24 to 8760 hours, or in the other direction (the
// present value is taken).
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_IncreaseStreamRetentionPeriod.html
//
// Status: done
func (d *Door) IncreaseStreamRetentionPeriod(ctx context.Context, in *model.IncreaseStreamRetentionPeriodInput) (*model.IncreaseStreamRetentionPeriodOutput, error) {
	a, err := resolve(ctx, in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.streams.SetRetention(ctx, a.scope, a.name, int(in.RetentionPeriodHours.V), true))
}
