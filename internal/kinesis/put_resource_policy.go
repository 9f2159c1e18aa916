package kinesis

import (
	"context"

	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/identity/policy"
)

// PutResourcePolicy
//
// Attaches a policy to a stream or a consumer, in place of the one it has, for requests from
// then on. What a policy may say is in docs/adr/0032: the elements, operators and
// keys that are decided by; one that says anything else is refused. Only the
// owner's account may do this, and its root user whatever the policy says.
//
// Errors: ResourceNotFound; ResourceInUse while the stream is not ACTIVE;
// InvalidArgument for a policy beyond 20 KB or one that cannot be read;
// LimitExceeded when policies and tags take all that this server keeps of them;
// AccessDenied.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutResourcePolicy.html
//
// Status: done
// Deviation: a policy governs the Kinesis API only, not Kafka clients of the same stream
// Deviation: a policy with an element, operator or condition key that this server cannot decide by is refused
func (d *Door) PutResourcePolicy(ctx context.Context, in *model.PutResourcePolicyInput) (*model.PutResourcePolicyOutput, error) {
	if _, err := policy.Parse(in.Policy.V); err != nil {
		return nil, wireError(err)
	}
	if id, ok := parseConsumerARN(in.ResourceARN.V); ok {
		return nil, wireError(d.streams.SetConsumerPolicy(ctx, id, in.Policy.V))
	}
	a, err := parseStreamARN(in.ResourceARN.V)
	if err != nil {
		return nil, err
	}
	return nil, wireError(d.streams.SetPolicy(ctx, a.scope, a.name, in.Policy.V))
}
