package kinesis

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// DescribeAccountSettings
//
// Tells how the minimum throughput billing commitment of the caller's account
// stands in the region: ENABLED, DISABLED, or ENABLED_UNTIL_EARLIEST_ALLOWED_END.
//
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeAccountSettings.html
//
// Status: done
func (d *Door) DescribeAccountSettings(ctx context.Context, _ *model.DescribeAccountSettingsInput) (*model.DescribeAccountSettingsOutput, error) {
	c := d.streams.Commitment(scopeOf(awsapi.CallerFrom(ctx)))
	return &model.DescribeAccountSettingsOutput{MinimumThroughputBillingCommitment: commitmentShape(c)}, nil
}

func commitmentShape(c streams.Commitment) *model.MinimumThroughputBillingCommitmentOutput {
	out := &model.MinimumThroughputBillingCommitmentOutput{
		Status: opt.Of(model.MinimumThroughputBillingCommitmentOutputStatus(c.Status)),
	}
	if c.Started != 0 {
		out.StartedAt = millis(c.Started)
	}
	if c.Ended != 0 {
		out.EndedAt = millis(c.Ended)
	}
	if c.EarliestEnd != 0 {
		out.EarliestAllowedEndAt = millis(c.EarliestEnd)
	}
	return out
}
