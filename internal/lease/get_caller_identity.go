package lease

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/sts"
	"thalweg/internal/opt"
)

// GetCallerIdentity
//
// Says whose credentials signed the request: account, ARN, and as UserId the
// account of a root user, else the access key.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
//
// Status: done
// Deviation: UserId is the access key's id where AWS has an id of the user
func (Identity) GetCallerIdentity(ctx context.Context, _ *model.GetCallerIdentityInput) (*model.GetCallerIdentityOutput, error) {
	c := awsapi.CallerFrom(ctx)
	user := c.AccessKeyID
	if c.PrincipalARN == "arn:aws:iam::"+c.Account+":root" {
		user = c.Account
	}
	return &model.GetCallerIdentityOutput{Account: opt.Of(c.Account), Arn: opt.Of(c.PrincipalARN), UserId: opt.Of(user)}, nil
}
