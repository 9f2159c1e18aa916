package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/opt"
	"thalweg/internal/streams"
)

// GetResourcePolicy
//
// Gives the policy of a stream or a consumer, as it was put.
//
// Errors: ResourceNotFound for either, and for one without a policy;
// InvalidArgument; AccessDenied.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetResourcePolicy.html
//
// Status: done
func (d *Door) GetResourcePolicy(ctx context.Context, in *model.GetResourcePolicyInput) (*model.GetResourcePolicyOutput, error) {
	r, err := d.resource(ctx, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	if r.Policy == "" {
		return nil, wireError(streams.NoPolicy(r))
	}
	return &model.GetResourcePolicyOutput{Policy: opt.Of(r.Policy)}, nil
}

// resource is the stream or the consumer of an ARN.
func (d *Door) resource(ctx context.Context, resourceARN opt.V[string]) (*catalog.Resource, error) {
	if id, ok := parseConsumerARN(resourceARN.V); ok {
		r, err := d.streams.Consumer(id)
		return r, wireError(err)
	}
	return d.find(ctx, opt.V[string]{}, resourceARN)
}
