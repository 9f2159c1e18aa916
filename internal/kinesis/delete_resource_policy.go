package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
)

// DeleteResourcePolicy
//
// Takes the policy off a stream or a consumer.
//
// Errors: ResourceNotFound for either, and for one without a policy;
// ResourceInUse while the stream is not ACTIVE; InvalidArgument; AccessDenied.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DeleteResourcePolicy.html
//
// Status: done
func (d *Door) DeleteResourcePolicy(ctx context.Context, in *model.DeleteResourcePolicyInput) (*model.DeleteResourcePolicyOutput, error) {
	if id, ok := parseConsumerARN(in.ResourceARN.V); ok {
		return nil, wireError(d.streams.DeleteConsumerPolicy(ctx, id))
	}
	a, err := parseStreamARN(in.ResourceARN.V)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.streams.DeletePolicy(ctx, a.scope, a.name))
}
