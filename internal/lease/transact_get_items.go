package lease

import (
	"context"

	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/tables"
	"thalweg/internal/tables/expr"
)

// maxTransactBytes bounds the items of a transaction.
const maxTransactBytes = 4 << 20

// TransactGetItems
//
// Returns the items of up to 100 keys of several tables, as they are at one
// instant, in the order of the request; an empty response for one that is not
// there. All tables are the caller's account's and region's.
//
// Errors: ResourceNotFound; Validation, also beyond 4 MB.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactGetItems.html
//
// Status: done
func (d *Tables) TransactGetItems(ctx context.Context, in *model.TransactGetItemsInput) (*model.TransactGetItemsOutput, error) {
	keys := make([]tables.Address, len(in.TransactItems))
	projections := make([]expr.Projection, len(in.TransactItems))
	for i, t := range in.TransactItems {
		table, err := authorised(ctx, t.Get.TableName.V)
		if err != nil {
			return nil, err
		}
		key, err := item(t.Get.Key)
		if err != nil {
			return nil, err
		}
		if projections[i], err = projection(t.Get.ProjectionExpression, nil, t.Get.ExpressionAttributeNames); err != nil {
			return nil, err
		}
		keys[i] = tables.Address{Table: table, Key: key}
	}
	found, err := d.tables.GetAll(scopeOf(awsapi.CallerFrom(ctx)), keys)
	if err != nil {
		return nil, wireError(err)
	}
	out := &model.TransactGetItemsOutput{Responses: make([]model.ItemResponse, len(found))}
	size := 0
	for i, it := range found {
		if size += it.Size(); size > maxTransactBytes {
			return nil, invalid("Transaction reads more than the limit of 4 MB")
		}
		out.Responses[i].Item = attributes(selected(projections[i], it))
	}
	return out, hold(ctx, size)
}
