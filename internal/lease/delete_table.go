package lease

import (
	"context"

	model "thalweg/internal/awsapi/model/dynamodb"
)

// DeleteTable
//
// Removes a table and all its items, durably. It is gone when the call returns.
//
// Errors: ResourceNotFound; Validation when the table is protected from deletion.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteTable.html
//
// Status: done
// Deviation: the table is gone at once instead of after seconds in DELETING
func (d *Tables) DeleteTable(ctx context.Context, in *model.DeleteTableInput) (*model.DeleteTableOutput, error) {
	scope, table, err := resolve(ctx, in.TableName.V)
	if err != nil {
		return nil, err
	}
	t, err := d.tables.Delete(ctx, scope, table)
	if err != nil {
		return nil, wireError(err)
	}
	return &model.DeleteTableOutput{TableDescription: description(t, model.TableStatusDeleting)}, nil
}
