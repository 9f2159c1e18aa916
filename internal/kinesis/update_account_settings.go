package kinesis

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
)

// UpdateAccountSettings
//
// Begins or ends the minimum throughput billing commitment of the caller's account
// in the region, durably. It lasts 24 hours at least: one that is disabled
// earlier ends by itself when they are over, and goes on if it is enabled before.
// Nothing is billed; warm throughput needs it, as on AWS.
//
// Errors: Validation for an unknown status.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateAccountSettings.html
//
// Status: done
func (d *Door) UpdateAccountSettings(ctx context.Context, in *model.UpdateAccountSettingsInput) (*model.UpdateAccountSettingsOutput, error) {
	on := in.MinimumThroughputBillingCommitment.Status.V == model.MinimumThroughputBillingCommitmentInputStatusEnabled
	c, err := d.streams.SetCommitment(ctx, scopeOf(awsapi.CallerFrom(ctx)), on)
	if err != nil {
		return nil, wireError(err)
	}
	return &model.UpdateAccountSettingsOutput{MinimumThroughputBillingCommitment: commitmentShape(c)}, nil
}
