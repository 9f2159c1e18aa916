package glue

import (
	"context"

	model "thalweg/internal/awsapi/model/glue"
)

// DeleteTable
//
// Removes a table and its versions, durably. A delivery stream that converts by it fails
// its records from then on.
//
// Errors: EntityNotFound.
// https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteTable.html
//
// Status: done
func (d *Door) DeleteTable(ctx context.Context, in *model.DeleteTableInput) (*model.DeleteTableOutput, error) {
	scope, err := allow(ctx, in.CatalogId.V, in.DatabaseName.V, in.Name.V)
	if err != nil {
		return nil, err
	}
	if err := unsupported(map[string]bool{"TransactionId": in.TransactionId.V != ""}); err != nil {
		return nil, err
	}
	return &model.DeleteTableOutput{}, wireError(d.schemas.DeleteTable(ctx, scope, in.DatabaseName.V, in.Name.V))
}
