package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// GetResourcePolicy
//
// Gives the policy of a stream, as it was put.
//
// Errors: ResourceNotFound for a stream, and for one without a policy;
// InvalidArgument; AccessDenied.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetResourcePolicy.html
//
// Status: partial: streams only, until there are consumers
func (d *Door) GetResourcePolicy(ctx context.Context, in *model.GetResourcePolicyInput) (*model.GetResourcePolicyOutput, error) {
	r, err := d.find(ctx, opt.V[string]{}, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	if r.Policy == "" {
		return nil, wireError(streams.NoPolicy(r))
	}
	return &model.GetResourcePolicyOutput{Policy: opt.Of(r.Policy)}, nil
}
