package lease

import (
	"context"

	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/opt"
)

// DescribeTimeToLive
//
// Says that the items of a table do not expire: DISABLED.
//
// Errors: ResourceNotFound.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeTimeToLive.html
//
// Status: done
func (d *Tables) DescribeTimeToLive(ctx context.Context, in *model.DescribeTimeToLiveInput) (*model.DescribeTimeToLiveOutput, error) {
	scope, table, err := resolve(ctx, in.TableName.V)
	if err != nil {
		return nil, err
	}
	if _, err := d.tables.Describe(scope, table); err != nil {
		return nil, wireError(err)
	}
	return &model.DescribeTimeToLiveOutput{TimeToLiveDescription: &model.TimeToLiveDescription{
		TimeToLiveStatus: opt.Of(model.TimeToLiveStatusDisabled)}}, nil
}
